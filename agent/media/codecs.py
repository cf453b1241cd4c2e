"""How long the sound in an RTP payload is, by column, for every codec that is kept as it came.

The rules are those of each codec's payload format: RFC 3551 §4.5 (G.711, G.722, G.729, GSM, L16), RFC 3952 (iLBC),
RFC 6716 §3.1 (Opus), RFC 4867 §4.3 and §4.4 (AMR, AMR-WB). Nothing is decoded here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE, Codec, MediaFormat

FRAME = 160
"""Samples in 20 ms: the frame of GSM, AMR and iLBC's shorter mode, and what a packet of an unknown codec counts as."""
LONGEST_OPUS = 960
"""Samples in 120 ms, the most that an Opus packet may hold (RFC 6716 §3.4 R5)."""
MOST_AMR_FRAMES = 12
"""Frames in one payload that are read: 240 ms, twice what anyone sends."""
AMR_BITS = (95, 103, 118, 134, 148, 159, 204, 244, 39, -1, -1, -1, -1, -1, -1, 0)
"""Speech bits by frame type (RFC 4867 §3.6 and table 1a of 3GPP TS 26.101); -1 is none that may be sent."""
AMR_WB_BITS = (132, 177, 253, 285, 317, 365, 397, 461, 477, 40, -1, -1, -1, -1, 0, 0)
"""The same for AMR-WB (table 1a of 3GPP TS 26.201); 14 is speech lost, 15 nothing to send."""

_OPUS_FRAME = np.array(
    [*[80, 160, 320, 480] * 3, *[80, 160] * 2, *[20, 40, 80, 160] * 4],
    np.int64,
)
"""Samples at 8000 Hz of a frame, by the configuration in the first five bits (RFC 6716 table 2)."""

Column = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AmrPacking:
    """How AMR frames lie in a payload, from `fmtp` (RFC 4867 §8.1).

    `readable` is false with checksums, interleaving, robust sorting or several channels: no phone sends these.
    """

    octet_aligned: bool
    readable: bool


def amr_packing(what: MediaFormat) -> AmrPacking:
    """The packing that `what.fmtp` says; bandwidth-efficient when it says nothing."""
    on = {name for name, value in parameters(what.fmtp).items() if value not in ("", "0")}
    readable = what.channels == 1 and not on & {"crc", "interleaving", "robust-sorting"}
    return AmrPacking("octet-align" in on, readable)


def parameters(fmtp: str) -> dict[str, str]:
    """The parameters of an fmtp line, `name=value` parted by semicolons, names in lower case."""
    pairs = (part.partition("=") for part in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def durations(what: MediaFormat, memory: Bytes, start: Column, size: Column) -> Column:
    """Samples at 8000 Hz of each RTP payload, int64[n]; 0 is no audio: empty, malformed, or not of this codec.

    `memory` is uint8; payload i is `memory[start[i] : start[i] + size[i]]`, int64[n] each. What a payload says is never
    trusted beyond its size. An unknown codec counts as 20 ms a packet.
    """
    rule = _RULES.get(what.codec)
    return np.zeros_like(size) if rule is None else rule(what, memory, start, size)


def _byte(memory: Bytes, start: Column, size: Column, at: int | Column) -> Column:
    """Byte `at` of each payload; 0 beyond its end."""
    if len(memory) == 0:
        return np.zeros_like(size)
    read = memory[np.clip(start + at, 0, len(memory) - 1)].astype(np.int64)
    return np.where(size > at, read, 0)


def _size(_: MediaFormat, __: Bytes, ___: Column, size: Column) -> Column:
    return size.copy()


def _g729(_: MediaFormat, __: Bytes, ___: Column, size: Column) -> Column:
    """Frames of ten bytes; the last may be a SID of two (RFC 3551 §4.5.6)."""
    rest = size % 10
    return np.where((rest == 0) | (rest == 2), (size // 10 + (rest == 2)) * 80, 0)


def _gsm(_: MediaFormat, __: Bytes, ___: Column, size: Column) -> Column:
    return np.where(size % 33 == 0, size // 33 * FRAME, 0)


def _ilbc(_: MediaFormat, __: Bytes, ___: Column, size: Column) -> Column:
    """The mode is in the size: no packet is so long that it could be of both."""
    return np.where(size % 38 == 0, size // 38 * FRAME, np.where(size % 50 == 0, size // 50 * 240, 0))


def _l16(what: MediaFormat, _: Bytes, __: Column, size: Column) -> Column:
    whole = 2 * max(what.channels, 1)
    return np.where(size % whole == 0, size // whole * CLOCK_RATE // max(what.clock_rate, 1), 0)


def _other(_: MediaFormat, __: Bytes, ___: Column, size: Column) -> Column:
    return np.where(size > 0, FRAME, 0)


def _opus(_: MediaFormat, memory: Bytes, start: Column, size: Column) -> Column:
    first, second = _byte(memory, start, size, 0), _byte(memory, start, size, 1)
    code = first & 3
    frames = np.where(code == 3, second & 63, np.minimum(code + 1, 2))
    samples = frames * _OPUS_FRAME[first >> 3]
    fits = np.where(code == 1, size % 2 == 1, size >= np.minimum(code, 2)) & (size > 0)
    return np.where(fits & (samples <= LONGEST_OPUS), samples, 0)


def _amr(what: MediaFormat, memory: Bytes, start: Column, size: Column) -> Column:
    packing = amr_packing(what)
    if not packing.readable:
        return np.zeros_like(size)
    speech = np.array(AMR_WB_BITS if what.codec is Codec.AMR_WB else AMR_BITS, np.int64)
    frames, bits = np.zeros_like(size), np.zeros_like(size)
    more, good = size > 0, size > 0
    for k in range(MOST_AMR_FRAMES):
        if packing.octet_aligned:
            entry = _byte(memory, start, size, 1 + k) >> 2
        else:
            at = 4 + 6 * k
            two = _byte(memory, start, size, at // 8) << 8 | _byte(memory, start, size, at // 8 + 1)
            entry = two >> (10 - at % 8) & 63
        length = speech[entry >> 1 & 15]
        good &= ~more | (length >= 0)
        frames += more
        bits += np.where(more, (length + 7 & -8) + 8 if packing.octet_aligned else length + 6, 0)
        more = more & (entry & 32 > 0)
    bits += 8 if packing.octet_aligned else 4
    return np.where(good & ~more & (bits <= 8 * size), frames * FRAME, 0)


_RULES: dict[Codec, Callable[[MediaFormat, Bytes, Column, Column], Column]] = {
    Codec.PCMU: _size,
    Codec.PCMA: _size,
    Codec.G722: _size,
    Codec.OPUS: _opus,
    Codec.G729: _g729,
    Codec.GSM: _gsm,
    Codec.ILBC: _ilbc,
    Codec.L16: _l16,
    Codec.AMR: _amr,
    Codec.AMR_WB: _amr,
    Codec.OTHER: _other,
}
