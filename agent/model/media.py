"""Stretches of in-order media, as the media engine hands them to the gate."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agent.model.call import Codec, MediaFormat


@dataclass(frozen=True, slots=True)
class Frames:
    """The packets of a stretch whose codec has no byte a sample, in order; the payload is their bytes, end to end.

    `begin`, `duration`: int64[n], samples from the stretch's position, none beyond its end; `size`: int64[n], bytes;
    `samples`: how long the stretch is, gaps included.
    """

    format: MediaFormat
    samples: int
    begin: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """One stream's next stretch of in-order media, which begins at `position_samples` from the call's media origin.

    `payload` is uint8: one byte a sample (G.711 stays G.711), losses filled with the codec's silence; or, with
    `frames`, the packets of any other codec as they came. `lost_samples` of the stretch are filling or missing.
    """

    call_id: str
    stream: int
    codec: Codec
    position_samples: int
    payload: npt.NDArray[np.uint8]
    lost_samples: int = 0
    frames: Frames | None = None

    @property
    def samples(self) -> int:
        """How long the stretch is."""
        return len(self.payload) if self.frames is None else self.frames.samples

    @property
    def end_samples(self) -> int:
        """The position just after the last sample."""
        return self.position_samples + self.samples


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key pressed on a phone (RFC 4733 §2.5), reported once however many packets told of it.

    `event`: 0–15 are the digits, *, #, A–D; `position_samples`: where in the call it began.
    """

    call_id: str
    stream: int
    event: int
    position_samples: int


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What the engine counted for one stream over its life, in packets unless named otherwise.

    `lost` = expected by sequence number but never placed; `late` = arrived after their place was handed on (these are
    also in `lost`); `foreign` = of another source or payload type, malformed, or of a size that is no audio; `stale` =
    meant for the stream that had the address before (these are in no other count); `jumps` = restarts of the sequence
    (new SSRC, or a leap beyond the reorder window); `undecryptable` = SRTP that no key opens (in no other count);
    `keys` = keys pressed, each once; `noise` = comfort noise packets. `jitter_ms` is that of RFC 3550 §6.4.1 at the
    end, `jitter_max_ms` its highest; `drift_ppm` how much faster the sender's clock ran than ours (0: not known);
    `packet_ms` the length of its packets; `formats` the codecs that came, by name.
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
    undecryptable: int = 0
    keys: int = 0
    noise: int = 0
    jitter_ms: float = 0.0
    jitter_max_ms: float = 0.0
    drift_ppm: float = 0.0
    packet_ms: float = 0.0
    formats: tuple[str, ...] = ()
