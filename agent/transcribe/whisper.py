"""faster-whisper from a model folder on this disk, and from nowhere else (DESIGN I8).

The settings are the measured ones: int8 on one thread a worker (two threads make decoding slower), beam 5, Silero VAD
before the model, no text carried from one window to the next (it feeds repetitions), temperatures capped at 0.4. Live
windows are decoded by the same weights, greedily (`agent.transcribe.window`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.model.text import Segment, Word
from agent.transcribe import window
from agent.transcribe.device import Device
from agent.transcribe.engine import ENGINE_RATE, LONGEST_WINDOW_S, Capabilities, EngineError, Heard, Spoken, confine
from agent.transcribe.invented import Sign, sign_of
from agent.transcribe.models import Model
from agent.transcribe.offline import go_offline

TEMPERATURES: tuple[float, ...] = (0.0, 0.2, 0.4)
BEAM = 5
VAD = {"threshold": 0.35, "speech_pad_ms": 300, "min_silence_duration_ms": 500}
DETECT_S = 30
"""So much speech tells its language: one window of the model."""


class WhisperEngine:
    """A CTranslate2 Whisper model, loaded once, for any number of threads."""

    name = "faster-whisper"
    test_only = False
    only_language: str | None = None

    def __init__(self, model: Model, device: Device, tokens_per_s: float = window.MOST_TOKENS_PER_S) -> None:
        """Load the model. Raises EngineError, naming the folder, when its files are no Whisper model."""
        go_offline()
        from faster_whisper import WhisperModel  # noqa: PLC0415 - only after the offline switch is set

        if not (model.path / "tokenizer.json").is_file():
            raise EngineError(f"{model.path}: no tokenizer.json, and none is ever downloaded; add the model again")
        try:
            self._model: Any = WhisperModel(
                str(model.path),
                device=device.name,
                compute_type=device.compute,
                cpu_threads=1,
                num_workers=device.workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError, TypeError) as error:
            raise EngineError(f"{model.path}: does not load as a Whisper model: {error}") from None
        except Exception as error:  # tokenizers raises bare Exception for a broken tokenizer.json
            raise EngineError(f"{model.path}: tokenizer.json cannot be read: {error}") from None
        self.model = model.name
        self.digest = model.sha256
        self.capabilities = Capabilities(device.name, device.compute, device.workers)
        self._tokenizers: dict[str, Any] = {}
        self._batch = device.batch
        self._tokens_per_s = tokens_per_s
        if not self._model.model.is_multilingual:
            self.only_language = "en"

    def transcribe(
        self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
    ) -> tuple[Segment, ...]:
        """See `Engine.transcribe`."""
        from faster_whisper import BatchedInferencePipeline  # noqa: PLC0415

        end_s = offset_s + len(pcm16k) / ENGINE_RATE
        batched = {"batch_size": self._batch} if self._batch > 1 else {}
        reader = BatchedInferencePipeline(self._model) if batched else self._model  # it keeps state: one a text
        try:
            found, _ = reader.transcribe(
                pcm16k,
                language=self.only_language or language,
                beam_size=BEAM,
                temperature=TEMPERATURES,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=True,
                vad_parameters=VAD,
                **batched,
            )
            return tuple(confine(s, offset_s, end_s) for s in _segments(found, channel, offset_s))
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper with model {self.model} failed: {error}") from None

    def transcribe_window(self, pcm16k: npt.NDArray[np.float32], language: str, prefix: Sequence[Word]) -> Heard:
        """See `Engine.transcribe_window`."""
        try:
            return window.hear(self._model, self._tokenizer(language), pcm16k, prefix, self._tokens_per_s)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper with model {self.model} failed: {error}") from None

    def detect_language(self, pcm16k: npt.NDArray[np.float32]) -> Spoken | None:
        """See `Engine.detect_language`: by the first half minute of speech, by no more than there is."""
        if self.only_language is not None:
            return Spoken(self.only_language, 1.0, len(pcm16k) / ENGINE_RATE)
        from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps  # noqa: PLC0415 - as above

        if not (spoken := get_speech_timestamps(pcm16k, VadOptions(**VAD))):
            return None
        speech = np.concatenate(collect_chunks(pcm16k, spoken)[0])[: DETECT_S * ENGINE_RATE]
        try:
            if len(speech) > LONGEST_WINDOW_S * ENGINE_RATE:
                language, probability, _ = self._model.detect_language(speech)
            else:
                encoded, _ = window.encode(self._model, speech)
                if encoded is None:
                    return None
                language, probability = self._model.model.detect_language(encoded)[0][0]
            return Spoken(str(language).strip("<|>"), float(probability), len(speech) / ENGINE_RATE)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"faster-whisper with model {self.model} failed: {error}") from None

    def _tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415

        language = self.only_language or language
        if language not in self._tokenizers:  # it finds out anew each time which tokens are no speech
            known = self._model.hf_tokenizer, self._model.model.is_multilingual
            self._tokenizers[language] = Tokenizer(*known, task="transcribe", language=language)
        return self._tokenizers[language]


def _segments(found: Iterable[Any], channel: int, offset_s: float) -> Iterable[Segment]:
    for s in found:
        doubt = sign_of(s.text, no_speech=s.no_speech_prob, logprob=s.avg_logprob) is Sign.DOUBT
        text = s.text.strip()
        if not text:
            continue
        words = tuple(
            Word(w.word.strip(), offset_s + w.start, offset_s + w.end, float(w.probability)) for w in s.words or ()
        )
        yield Segment(channel, offset_s + s.start, offset_s + s.end, text, words, doubt)
