"""Where derived audio is silent, so that nobody hears what its transcript does not say.

Engines are off by some tenths of a second at the edges of words: so there is a margin on both sides, and where there is
sound at its edge it goes on until that ends. A margin never takes more than half of a neighbouring word that is kept;
but a short word close to a number that was read out, or some that together are as short, and none that people fill
pauses with, may be a digit of it, misheard: they are silent as a whole, and the margin begins beyond them.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile

import numpy as np
import numpy.typing as npt

from agent.model.redaction import Secret, SecretKind
from agent.model.spans import merge
from agent.model.text import Said, Word
from agent.transcribe.redaction.atoms import fold
from agent.transcribe.redaction.lexicon import FILLERS

MARGIN_S = 0.5
LEAST_S = 0.15
"""So much is silent around a secret even where a neighbour loses more than half by it."""
REACH_S = 0.5
"""How far beyond its margin a silence follows sound that has not ended."""
FRAME_S = 0.02
QUIET_SHARE = 0.1
"""A frame is quiet below so much of the level of what is silenced."""

MISHEARD_S, CLOSE_S = 0.8, 0.8
"""What lasts so long at most, so close to a number, may be a digit of it."""
MOST_WORDS = 3
"""That a digit is taken for."""
BESIDE = MOST_WORDS + 1
"""So many words beside a number decide where its silence ends."""
_STOPS = " .,;:!?…"
_READ_OUT = frozenset({SecretKind.CARD, SecretKind.IBAN, SecretKind.NIR})

Seconds = tuple[float, float]


def silences(said: Sequence[Said], secrets: Sequence[Secret], margin_s: float = MARGIN_S) -> dict[int, list[Seconds]]:
    """By channel, in order and not overlapping: the seconds from the call's media origin that have to be silent."""
    found: dict[int, list[Seconds]] = {}
    hidden = {w for secret in secrets for w in secret.words}
    digits = {w for secret in secrets if secret.kind in _READ_OUT for w in secret.words}

    def is_kept(word: int) -> bool:
        return word not in hidden

    for channel in sorted({said[w].channel for w in hidden}):
        mine = [n for n, one in enumerate(said) if one.channel == channel]
        spans: list[Seconds] = []
        at = 0
        for is_hidden, group in groupby(mine, key=hidden.__contains__):
            words = [said[n].word for n in group]
            first, after = at, at + len(words)
            at = after
            if not is_hidden:
                continue
            begins, ends = min(w.start_s for w in words), max(w.end_s for w in words)
            before = [said[n].word for n in takewhile(is_kept, reversed(mine[max(0, first - BESIDE) : first]))]
            if mine[first] in digits:
                begins, before = _with_misheard(begins, before, forwards=False)
            following = [said[n].word for n in takewhile(is_kept, mine[after : after + BESIDE])]
            if mine[after - 1] in digits:
                ends, following = _with_misheard(ends, following, forwards=True)
            start, end = begins - margin_s, ends + margin_s
            if before:
                start = min(max(start, _middle(before[0])), begins - LEAST_S)
            if following:
                end = max(min(end, _middle(following[0])), ends + LEAST_S)
            spans.append((max(0.0, start), end))
        found[channel] = merge(spans)
    return found


def _middle(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _with_misheard(edge_s: float, words: list[Word], *, forwards: bool) -> tuple[float, list[Word]]:
    """Where a number ends with the kept words beside it, the nearest first, that may be a digit of it, misheard; and
    the words beyond. A digit may be taken for several words, which last no longer together than it does."""
    if not words:
        return edge_s, words
    began_s = words[0].start_s if forwards else words[0].end_s
    if (began_s - edge_s if forwards else edge_s - began_s) > CLOSE_S:
        return edge_s, words
    for taken, word in enumerate(words[:MOST_WORDS]):
        far_s = word.end_s if forwards else word.start_s
        if abs(far_s - began_s) > MISHEARD_S or fold(word.text).strip(_STOPS) in FILLERS:
            return edge_s, words[taken:]
        edge_s = far_s
    return edge_s, words[MOST_WORDS:]


def followed(pcm: npt.NDArray[np.int16], rate: int, spans: Sequence[Seconds]) -> list[Seconds]:
    """Spans of one channel (int16 at `rate`) made longer by what is still sounding at their edges, by REACH_S at most.

    What is sounding is measured against the span itself: a word whose times are wrong is as loud as the others.
    """
    size = max(1, round(FRAME_S * rate))
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    levels = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0)
    reach = round(REACH_S / FRAME_S)
    longer = []
    for start_s, end_s in spans:
        first, after = int(start_s / FRAME_S), min(int(np.ceil(end_s / FRAME_S)), len(levels))
        if first >= after:
            longer.append((start_s, end_s))
            continue
        quiet = QUIET_SHARE * float(np.percentile(levels[first:after], 90))
        low, high = first, after
        while low > max(0, first - reach) and quiet > 0 and levels[low - 1] > quiet:
            low -= 1
        while high < min(len(levels), after + reach) and quiet > 0 and levels[high] > quiet:
            high += 1
        longer.append((min(start_s, low * FRAME_S), max(end_s, high * FRAME_S)))
    return merge(longer)


def silenced(pcm: npt.NDArray[np.int16], rate: int, spans: dict[int, list[Seconds]]) -> npt.NDArray[np.int16]:
    """A copy of `pcm` (int16 [channels, samples] at `rate`) with zeros in the spans of each channel."""
    quiet = pcm.copy()
    for channel, mine in spans.items():
        for start_s, end_s in mine:
            quiet[channel, max(0, int(start_s * rate)) : int(np.ceil(end_s * rate))] = 0
    return quiet


def hushed(
    pcm: npt.NDArray[np.int16], rate: int, said: Sequence[Said], secrets: Sequence[Secret]
) -> npt.NDArray[np.int16]:
    """`pcm` (int16 [channels, samples] at `rate`) without the secrets, their margins, and sound that goes on there."""
    spans = silences(said, secrets)
    return silenced(pcm, rate, {c: followed(pcm[c], rate, mine) for c, mine in spans.items()}) if spans else pcm
