"""PocketSphinx with the English model of its wheel: an engine for the demonstration and the tests, never for use.

It really recognises (about 40 % of words wrong in clean speech, 77 % through G.711), so that tests can tell which
party said something; every transcript it writes says that it is a test. With a grammar (JSGF, W3C note of 2000) that
says all it may hear, it hears digits too, at about one wrong of six.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.model.text import Segment, Word
from agent.transcribe.engine import ENGINE_RATE, Capabilities, EngineError, Heard, Spoken, confine

FRAME_S = 0.01
"""Length of a decoder frame (100 a second)."""


class SphinxEngine:
    """One decoder with the bundled en-us model."""

    name = "pocketsphinx"
    digest = ""
    test_only = True
    only_language = "en"
    capabilities = Capabilities("cpu", "float32", 1)

    def __init__(self, grammar: Path | None = None) -> None:
        """Load the decoder. Raises EngineError when pocketsphinx is not installed, or cannot read the grammar."""
        self.model = f"en-us{f' {grammar.name}' if grammar else ''} (test engine)"
        try:
            import pocketsphinx  # noqa: PLC0415 - an optional part
        except ImportError:
            raise EngineError('pocketsphinx is not installed: pip install "greffier[demo]"') from None
        self._sphinx = pocketsphinx
        self._lock = threading.Lock()
        limits = {"jsgf": str(grammar)} if grammar else {}
        try:
            self._decoder = pocketsphinx.Decoder(samprate=ENGINE_RATE, loglevel="FATAL", **limits)
        except RuntimeError:
            raise EngineError(f"{grammar}: pocketsphinx cannot read it: expected a grammar in JSGF") from None

    def transcribe(
        self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
    ) -> tuple[Segment, ...]:
        """See `Engine.transcribe`; `language` is ignored, the model knows English only."""
        pcm = (np.clip(pcm16k, -1.0, 1.0) * 32767).astype("<i2")
        end_s = offset_s + len(pcm) / ENGINE_RATE
        try:
            with self._lock:
                found = [self._utterance(pcm[a:b], channel, offset_s + a / ENGINE_RATE) for a, b in self._spoken(pcm)]
        except RuntimeError as error:
            raise EngineError(f"pocketsphinx failed: {error}") from None
        return tuple(confine(s, offset_s, end_s) for s in found if s is not None)

    def transcribe_window(self, pcm16k: npt.NDArray[np.float32], language: str, prefix: Sequence[Word]) -> Heard:
        """See `Engine.transcribe_window`; it hears the whole window each time and leaves out what was decided."""
        if not len(pcm16k):
            return Heard(())
        pcm = (np.clip(pcm16k, -1.0, 1.0) * 32767).astype("<i2")
        try:
            with self._lock:
                found = self._utterance(pcm, 0, 0.0)
        except RuntimeError as error:
            raise EngineError(f"pocketsphinx failed: {error}") from None
        decided_s = prefix[-1].end_s if prefix else 0.0
        whole = confine(found, 0.0, len(pcm) / ENGINE_RATE).words if found else ()
        return Heard(tuple(word for word in whole if (word.start_s + word.end_s) / 2 >= decided_s))

    def detect_language(self, pcm16k: npt.NDArray[np.float32]) -> Spoken | None:
        """See `Engine.detect_language`: whatever it hears, it takes for English."""
        return Spoken(self.only_language, 1.0, len(pcm16k) / ENGINE_RATE)

    def _spoken(self, pcm: npt.NDArray[np.int16]) -> Iterator[tuple[int, int]]:
        """Half-open spans of samples in which the library's own endpointer hears speech."""
        ears = self._sphinx.Endpointer(sample_rate=ENGINE_RATE)
        size = ears.frame_bytes // 2
        start: int | None = None
        for at in range(0, len(pcm), size):
            frame = pcm[at : at + size].tobytes()
            whole = len(frame) == ears.frame_bytes
            heard = ears.process(frame) if whole else (ears.end_stream(frame) if start is not None else None)
            if heard is not None and start is None:
                start = int(ears.speech_start * ENGINE_RATE)
            if start is not None and heard is not None and not ears.in_speech:
                yield start, min(len(pcm), int(ears.speech_end * ENGINE_RATE))
                start = None
        if start is not None:
            yield start, len(pcm)

    def _utterance(self, pcm: npt.NDArray[np.int16], channel: int, offset_s: float) -> Segment | None:
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return None
        words = tuple(
            Word(
                seg.word.partition("(")[0],
                offset_s + seg.start_frame * FRAME_S,
                offset_s + (seg.end_frame + 1) * FRAME_S,
                float(seg.prob),
            )
            for seg in decoder.seg()
            if not seg.word.startswith(("<", "["))
        )
        if not words:
            return None
        return Segment(channel, words[0].start_s, words[-1].end_s, " ".join(w.text for w in words), words)
