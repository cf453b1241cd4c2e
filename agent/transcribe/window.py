"""One short window through a Whisper model, without the 30 seconds of padding that faster-whisper puts around it.

The encoder takes a window as short as it is (a sixth of the cost at 10 s); what was decided before is given to the
decoder as its beginning, so that only what is new is decoded; word times come from the cross attention (`align`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.model.text import Word
from agent.transcribe.engine import ENGINE_RATE, LONGEST_WINDOW_S, Heard

MOST_TOKENS_PER_S = 12.0
"""French speech at its fastest has about eight; a model that writes more than this invents."""
_SPARE_TOKENS = 8
_MOST_TOKENS = 224
"""Half of Whisper's text context: CTranslate2 takes no more, see `_max_length`."""
_MOST_PREFIX = 112
_FRAME = ENGINE_RATE // 100
_SHORTEST_S = 0.1
_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"


def hear(
    model: Any, tokenizer: Any, pcm16k: npt.NDArray[np.float32], prefix: Sequence[Word], tokens_per_s: float
) -> Heard:
    """What follows `prefix` in the window; `model` is a faster_whisper.WhisperModel, `tokenizer` its in a language."""
    from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations  # noqa: PLC0415

    encoded, frames = encode(model, pcm16k)
    if encoded is None:
        return Heard(())
    said = _tokens(tokenizer, prefix)
    left_s = len(pcm16k) / ENGINE_RATE - (prefix[-1].end_s if prefix else 0.0)
    new = min(int(max(left_s, 0.0) * tokens_per_s) + _SPARE_TOKENS, _MOST_TOKENS - len(said))
    prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps, *said]
    result = model.model.generate(
        encoded,
        [prompt],
        beam_size=1,
        max_length=_max_length(len(said) + new, len(prompt)),
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        return_scores=True,
        return_no_speech_prob=True,
    )[0]
    written = [token for token in result.sequences_ids[0][len(said) :] if token < tokenizer.eot]
    if not written:
        return Heard((), result.no_speech_prob, result.scores[0])
    timed = model.find_alignment(tokenizer, [[*said, *written]], encoded, frames)[0]
    counted, following = 0, []
    for word in timed:
        if counted >= len(said):  # one that the last decided word runs into stays as it was decided
            following.append(word)
        counted += len(word["tokens"])
    merge_punctuations(following, _PREPENDED, _APPENDED)
    return Heard(_words(following, len(pcm16k) / ENGINE_RATE), result.no_speech_prob, result.scores[0])


def encode(model: Any, pcm16k: npt.NDArray[np.float32]) -> tuple[Any, int]:
    """The encoder's output for the window and its length in frames of 10 ms; (None, 0) of one that is too short."""
    if len(pcm16k) > LONGEST_WINDOW_S * ENGINE_RATE:
        raise ValueError(f"a window has at most {LONGEST_WINDOW_S:g} s")
    if len(pcm16k) < _SHORTEST_S * ENGINE_RATE:
        return None, 0
    frames = -(-len(pcm16k) // (2 * _FRAME)) * 2  # the encoder halves them
    features = model.feature_extractor(np.pad(pcm16k, (0, frames * _FRAME - len(pcm16k))))[:, :frames]
    return model.encode(features), frames


def _tokens(tokenizer: Any, prefix: Sequence[Word]) -> list[int]:
    """The words as tokens, without the first ones where they would leave no room for others."""
    tokens: list[int] = tokenizer.encode("".join(f" {word.text}" for word in prefix))
    return tokens if len(tokens) <= _MOST_PREFIX else _tokens(tokenizer, prefix[1:])


def _max_length(tokens: int, prompt: int) -> int:
    """What `max_length` must be for so many tokens after the prompt's control tokens.

    CTranslate2 generates at most half of it (as openai/whisper's `sample_len` is half the text context), and counts
    the words that the prompt begins with.
    """
    return min(max(2 * tokens, tokens + prompt), 2 * _MOST_TOKENS)


def _words(timed: Sequence[dict[str, Any]], end_s: float) -> tuple[Word, ...]:
    def inside(time_s: float) -> float:
        return round(min(max(float(time_s), 0.0), end_s), 3)

    spoken = [w for w in timed if any(letter.isalnum() for letter in w["word"])]
    return tuple(
        Word(w["word"].strip(), inside(w["start"]), inside(w["end"]), min(max(float(w["probability"]), 0.0), 1.0))
        for w in spoken
    )
