"""Words that nobody said: Whisper writes subtitles' last lines into silence, and repeats itself over noise.

Each rule is one that its users found to hold: the model's own doubt (`no_speech`), text that compresses too well
(openai/whisper `transcribe.py` has both, with these limits), well-known last lines, and words where nobody spoke.
"""

import re
import zlib
from collections.abc import Sequence

from agent.model.text import Word
from agent.transcribe.engine import Heard

NO_SPEECH, POOR_LOGPROB = 0.6, -1.0
MOST_COMPRESSION = 2.4
EAR_S = 0.3
"""Word times are that exact: a word with no voice so near it was not said."""
_OUTROS = re.compile(
    r"sous[- ]titr(es|age) (réalisés?|faits?|par|st|fr|société)\b.*|.*\bamara org\b.*"
    r"|.*\bsociété radio[- ]canada\b.*"
    r"|merci d avoir (regardé|suivi|écouté)( cette| la)? (vidéo|émission)s?.*"
    r"|(n oubliez pas de vous abonner|abonnez[- ]vous)( à (la|ma|notre) chaîne)?( youtube)?"
    r"|.*\babonnez[- ]vous\b.*\bchaîne\b.*"
    r"|à (la prochaine|bientôt) (pour|dans) une (nouvelle|prochaine) vidéo.*"
    r"|(thanks?|thank you)( (so|very) much)? for (watching|viewing)\b.*"
    r"|((please |don t forget to |like and )+subscribe|subscribe to (my|our|the) channel)\b.*"
    r"|subtitles (by|created by|provided by)\b.*|.*\bsee you in the next video\b.*"
)
"""Whole texts that are no speech of a call, without punctuation and capitals."""


def credible(heard: Heard, voiced_s: Sequence[tuple[float, float]]) -> tuple[Word, ...]:
    """The words that may be believed of what an engine heard; `voiced_s`: where there was voice, in the same time."""
    if heard.no_speech > NO_SPEECH and heard.logprob < POOR_LOGPROB:
        return ()
    text = " ".join(word.text for word in heard.words)
    if repeats(text) or is_outro(text):
        return ()
    return tuple(word for word in heard.words if _near(word, voiced_s))


def repeats(text: str) -> bool:
    """Whether the same is said over and over."""
    encoded = text.encode()
    return len(encoded) > MOST_COMPRESSION * len(zlib.compress(encoded))


def is_outro(text: str) -> bool:
    """Whether the whole text is a line that ends videos."""
    words = re.sub(r"[^\w-]+", " ", text.casefold()).strip()
    return _OUTROS.fullmatch(words) is not None


def _near(word: Word, voiced_s: Sequence[tuple[float, float]]) -> bool:
    return any(start - EAR_S < word.end_s and word.start_s < end + EAR_S for start, end in voiced_s)
