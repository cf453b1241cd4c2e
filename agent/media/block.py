"""A few thousand packets at once as numpy columns: frames as seen, and what every source hands to the engine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SLOT_BYTES = 2048
"""Room for one UDP payload where a source has room of one size; longer ones are cut, and are no audio anyway."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Network frames in order of arrival. The arrays may be reused after the next read.

    `memory`: uint8; `start`, `stop`: int64[n], where in it each lies; `kind`: int64[n], what it begins with (see
    `agent.media.frames.parse`); `arrival_ns`: int64[n], ns of the clock of whoever saw it.
    """

    memory: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    arrival_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class PacketBlock:
    """UDP packets in order of arrival (at one address at least). The arrays may be reused after the next read.

    `memory`: uint8, holds every payload; `start`, `length`: int64[n], where in it each lies, `start + length` always
    inside; `destination`, `source`: int64[n], addresses as `agent.media.endpoint.key` has them; `arrival_ns`: int64[n],
    monotonic ns at which the kernel received them.
    """

    memory: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    destination: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    arrival_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def between(self, first: int, after: int) -> "PacketBlock":
        """The packets `first` to `after` - 1, in the same memory."""
        return self.take(slice(first, after))

    def take(self, chosen: npt.NDArray[np.bool_] | slice) -> "PacketBlock":
        """The packets chosen, in the same order and the same memory."""
        columns = (self.start, self.length, self.destination, self.source, self.arrival_ns)
        return PacketBlock(self.memory, *(column[chosen] for column in columns))


def gather(memory: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    """uint8[n, size]: `size` bytes from each offset. Where memory ends before, the bytes mean nothing."""
    if len(memory) < size:
        return np.zeros((len(at), size), np.uint8)
    item = np.dtype(f"V{size}")
    items = np.ndarray((len(memory) - size + 1,), item, memory, strides=(1,))
    return items[np.minimum(at, len(items) - 1)].view(np.uint8).reshape(-1, size)
