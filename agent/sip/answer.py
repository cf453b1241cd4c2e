"""The session description of the recorder: an answer to each m-line of an offer, or an offer of its own.

RFC 3264 §6 (same m-lines in the same order, port 0 for what is refused), RFC 7866 §7.1.1 (the recording server receives
only, and answers with the labels it was offered), RFC 4574.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiosipua.sdp import ConnectionData, MediaDescription, Origin, SdpMessage, serialize_sdp

from agent.model.call import MediaFormat
from agent.sip import sdes
from agent.sip.formats import STATIC, accepted, fmtp, rtpmap
from agent.sip.sdp import Flow, OfferedMedia

STATIC_TYPES = (STATIC[8], STATIC[0])
"""What the recorder offers itself, best first."""


@dataclass(frozen=True, slots=True)
class Line:
    """Our side of one m-line: port 0 refuses it. `formats` are written as they are when it is refused."""

    kind: str
    port: int
    profile: str
    codecs: tuple[MediaFormat, ...] = ()
    formats: tuple[str, ...] = ()
    flow: Flow = Flow.RECVONLY
    label: str = ""
    mid: str = ""
    ptime_ms: int | None = None
    crypto: tuple[sdes.Crypto, ...] = ()


def accept(media: OfferedMedia, port: int, crypto: tuple[sdes.Crypto, ...] = ()) -> Line:
    """Our receiving end of an offered medium, in the format we prefer: `inactive` while it is held, else `recvonly`."""
    flow = Flow.INACTIVE if media.held else Flow.RECVONLY
    formats = accepted(media.codecs)
    return Line("audio", port, media.profile, formats, (), flow, media.label, media.mid, media.ptime_ms, crypto)


def refuse(media: OfferedMedia) -> Line:
    """An m-line we do not take."""
    return Line(media.kind, 0, media.profile, (), media.formats, Flow.INACTIVE, media.label, media.mid)


def offer(
    port: int,
    label: str = "",
    codecs: tuple[MediaFormat, ...] = STATIC_TYPES,
    crypto: tuple[sdes.Crypto, ...] = (),
) -> Line:
    """An m-line of an offer of ours: of secure RTP when there is `crypto`."""
    profile = "RTP/SAVP" if crypto else "RTP/AVP"
    return Line("audio", port, profile, codecs, (), Flow.RECVONLY, label, crypto=crypto)


def write(lines: Sequence[Line], address: str, session_id: int, version: int) -> bytes:
    """The description with our address; `version` must grow whenever the description changes (RFC 3264 §8)."""
    family = "IP6" if ":" in address else "IP4"
    sdp = SdpMessage(
        origin=Origin("greffier", str(session_id), str(version), "IN", family, address),
        session_name="-",
        connection=ConnectionData("IN", family, address),
        media=[_media(line) for line in lines],
    )
    return serialize_sdp(sdp).encode()


def _media(line: Line) -> MediaDescription:
    if line.port == 0:
        return MediaDescription(line.kind, 0, line.profile, list(line.formats) or ["0"], attributes=_named(line))
    attributes: dict[str, list[str]] = {
        "rtpmap": [rtpmap(c) for c in line.codecs],
    }
    if parameters := [written for c in line.codecs if (written := fmtp(c))]:
        attributes["fmtp"] = parameters
    if line.crypto:
        attributes["crypto"] = [sdes.write(crypto) for crypto in line.crypto]
    if line.ptime_ms is not None:
        attributes["ptime"] = [str(line.ptime_ms)]
    attributes |= {line.flow.value: []} | _named(line)
    return MediaDescription("audio", line.port, line.profile, _types(line.codecs), attributes=attributes)


def _types(codecs: Iterable[MediaFormat]) -> list[str]:
    return [str(c.payload_type) for c in codecs]


def _named(line: Line) -> dict[str, list[str]]:
    return {name: [value] for name, value in (("label", line.label), ("mid", line.mid)) if value}
