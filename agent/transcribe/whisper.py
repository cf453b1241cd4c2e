"""faster-whisper from a model folder on this disk, and from nowhere else (DESIGN I8).

The settings are the measured ones: int8 on one thread a worker (two threads make decoding slower), beam 5, Silero VAD
before the model, no text carried from one window to the next (it feeds repetitions), temperatures capped at 0.4.
"""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.model.text import Segment, Word
from agent.transcribe.engine import ENGINE_RATE, EngineError, confine
from agent.transcribe.models import Model

TEMPERATURES = (0.0, 0.2, 0.4)
BEAM = 5
VAD = {"threshold": 0.35, "speech_pad_ms": 300, "min_silence_duration_ms": 500}
NO_SPEECH, POOR_LOGPROB = 0.6, -1.0
"""A segment that the model itself thinks is silence, and is unsure of, is dropped."""


class WhisperEngine:
    """A CTranslate2 Whisper model, loaded once."""

    name = "faster-whisper"
    test_only = False
    only_language: str | None = None

    def __init__(self, model: Model) -> None:
        """Load the model. Raises EngineError, naming the folder, when its files are no Whisper model."""
        go_offline()
        from faster_whisper import WhisperModel  # noqa: PLC0415 - only after the offline switch is set

        if not (model.path / "tokenizer.json").is_file():
            raise EngineError(f"{model.path}: no tokenizer.json, and none is ever downloaded; add the model again")
        try:
            self._model: Any = WhisperModel(
                str(model.path), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
            )
        except (RuntimeError, ValueError, OSError, TypeError) as error:
            raise EngineError(f"{model.path}: does not load as a Whisper model: {error}") from None
        except Exception as error:  # tokenizers raises bare Exception for a broken tokenizer.json
            raise EngineError(f"{model.path}: tokenizer.json cannot be read: {error}") from None
        self.model = model.name
        self.digest = model.sha256
        if not self._model.model.is_multilingual:
            self.only_language = "en"

    def transcribe(
        self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
    ) -> tuple[Segment, ...]:
        """See `Engine.transcribe`."""
        end_s = offset_s + len(pcm16k) / ENGINE_RATE
        try:
            found, _ = self._model.transcribe(
                pcm16k,
                language=self.only_language or language,
                beam_size=BEAM,
                temperature=TEMPERATURES,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=True,
                vad_parameters=VAD,
            )
            return tuple(confine(s, offset_s, end_s) for s in _segments(found, channel, offset_s))
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper with model {self.model} failed: {error}") from None


def go_offline() -> None:
    """Tell every Hugging Face library in this process that there is no network. Call before the first import."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _segments(found: Iterable[Any], channel: int, offset_s: float) -> Iterable[Segment]:
    for s in found:
        if s.no_speech_prob > NO_SPEECH and s.avg_logprob < POOR_LOGPROB:
            continue
        text = s.text.strip()
        if not text:
            continue
        words = tuple(
            Word(w.word.strip(), offset_s + w.start, offset_s + w.end, float(w.probability)) for w in s.words or ()
        )
        yield Segment(channel, offset_s + s.start, offset_s + s.end, text, words)
