"""Live sound as the recorder sends it, made samples that live transcription can hear: mono int16 at CLOCK_RATE.

Only text is made of it, so each stretch is brought to that rate by itself: nobody listens to the seams.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soxr

from agent.media.decoders import Decoder, Pcm, is_decodable
from agent.model.call import CLOCK_RATE, Codec, MediaFormat
from agent.scribe.sound import Stretch, packets


class LiveSound:
    """One stream. Its decoder keeps its state from stretch to stretch, until the format changes."""

    def __init__(self) -> None:
        self._what = MediaFormat(0, Codec.OTHER)
        self._decoder = Decoder(self._what)

    def hear(self, stretch: Stretch) -> Iterator[tuple[int, Pcm]]:
        """The samples of a stretch, and the media positions where its parts begin; none of what nothing can decode."""
        if not is_decodable(stretch.format):
            return
        if stretch.format != self._what:
            self._what, self._decoder = stretch.format, Decoder(stretch.format)
        begin, end, parts = stretch.position, stretch.position, list[Pcm]()
        for at, after, payload in packets(stretch, (stretch.position, stretch.end)):
            if at != end and parts:
                yield begin, self._at_clock_rate(parts)
                parts = []
            if not parts:
                begin = at
            parts.append(self._decoder.decode(payload, (after - at) * self._decoder.rate // CLOCK_RATE))
            end = after
        if parts:
            yield begin, self._at_clock_rate(parts)

    def _at_clock_rate(self, parts: list[Pcm]) -> Pcm:
        pcm = np.concatenate(parts)
        if self._decoder.rate == CLOCK_RATE:
            return pcm
        resampled: npt.NDArray[np.float32] = soxr.resample(pcm.astype(np.float32), self._decoder.rate, CLOCK_RATE)
        clipped: Pcm = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
        return clipped
