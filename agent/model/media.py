"""Stretches of in-order media, as the media engine hands them to the gate."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agent.model.call import Codec


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """One stream's next stretch of in-order media.

    `payload` is uint8, one byte a sample (G.711 stays G.711), losses filled with the codec's silence; the first
    byte lies at `position_samples` from the call's media origin. `lost_samples` of them are filling.
    """

    call_id: str
    stream: int
    codec: Codec
    position_samples: int
    payload: npt.NDArray[np.uint8]
    lost_samples: int = 0

    @property
    def end_samples(self) -> int:
        """The position just after the last sample."""
        return self.position_samples + len(self.payload)


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What the engine counted for one stream over its life, in packets unless named otherwise.

    `lost` = expected by sequence number but never placed; `late` = arrived after their place was handed on (these are
    also in `lost`); `foreign` = of another source or payload type, malformed, or of a size that is no audio; `stale` =
    meant for the stream that had the address before (these are in no other count); `jumps` = restarts of the sequence
    (new SSRC, or a leap beyond the reorder window).
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    foreign: int = 0
    stale: int = 0
    jumps: int = 0
    ssrcs: tuple[int, ...] = field(default=())
