"""The payload types of an m-line as media formats: `rtpmap` and `fmtp`, and the types that need neither.

RFC 4566 §6, RFC 3551 §6 (static types), RFC 7587 (Opus), RFC 3952 (iLBC), RFC 4867 (AMR), RFC 4733 (telephone-event),
RFC 3389 (comfort noise). What nobody here knows is a format too: it is kept as it comes.
"""

import re
from collections.abc import Iterable, Sequence

from agent.model.call import CLOCK_RATE, Codec, MediaFormat

MAX_FMTP_CHARS = 256
MAX_NAME_CHARS = 32
_RTPMAP = re.compile(r"([0-9]{1,3})\s+([!-.0-~]{1,64})\s*/\s*([0-9]{1,6})(?:\s*/\s*([0-9]{1,2}))?.*")
_FMTP = re.compile(r"([0-9]{1,3})\s+(.+)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

_KNOWN: dict[str, tuple[Codec, int | None, int | None]] = {
    "PCMU": (Codec.PCMU, CLOCK_RATE, 1),
    "PCMA": (Codec.PCMA, CLOCK_RATE, 1),
    "G722": (Codec.G722, CLOCK_RATE, 1),
    "OPUS": (Codec.OPUS, 48000, 2),
    "G729": (Codec.G729, CLOCK_RATE, 1),
    "G729A": (Codec.G729, CLOCK_RATE, 1),
    "G729B": (Codec.G729, CLOCK_RATE, 1),
    "G729AB": (Codec.G729, CLOCK_RATE, 1),
    "GSM": (Codec.GSM, CLOCK_RATE, 1),
    "ILBC": (Codec.ILBC, CLOCK_RATE, 1),
    "L16": (Codec.L16, None, None),
    "AMR": (Codec.AMR, CLOCK_RATE, 1),
    "AMR-WB": (Codec.AMR_WB, 16000, 1),
    "TELEPHONE-EVENT": (Codec.TELEPHONE_EVENT, None, 1),
    "CN": (Codec.COMFORT_NOISE, None, 1),
}
"""By encoding name in capitals: the codec, and the clock rate and channels it must have (None: any)."""

STATIC = {
    0: MediaFormat(0, Codec.PCMU),
    3: MediaFormat(3, Codec.GSM),
    8: MediaFormat(8, Codec.PCMA),
    9: MediaFormat(9, Codec.G722),
    10: MediaFormat(10, Codec.L16, 44100, 2),
    11: MediaFormat(11, Codec.L16, 44100, 1),
    13: MediaFormat(13, Codec.COMFORT_NOISE),
    18: MediaFormat(18, Codec.G729),
}

_ECHOED = frozenset({Codec.G729, Codec.ILBC, Codec.AMR, Codec.AMR_WB, Codec.TELEPHONE_EVENT})
"""Codecs whose parameters are the same for both sides; what an answer says of others is its own wish."""


def formats_of(types: Iterable[str], rtpmaps: Sequence[str], fmtps: Sequence[str]) -> tuple[MediaFormat, ...]:
    """The formats of an m-line's payload types, in its order; `rtpmaps` and `fmtps` are the attributes' values.

    Payload types that are no number below 128, and dynamic ones without a name, are left out.
    """
    maps = {int(m[1]): m for value in rtpmaps if (m := _RTPMAP.fullmatch(value.strip()))}
    parameters = {int(m[1]): m[2] for value in fmtps if (m := _FMTP.fullmatch(value.strip()))}
    found: dict[int, MediaFormat] = {}
    for written in types:
        number = int(written) if written.isascii() and written.isdigit() and len(written) <= 3 else 128
        if number >= 128 or number in found:
            continue
        fmtp = _UNPRINTABLE.sub("", parameters.get(number, "")).strip()[:MAX_FMTP_CHARS]
        if (mapped := maps.get(number)) is not None:
            found[number] = _mapped(number, mapped, fmtp)
        elif (static := STATIC.get(number)) is not None:
            found[number] = MediaFormat(number, static.codec, static.clock_rate, static.channels, fmtp)
    return tuple(found.values())


def _mapped(number: int, mapped: re.Match[str], fmtp: str) -> MediaFormat:
    name, rate, channels = mapped[2][:MAX_NAME_CHARS], int(mapped[3]) or CLOCK_RATE, int(mapped[4] or 0) or 1
    codec, must_rate, must_channels = _KNOWN.get(name.upper(), (Codec.OTHER, None, None))
    fits = must_rate in (None, rate) and (must_channels in (None, channels) or codec is Codec.OPUS)
    if codec is Codec.OTHER or not fits or channels > 8:
        return MediaFormat(number, Codec.OTHER, rate, channels, fmtp, name)
    return MediaFormat(number, codec, rate, channels, fmtp)


def preferred(formats: Sequence[MediaFormat]) -> MediaFormat | None:
    """The audio format to ask for: the first that can be decoded, else the first at all; None without any audio."""
    audio = [f for f in formats if f.codec.is_audio]
    return next((f for f in audio if f.codec is not Codec.OTHER), audio[0] if audio else None)


def accepted(formats: Sequence[MediaFormat]) -> tuple[MediaFormat, ...]:
    """What an answer takes: the preferred format, and telephone-events at its clock or, failing that, at any."""
    chosen = preferred(formats)
    if chosen is None:
        return ()
    events = [f for f in formats if f.codec is Codec.TELEPHONE_EVENT]
    events.sort(key=lambda f: f.clock_rate != chosen.clock_rate)
    return (chosen, *events[:1])


def expected(formats: Sequence[MediaFormat]) -> tuple[MediaFormat, ...]:
    """All formats a sender may use, the preferred one first: some send what they offered, whatever the answer says."""
    chosen = preferred(formats)
    return () if chosen is None else (chosen, *(f for f in formats if f is not chosen))


def rtpmap(written: MediaFormat) -> str:
    """The value of `a=rtpmap`."""
    name = {Codec.OTHER: written.name, Codec.TELEPHONE_EVENT: "telephone-event", Codec.OPUS: "opus"}
    channels = f"/{written.channels}" if written.channels > 1 else ""
    return f"{written.payload_type} {name.get(written.codec, written.codec.value)}/{written.clock_rate}{channels}"


def fmtp(written: MediaFormat) -> str:
    """The value of `a=fmtp` in an answer, "" where there is nothing to say."""
    return f"{written.payload_type} {written.fmtp}" if written.fmtp and written.codec in _ECHOED else ""
