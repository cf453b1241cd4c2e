"""Session descriptions as a recorder reads them: which audio is offered, labelled how, in which formats.

RFC 4566 (SDP), RFC 3264 §5 (the offer), RFC 4574 (label). `aiosipua` does the parsing
of lines that have been made safe for it; lines it has no need for are left out.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from aiosipua.sdp import MediaDescription, SdpMessage, parse_sdp

from agent.model.call import MediaFormat
from agent.sip import sdes
from agent.sip.errors import SipError
from agent.sip.formats import formats_of, preferred

MAX_BYTES = 32 << 10
MAX_LINES = 1000
MAX_MEDIA = 16
MAX_FORMATS = 64
MAX_LABEL_CHARS = 64

_LINE = re.compile(r"([a-z])\s*=\s*(.*)", re.IGNORECASE)
_MEDIA = re.compile(r"([!-~]{1,32})\s+([0-9]{1,5})(?:/[0-9]+)?\s+([!-~]{1,64})((?:\s+[!-~]{1,32})*)")
_PTIME = re.compile(r"([1-6][0-9])(?:\.[0-9]*)?")
_OURS = {"rtpmap": "x-rtpmap", "fmtp": "x-fmtp"}
"""Attributes read here, under names that the library passes over."""
_ATTRIBUTE = re.compile(r"([^\s:]{1,64})\s*(?::\s*(.*))?", re.DOTALL)
PLAIN_RTP = frozenset({"RTP/AVP", "RTP/AVPF"})
SECURE_RTP = frozenset({"RTP/SAVP", "RTP/SAVPF"})
"""Profiles the recorder can read; secure ones only with a key (RFC 4568), and never in clear."""


class Flow(StrEnum):
    """Direction of a medium, seen from who wrote the description (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """One m-line. `formats` are its payload types as written, `codecs` what they mean where that is said."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    codecs: tuple[MediaFormat, ...]
    flow: Flow
    label: str = ""
    mid: str = ""
    ptime_ms: int | None = None
    address: str = ""
    crypto: tuple[sdes.Crypto, ...] = ()
    crypto_problem: str = ""

    @property
    def usable(self) -> bool:
        """Audio we can record: not refused by the peer (port 0), RTP we can read, some audio among its formats."""
        is_audio = self.kind == "audio" and preferred(self.codecs) is not None
        return is_audio and self.port != 0 and (self.profile in PLAIN_RTP or self.secure)

    @property
    def secure(self) -> bool:
        """Secure RTP whose key we have."""
        return self.profile in SECURE_RTP and bool(self.crypto)

    @property
    def peer_host(self) -> str:
        """The IP address of the connection line; "" when there is none, or it is a name or the wildcard."""
        return _host(self.address)

    @property
    def held(self) -> bool:
        """Nothing will be sent: `inactive`, `recvonly`, or the old hold to 0.0.0.0 (RFC 3264 §8.4)."""
        if self.flow is Flow.SENDRECV:
            return self.address in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        return self.flow in (Flow.INACTIVE, Flow.RECVONLY)


@lru_cache(4096)
def _host(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return "" if parsed.is_unspecified else str(parsed)


@dataclass(frozen=True, slots=True)
class Description:
    """A whole offer or answer."""

    media: tuple[OfferedMedia, ...]

    @property
    def usable(self) -> bool:
        """Whether there is any audio we can record."""
        return any(m.usable for m in self.media)


def read(data: bytes) -> Description:
    """The description in `data`. Raises SipError 488 when it has no m-line, 400 when it is no SDP or too large."""
    if len(data) > MAX_BYTES:
        raise SipError(400, f"a session description is longer than {MAX_BYTES} bytes")
    text = _sifted(data.decode("utf-8", "replace"))
    try:
        sdp = parse_sdp(text)
    except ValueError as error:
        raise SipError(400, "a session description cannot be read") from error
    if not sdp.media:
        raise SipError(488, "a session description has no m-line")
    return Description(tuple(_media(m, sdp) for m in sdp.media))


def _sifted(text: str) -> str:
    lines = text.replace("\0", "").splitlines()
    if len(lines) > MAX_LINES:
        raise SipError(400, f"a session description has more than {MAX_LINES} lines")
    kept, media, begun = [], 0, False
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        kind, value = match[1].lower(), match[2]
        begun = begun or kind == "v"
        if kind == "m":
            media += 1
            value = _media_line(value)
        elif kind == "a":
            value = _attribute(value)
        elif kind not in "soc":
            continue
        if value:
            kept.append(f"{kind}={value}")
    if not begun and not media:
        raise SipError(400, "a body that should be a session description is none")
    if media > MAX_MEDIA:
        raise SipError(488, f"a session description has more than {MAX_MEDIA} m-lines")
    return "\r\n".join(kept)


def _media_line(value: str) -> str:
    match = _MEDIA.match(value)
    if match is None or int(match[2]) > 65535:
        raise SipError(400, "an m-line is malformed")
    formats = match[4].split()[:MAX_FORMATS] or ["0"]
    return " ".join([match[1].lower(), match[2], match[3].upper(), *formats])


def _attribute(value: str) -> str:
    match = _ATTRIBUTE.fullmatch(value)
    if match is None:
        return ""
    name = match[1].lower()
    name = _OURS.get(name, name)
    return name + (f":{match[2].strip()}" if match[2] else "")


def _media(media: MediaDescription, sdp: SdpMessage) -> OfferedMedia:
    connection = media.connection or sdp.connection
    ptime = _PTIME.fullmatch(_first(media, "ptime"))
    crypto, problem = sdes.usable(media.attributes.get("crypto", ()))
    return OfferedMedia(
        kind=media.media,
        port=media.port,
        profile=media.proto,
        formats=tuple(media.formats),
        codecs=formats_of(media.formats, media.attributes.get("x-rtpmap", []), media.attributes.get("x-fmtp", [])),
        flow=_flow(media) or _flow(sdp) or Flow.SENDRECV,
        label=_first(media, "label"),
        mid=_first(media, "mid"),
        ptime_ms=int(ptime[1]) if ptime is not None and int(ptime[1]) <= 60 else None,
        address=connection.address.split("/")[0] if connection else "",
        crypto=crypto,
        crypto_problem=problem,
    )


def _first(media: MediaDescription, name: str) -> str:
    values = media.attributes.get(name)
    return values[0].strip()[:MAX_LABEL_CHARS].rstrip() if values else ""


def _flow(part: MediaDescription | SdpMessage) -> Flow | None:
    return next((flow for flow in Flow if flow.value in part.attributes), None)
