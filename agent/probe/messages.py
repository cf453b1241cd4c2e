"""What the probe says in SIP: requests of a session recording client, its SDP and its metadata.

RFC 3261 (requests), RFC 7866 §7 (the client's INVITE, `a=label`), RFC 7865 (metadata), RFC 5621 (multipart bodies).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from aiosipua.message import SipResponse
from aiosipua.sdp import parse_sdp

from agent.sip.sdes import Crypto, write

SPEAKERS = ("customer", "agent")
"""Order of everything that comes in pairs: channels, m-lines (labels 1 and 2), streams."""

EVENT_TYPE = 101
"""Payload type of keys (RFC 4733), offered in every m-line as gateways do."""
METADATA_TYPE = "application/rs-metadata+xml"
_BOUNDARY = "greffier-probe"


@dataclass(frozen=True, slots=True)
class Person:
    """A participant: who it is for the metadata, and which label its stream has."""

    participant_id: str
    stream_id: str
    number: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One m-line of the offer: a port of ours, and what is sent from it."""

    label: str
    port: int
    payload_type: int
    codec: str
    ptime_ms: int
    direction: str = "sendonly"
    crypto: Crypto | None = None
    """What is sent is secure RTP under this key (RFC 4568)."""


def host_in_uri(host: str) -> str:
    """An address as a URI has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def request(method: str, uri: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> bytes:
    """A SIP request, Content-Length last."""
    lines = [f"{method} {uri} SIP/2.0", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def offer(host: str, session: int, version: int, lines: Sequence[Line]) -> str:
    """The session description: one audio m-line a stream, labelled (RFC 4574)."""
    family = "IP6" if ":" in host else "IP4"
    sdp = [
        "v=0",
        f"o=greffier-probe {session} {version} IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
    ]
    for line in lines:
        sdp += [
            f"m=audio {line.port} RTP/{'SAVP' if line.crypto else 'AVP'} {line.payload_type} {EVENT_TYPE}",
            *([f"a=crypto:{write(line.crypto)}"] if line.crypto else []),
            f"a=rtpmap:{line.payload_type} {line.codec}/8000",
            f"a=rtpmap:{EVENT_TYPE} telephone-event/8000",
            f"a=fmtp:{EVENT_TYPE} 0-15",
            f"a=ptime:{line.ptime_ms}",
            f"a=label:{line.label}",
            f"a={line.direction}",
        ]
    return "\r\n".join([*sdp, ""])


def metadata(session_id: str, group_id: str, call_id: str, people: Sequence[Person], since: str) -> str:
    """The metadata document, complete (RFC 7865 §6). `since` is an XML dateTime; the caller is first in `people`."""
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<recording xmlns="urn:ietf:params:xml:ns:recording:1">',
        " <datamode>complete</datamode>",
        f' <group group_id="{group_id}"><associate-time>{since}</associate-time></group>',
        f' <session session_id="{session_id}">',
        f"  <sipSessionID>{escape(call_id)}</sipSessionID>",
        f"  <group-ref>{group_id}</group-ref><start-time>{since}</start-time>",
        " </session>",
    ]
    for person in people:
        parts += [
            f' <participant participant_id="{person.participant_id}">',
            f"  <nameID aor={quoteattr(f'sip:{person.number}@example.com')}>",
            f'   <name xml:lang="en">{escape(person.name)}</name>',
            "  </nameID>",
            " </participant>",
            f' <stream stream_id="{person.stream_id}" session_id="{session_id}"><label>{person.label}</label></stream>',
        ]
    parts.append(
        f' <sessionrecordingassoc session_id="{session_id}"><associate-time>{since}</associate-time>'
        "</sessionrecordingassoc>"
    )
    for person in people:
        others = "".join(f"<recv>{p.stream_id}</recv>" for p in people if p is not person)
        identity = f'participant_id="{person.participant_id}"'
        parts += [
            f' <participantsessionassoc {identity} session_id="{session_id}">'
            f"<associate-time>{since}</associate-time></participantsessionassoc>",
            f" <participantstreamassoc {identity}><send>{person.stream_id}</send>{others}</participantstreamassoc>",
        ]
    return "\r\n".join([*parts, "</recording>", ""])


def multipart(sdp: str, xml: str) -> tuple[str, bytes]:
    """Content type and body of both parts together (RFC 7866 §7.1.1, §9.1)."""
    parts = (
        ("application/sdp", "session;handling=required", sdp),
        (METADATA_TYPE, "recording-session", xml),
    )
    body = "".join(
        f"--{_BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Disposition: {use}\r\n\r\n{text}\r\n"
        for kind, use, text in parts
    )
    return f"multipart/mixed;boundary={_BOUNDARY}", (body + f"--{_BOUNDARY}--\r\n").encode()


def answered(response: SipResponse, labels: Sequence[str], *, secure: bool = False) -> Mapping[str, tuple[str, int]]:
    """Where each label's media goes, from the answer; by order where it gives no labels. Raises ValueError.

    With `secure` every line taken must be of secure RTP and have a key.
    """
    answer = parse_sdp(response.text)
    if len(answer.media) != len(labels):
        raise ValueError(f"the answer has {len(answer.media)} m-lines, expected {len(labels)} (RFC 3264 §6)")
    ports: dict[str, tuple[str, int]] = {}
    for label, media in zip(labels, answer.media, strict=True):
        connection = media.connection or answer.connection
        if connection is None:
            raise ValueError("the answer has no c= line")
        if media.port and secure and not (media.proto == "RTP/SAVP" and media.attributes.get("crypto")):
            raise ValueError("secure RTP was offered, and is not what was answered (RFC 4568 §5.1.2)")
        if media.port:
            ports[(media.attributes.get("label") or [label])[0]] = (connection.address, media.port)
    return ports
