"""Text that a model made up: what Whisper writes of silence and noise, told by four signs and left out.

The signs are the model's own doubt (a probability that nobody spoke, with a poor likelihood of the text), text that
repeats itself (OpenAI's decoder uses the same ratio), closing words of videos that it was trained on, and text where
nobody's voice is. Everything here is pure; live and final transcription use it alike.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from enum import StrEnum

from agent.model.text import Segment

NO_SPEECH, POOR_LOGPROB = 0.6, -1.0
"""A segment that the model itself thinks is silence, and is unsure of, is invented."""
REPETITIVE = 2.4
"""Compressed so many times smaller, text repeats itself: `transcribe.py` of openai/whisper, same threshold."""
SHORT_BYTES = 40
"""What is shorter than this cannot be judged by how it compresses; nothing so short reaches REPETITIVE."""
LEAST_VOICED = 0.1
"""A segment with less than this share of its time (s) under anybody's voice is invented."""

PHRASES = (
    # French: subtitlers' credits and the ends of videos
    "sous-titres réalisés par la communauté d'amara.org",
    "sous-titres réalisés para la communauté d'amara.org",
    "sous-titres par la communauté d'amara.org",
    "sous-titrage société radio-canada",
    "sous-titrage st' 501",
    "sous-titrage fr",
    "sous-titres par",
    "merci d'avoir regardé cette vidéo",
    "merci d'avoir regardé la vidéo",
    "merci d'avoir regardé",
    "abonnez-vous",
    "abonnez-vous à la chaîne",
    "n'oubliez pas de vous abonner",
    "n'hésitez pas à vous abonner",
    "à bientôt pour une nouvelle vidéo",
    "on se retrouve dans une prochaine vidéo",
    # English: the same
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "thanks for watching and see you next time",
    "please subscribe",
    "please subscribe to my channel",
    "like and subscribe",
    "don't forget to subscribe",
    "see you in the next video",
    "subtitles by the amara.org community",
    "transcription by castingwords",
    "subtitles by",
)
"""Nobody says these on the telephone; Whisper writes them of silence. A segment that is one of them, and nothing else,
is left out. What people do say when they part ("merci", "au revoir", "thank you") is not among them."""
_FORMS = re.compile(
    r"sous titr(es|age) (realises?|faits?|par|st|fr|societe)\b.*|.*\bamara\.org\b.*|.*\bsociete radio canada\b.*"
    r"|merci d avoir (regarde|suivi|ecoute)( cette| la)? (video|emission)s?.*"
    r"|(n oubliez pas de vous abonner|abonnez vous)( a (la|ma|notre) chaine)?( youtube)?"
    r"|.*\babonnez vous\b.*\bchaine\b.*"
    r"|a (la prochaine|bientot) (pour|dans) une (nouvelle|prochaine) video.*"
    r"|(thanks?|thank you)( (so|very) much)? for (watching|viewing)\b.*"
    r"|((please |don t forget to |like and )+subscribe|subscribe to (my|our|the) channel)\b.*"
    r"|subtitles (by|created by|provided by)\b.*|.*\bsee you in the next video\b.*"
)
"""The same in other words, folded: whole segments, again."""

NUMBER_WORDS = """
zero un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt trente quarante
cinquante soixante septante huitante octante nonante cent cents mille et double triple fois
oh nought one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand and times
"""
"""Words that numbers are read out with, without accents."""


class Sign(StrEnum):
    """By what a text was known to be invented."""

    DOUBT = "no speech"
    REPEATED = "repeats itself"
    OUTRO = "closing words of a video"
    SILENCE = "no voice there"


def sign_of(
    text: str,
    *,
    no_speech: float = 0.0,
    logprob: float = 0.0,
    voiced: float = 1.0,
) -> Sign | None:
    """Why `text` is invented, or None when it may well have been said.

    `no_speech` is the model's probability that nobody spoke, `logprob` the mean log-probability of its tokens, `voiced`
    the share of the time under voice.
    """
    if no_speech > NO_SPEECH and logprob < POOR_LOGPROB:
        return Sign.DOUBT
    if compression_ratio(text) > REPETITIVE:
        return Sign.REPEATED
    if is_outro(text):
        return Sign.OUTRO
    return Sign.SILENCE if voiced < LEAST_VOICED else None


def is_outro(text: str) -> bool:
    """Whether the whole text is a line that ends videos."""
    words = folded(text)
    return words in _FOLDED or _FORMS.fullmatch(words) is not None


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text (UTF-8) without its numbers; 0 for one too short to tell.

    Digits do repeat when a card or telephone number is read out, and what is left out of a transcript is neither masked
    in it nor silenced in the audio.
    """
    raw = " ".join(w for w in folded(text).split() if w not in _NUMBERS and not w.isdigit()).encode()
    return len(raw) / len(zlib.compress(raw)) if len(raw) >= SHORT_BYTES else 0.0


def voiced_share(segment: Segment, voice: Iterable[tuple[float, float]]) -> float:
    """The share of the segment's words' time (of its own without words) under `voice` (seconds, apart from another)."""
    spans = [(w.start_s, w.end_s) for w in segment.words] or [(segment.start_s, segment.end_s)]
    length = sum(b - a for a, b in spans)
    if length <= 0:
        return 1.0
    return sum(max(0.0, min(b, d) - max(a, c)) for a, b in spans for c, d in voice) / length


def sift(
    segments: Sequence[Segment], voice: Sequence[tuple[float, float]] | None = None
) -> tuple[list[Segment], list[tuple[Segment, Sign]]]:
    """The segments that stay, and those that do not with their signs; `voice` None: where voices are is not known."""
    kept: list[Segment] = []
    left: list[tuple[Segment, Sign]] = []
    for segment in segments:
        share = 1.0 if voice is None else voiced_share(segment, voice)
        sign = Sign.DOUBT if segment.doubt else sign_of(segment.text, voiced=share)
        if sign is None:
            kept.append(segment)
        else:
            left.append((segment, sign))
    return kept, left


def folded(text: str) -> str:
    """The words of a text without case, accents and punctuation, one space between."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[\w.]*\w", bare))


_NUMBERS = frozenset(NUMBER_WORDS.split())
_FOLDED = frozenset(folded(phrase) for phrase in PHRASES)
