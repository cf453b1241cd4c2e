"""RTP headers (RFC 3550 §5.1) of a whole block, by column; RTCP on the same port (RFC 5761 §4) is told apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.media.block import PacketBlock, gather

FIXED_BYTES = 12
FIRST_RTCP, LAST_RTCP = 192, 223


@dataclass(frozen=True, slots=True)
class Headers:
    """Columns of n packets. Where `valid` is false the other columns mean nothing.

    `sequence`: int64 0…65535; `timestamp`, `ssrc`: int64 of 32 bits; `payload_type`: uint8; `start`: int64, offset of
    the media in the memory of the block; `size`: int64, its bytes (without CSRC list, extension and padding).
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
    length = block.length
    words = gather(block.memory, block.start, FIXED_BYTES).view(">u4")
    first = words[:, 0].astype(np.int64)
    kind = (first >> 16) & 0xFF
    valid = (length >= FIXED_BYTES) & (first >> 30 == 2)
    valid &= (kind < FIRST_RTCP) | (kind > LAST_RTCP)
    start = block.start + FIXED_BYTES
    size = length - FIXED_BYTES
    odd = np.flatnonzero(valid & ((first >> 24) & 0x3F != 0))
    if len(odd):
        start[odd], size[odd] = _measure(block, first[odd] >> 24, odd)
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
    block: PacketBlock, bits: npt.NDArray[np.int64], odd: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the media of the packets `odd` begins, and its bytes; negative when the packet is malformed."""
    memory, last = block.memory, len(block.memory) - 1
    stop = block.start[odd] + block.length[odd]
    begin = block.start[odd] + FIXED_BYTES + 4 * (bits & 0x0F)
    extended = (bits & 0x10) != 0
    words = memory[np.minimum(begin + 2, last)].astype(np.int64) << 8 | memory[np.minimum(begin + 3, last)]
    begin = np.where(extended, np.where(begin + 4 <= stop, begin + 4 + 4 * words, stop + 1), begin)
    padding = memory[np.clip(stop - 1, 0, last)].astype(np.int64)
    padding = np.where((bits & 0x20) == 0, 0, np.where(padding > 0, padding, stop + 1))
    return begin, stop - padding - begin
