"""Which words of a window may be believed: none where its text bears a sign of being made up, none without a voice."""

from collections.abc import Sequence

from agent.model.text import Word
from agent.transcribe.engine import Heard
from agent.transcribe.invented import sign_of

EAR_S = 0.3
"""Word times are that exact: a word with no voice so near it was not said."""


def credible(heard: Heard, voiced_s: Sequence[tuple[float, float]]) -> tuple[Word, ...]:
    """The words that may be believed of what an engine heard; `voiced_s`: where there was voice, in the same time."""
    text = " ".join(word.text for word in heard.words)
    if sign_of(text, no_speech=heard.no_speech, logprob=heard.logprob) is not None:
        return ()
    return tuple(word for word in heard.words if _near(word, voiced_s))


def _near(word: Word, voiced_s: Sequence[tuple[float, float]]) -> bool:
    return any(start - EAR_S < word.end_s and word.start_s < end + EAR_S for start, end in voiced_s)
