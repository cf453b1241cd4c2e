"""RTP headers (RFC 3550 §5.1) of a whole block, by column; RTCP on the same port (RFC 5761 §4) is told apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.media.block import SLOT_BYTES, PacketBlock

FIXED_BYTES = 12
FIRST_RTCP, LAST_RTCP = 192, 223


@dataclass(frozen=True, slots=True)
class Headers:
    """Columns of n packets. Where `valid` is false the other columns mean nothing.

    `sequence`: int64 0…65535; `timestamp`, `ssrc`: int64 of 32 bits; `payload_type`: uint8; `start`: int64, offset of
    the media inside the packet; `size`: int64, its bytes (without CSRC list, extension and padding).
    """

    valid: npt.NDArray[np.bool_]
    payload_type: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]
    ssrc: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


def parse(block: PacketBlock) -> Headers:
    """The headers of a block. Never raises on content: what is no RTP version 2 is not `valid`."""
    payload, length = block.payload, block.length
    words = payload[:, :FIXED_BYTES].copy().view(">u4")
    first = words[:, 0].astype(np.int64)
    kind = (first >> 16) & 0xFF
    valid = (length >= FIXED_BYTES) & (length <= SLOT_BYTES) & (first >> 30 == 2)
    valid &= (kind < FIRST_RTCP) | (kind > LAST_RTCP)
    start = np.full(len(length), FIXED_BYTES, np.int64)
    end = length.copy()
    odd = np.flatnonzero(valid & ((first >> 24) & 0x3F != 0))
    if len(odd):
        _measure(payload, first, odd, start, end)
    size = end - start
    valid &= size >= 0
    return Headers(
        valid,
        (kind & 0x7F).astype(np.uint8),
        first & 0xFFFF,
        words[:, 1].astype(np.int64),
        words[:, 2].astype(np.int64),
        start,
        size,
    )


def _measure(
    payload: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    odd: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
) -> None:
    """Set where the media of the packets `odd` begins and ends; an end before its start says it is malformed."""
    bits = first[odd] >> 24
    begin = FIXED_BYTES + 4 * (bits & 0x0F)
    stop = end[odd]
    extended = (bits & 0x10) != 0
    at = np.minimum(begin, SLOT_BYTES - 4)
    words = (payload[odd, at + 2].astype(np.int64) << 8) | payload[odd, at + 3]
    whole = begin + 4 <= stop
    begin = np.where(extended, np.where(whole, begin + 4 + 4 * words, stop + 1), begin)
    padded = (bits & 0x20) != 0
    padding = payload[odd, np.clip(stop - 1, 0, SLOT_BYTES - 1)].astype(np.int64)
    stop = np.where(padded, np.where(padding > 0, stop - padding, -1), stop)
    start[odd], end[odd] = begin, stop
