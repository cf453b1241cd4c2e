"""What one visible span of one channel sounds like, from the stretches captured in it and from nothing else.

Whatever has a memory (decoders, resamplers, the correction of clocks) begins anew with each span and is fed only what
lies wholly in it, so that no bit of the result depends on what lies outside (I1).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from agent.capture.format import Malformed
from agent.capture.frames import unpack
from agent.media.decoders import Decoder, Pcm, rate_of
from agent.model.call import CLOCK_RATE, Codec, MediaFormat
from agent.model.media import Frames

LONGEST_SAMPLES = 24 * 3600 * CLOCK_RATE
"""Media beyond a day after the start of its call is no part of it."""
WIDE_RATE = 16000
"""Samples per second of calls in which somebody is heard above 4 kHz."""
_WINDOW = 1 << 16
_Piece = tuple[int, Pcm]
"""Where samples begin, counted at their own rate from the media origin, and the samples."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One MEDIA record: `samples` from `position` (at CLOCK_RATE), a byte each, or the packets of `frames`."""

    stream: int
    codec: Codec
    position: int
    samples: int
    payload: npt.NDArray[np.uint8]
    frames: Frames | None = None

    @property
    def format(self) -> MediaFormat:
        """What its payload is."""
        return MediaFormat(0, self.codec) if self.frames is None else self.frames.format

    @property
    def end(self) -> int:
        """The position just after it."""
        return self.position + self.samples


def stretch_of(stream: int, codec: Codec, position: int, payload: bytes) -> Stretch | None:
    """What the payload of a MEDIA record, or of a message of live sound, holds; None when it cannot be."""
    frames, media = None, np.frombuffer(payload, np.uint8)
    samples = len(media)
    if not codec.byte_a_sample:
        try:
            frames, media = unpack(codec, payload)
        except Malformed:
            return None
        samples = frames.samples
    if not 0 <= position <= LONGEST_SAMPLES - samples:
        return None
    return Stretch(stream, codec, position, samples, media, frames)


@dataclass(frozen=True, slots=True)
class Clock:
    """A sender's clock against ours: `ppm` faster since `anchor`, the position where its stream began."""

    anchor: int
    ppm: float

    def corrected(self, at: int, pcm: Pcm, rate: int) -> _Piece:
        """Samples at `rate` from `at` on the sender's clock, on ours: single ones left out or doubled, evenly."""
        pace, anchor = 1 + self.ppm / 1e6, self.anchor * rate / CLOCK_RATE
        low = int(anchor + (at - anchor) / pace) - 2
        ours = np.arange(low, int(anchor + (at + len(pcm) - anchor) / pace) + 3)
        theirs = np.floor(anchor + (ours - anchor) * pace).astype(np.int64) - at
        inside = (theirs >= 0) & (theirs < len(pcm))
        return (int(ours[inside][0]) if inside.any() else at), pcm[theirs[inside]]


@dataclass(frozen=True, slots=True)
class Sound:
    """What may be heard of a call: int16 [channels, samples]; `undecoded` packets of each channel are silence."""

    channels: npt.NDArray[np.int16]
    undecoded: tuple[int, ...]


