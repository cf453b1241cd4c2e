"""A few thousand packets at once as numpy columns: what every source of media hands to the engine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SLOT_BYTES = 2048
"""Room for one UDP payload; longer ones are cut, and are no audio anyway."""


@dataclass(frozen=True, slots=True)
class PacketBlock:
    """Packets in order of arrival (within one port at least). The arrays may be reused after the next read.

    `payload`: uint8[n, SLOT_BYTES], whole UDP payloads; `length`: int64[n], their bytes; `port`: uint16[n], local UDP
    port; `arrival_ns`: int64[n], monotonic ns at which the kernel received them.
    """

    payload: npt.NDArray[np.uint8]
    length: npt.NDArray[np.int64]
    port: npt.NDArray[np.uint16]
    arrival_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.length)