def render(
    stretches: Iterable[Stretch], span: tuple[int, int], clocks: Mapping[int, Clock], rate: int
) -> tuple[Pcm, int]:
    """The span (half-open, positions at CLOCK_RATE) as int16 at `rate`, 8000 or 16000; silence where nothing is.

    Also how many packets could not be decoded.

    Sound of that rate is placed as it is, later stretches over earlier ones; any other is resampled and added.
    `clocks` are those of streams whose sender's has to be corrected.
    """
    start, end = span
    by_rate: dict[int, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        if stretch.position < end and start < stretch.end:
            by_rate[rate_of(stretch.format)].append(stretch)
    heard = np.zeros((end - start) * rate // CLOCK_RATE, np.int16)
    used: list[Decoder] = []
    for native in sorted(by_rate, key=lambda r: r != rate):
        low, high = -(-start * native // CLOCK_RATE), end * native // CLOCK_RATE
        pieces = _clipped(_pieces(by_rate[native], span, clocks, used), low, high)
        if native == rate:
            for at, pcm in pieces:
                heard[at : at + len(pcm)] = pcm
        else:
            _add(heard, _resampled(pieces, high - low, native, rate))
    return heard, sum(decoder.failed for decoder in used)


def _pieces(
    stretches: list[Stretch], span: tuple[int, int], clocks: Mapping[int, Clock], used: list[Decoder]
) -> Iterator[_Piece]:
    """All that is decoded of the stretches, in their order, each format of a stream by one decoder until it changes.

    The decoders are added to `used`.
    """
    decoders: dict[int, tuple[MediaFormat, Decoder]] = {}
    for stretch in stretches:
        if stretch.stream not in decoders or decoders[stretch.stream][0] != stretch.format:
            decoders[stretch.stream] = (stretch.format, Decoder(stretch.format))
            used.append(decoders[stretch.stream][1])
        decoder, clock = decoders[stretch.stream][1], clocks.get(stretch.stream)
        for begin, end, payload in packets(stretch, span):
            at, to = (round(position * decoder.rate / CLOCK_RATE) for position in (begin, end))
            piece = (at - decoder.delay, decoder.decode(payload, to - at))
            yield clock.corrected(*piece, decoder.rate) if clock else piece


def packets(stretch: Stretch, span: tuple[int, int]) -> Iterator[tuple[int, int, npt.NDArray[np.uint8]]]:
    """Begin, end and bytes of what lies wholly in the span; of codecs with a byte a sample as one."""
    frames = stretch.frames
    if frames is None:
        begin, end = max(stretch.position, span[0]), min(stretch.end, span[1])
        yield begin, end, stretch.payload[begin - stretch.position : end - stretch.position]
        return
    edges = np.concatenate([[0], np.cumsum(frames.size)])
    begins, ends = frames.begin + stretch.position, frames.begin + frames.duration + stretch.position
    for n in np.flatnonzero((begins >= span[0]) & (ends <= span[1])):
        yield int(begins[n]), int(ends[n]), stretch.payload[edges[n] : edges[n + 1]]


def _clipped(pieces: Iterator[_Piece], low: int, high: int) -> Iterator[_Piece]:
    """The pieces within [low, high), counted from `low`."""
    for at, pcm in pieces:
        part = pcm[max(0, low - at) : max(0, high - at)]
        if len(part):
            yield max(at, low) - low, part


def _resampled(pieces: Iterator[_Piece], length: int, native: int, rate: int) -> Iterator[npt.NDArray[np.float32]]:
    """The pieces of a span of `length` samples at `native`, at `rate`, in parts that follow one another."""
    stream = soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ")
    left = length
    for window in _windows(pieces):
        part = window[:left]
        left -= len(part)
        yield stream.resample_chunk(part)
    while left > 0:
        part = np.zeros(min(left, _WINDOW), np.float32)
        left -= len(part)
        yield stream.resample_chunk(part)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _windows(pieces: Iterator[_Piece]) -> Iterator[npt.NDArray[np.float32]]:
    """Windows of samples, one after the other from 0 until the last piece. What would lie in one given out is lost."""
    window, base = np.zeros(_WINDOW, np.float32), 0
    for at, whole in pieces:
        begin, pcm = max(at, base), whole[max(0, base - at) :]
        while len(pcm):
            if begin >= base + _WINDOW:
                yield window
                window, base = np.zeros(_WINDOW, np.float32), base + _WINDOW
                continue
            part = pcm[: base + _WINDOW - begin]
            window[begin - base : begin - base + len(part)] = part
            begin, pcm = begin + len(part), pcm[len(part) :]
    yield window


def _add(heard: Pcm, parts: Iterable[npt.NDArray[np.float32]]) -> None:
    at = 0
    for part in parts:
        into = heard[at : at + len(part)]
        into[:] = np.clip(np.rint(into + part[: len(into)]), -32768, 32767)
        at += len(part)
