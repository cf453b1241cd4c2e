"""A purpose's policy applied to what was said: each stretch of a secret becomes one word that says what was there.

A pseudonym is the label with a keyed hash of what was understood: the same number is the same token under the same
key, and
nobody without the key can guess it from the token (16 digits are soon tried out, so the key must stay where it is).
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.model.redaction import NAMED, Policy, Secret, SecretKind, Treatment
from agent.model.text import Said, Segment, Transcript, Word
from agent.transcribe.redaction.find import conversation, find
from agent.transcribe.redaction.named import Entities, named

_LABELS = {
    SecretKind.CARD: ("CARTE", "CARD"),
    SecretKind.CVV: ("CRYPTOGRAMME", "CVV"),
    SecretKind.EXPIRY: ("EXPIRATION", "EXPIRY"),
    SecretKind.IBAN: ("IBAN", "IBAN"),
    SecretKind.NIR: ("NIR", "NIR"),
    SecretKind.PHONE: ("TÉLÉPHONE", "PHONE"),
    SecretKind.EMAIL: ("E-MAIL", "EMAIL"),
    SecretKind.ADDRESS: ("ADRESSE", "ADDRESS"),
    SecretKind.NAME: ("NOM", "NAME"),
    SecretKind.PLACE: ("LIEU", "PLACE"),
    SecretKind.ORGANISATION: ("ORGANISATION", "ORGANISATION"),
}
_UNDECIDED = ("CHIFFRES", "DIGITS")
TOKEN_HEX = 12
"""48 bits: two different numbers of a call centre's year have the same token about never."""


def label(kind: SecretKind | None, language: str, token: str = "") -> str:
    """What stands for a secret in a text: French in French, English in any other language. None: digits of a number of
    which nobody knows yet what it is."""
    names = _UNDECIDED if kind is None else _LABELS[kind]
    name = names[0] if language.lower().startswith("fr") else names[1]
    return f"[{name} {token}]" if token else f"[{name}]"


def token_of(secret: Secret, key: bytes) -> str:
    """The stable keyed token of a secret: HMAC-SHA-256 of its kind and value, shortened."""
    said = f"{secret.kind.value}\n{''.join(secret.value.lower().split())}"
    return hmac.digest(key, said.encode(), "sha256").hex()[:TOKEN_HEX]


def pseudonym_key(key: bytes, purpose: str) -> bytes:
    """The key of a purpose's pseudonyms: who reads two purposes cannot tell that both speak of the same number."""
    return hmac.digest(key, f"greffier pseudonyms 1\n{purpose}".encode(), "sha256")


def labels(secrets: Sequence[Secret], policy: Policy, language: str, key: bytes) -> dict[int, str]:
    """What stands in the place of each word that the policy hides, by its position in the conversation."""
    found: dict[int, str] = {}
    for secret in secrets:
        treatment = policy.of(secret.kind)
        if treatment is not Treatment.KEEP:
            token = token_of(secret, key) if treatment is Treatment.PSEUDONYMISE else ""
            found |= dict.fromkeys(secret.words, label(secret.kind, language, token))
    return found


def redacted(said: Sequence[Said], secrets: Sequence[Secret], policy: Policy, language: str, key: bytes) -> list[Said]:
    """The conversation with consecutive hidden words of a party as one word each, at the times of all of them."""
    hidden = labels(secrets, policy, language, key)
    found: list[Said] = []
    open_at: dict[int, int] = {}
    for number, one in enumerate(said):
        text = hidden.get(number)
        at = open_at.get(one.channel)
        if text is None:
            open_at.pop(one.channel, None)
            found.append(one)
        elif at is not None and found[at].word.text == text:
            found[at] = Said(one.channel, _until(found[at].word, one.word))
        else:
            open_at[one.channel] = len(found)
            found.append(Said(one.channel, replace(one.word, text=text)))
    return found


@dataclass(frozen=True, slots=True)
class Redacted:
    """A transcript as a policy permits it, the conversation as it was, and the secrets in it that the policy hides."""

    transcript: Transcript
    said: tuple[Said, ...] = field(repr=False)
    secrets: tuple[Secret, ...]


def redact(transcript: Transcript, policy: Policy, key: bytes, entities: Entities | None = None) -> Redacted:
    """A transcript as the policy permits it; segments without words are taken by their text, spread over their time.

    `entities` finds names. Raises ValueError where the policy hides some and there is nothing to find them with.
    """
    whole = replace(transcript, segments=tuple(with_words(s) for s in transcript.segments))
    said = conversation(whole)
    others = dict(enumerate(transcript.languages))
    secrets = tuple(s for s in find(said, transcript.language, others=others).secrets if s.kind in policy.hidden)
    if names := policy.hidden & NAMED:
        if entities is None:
            raise ValueError("names are to be hidden, and there is no model that finds them")
        secrets += named(said, transcript.language, others, entities, names, {w for s in secrets for w in s.words})
    hidden = labels(secrets, policy, transcript.language, key)
    place: dict[tuple[int, Word], list[int]] = {}
    for number, one in enumerate(said):
        place.setdefault((one.channel, one.word), []).append(number)
    segments = []
    for before, segment in zip(transcript.segments, whole.segments, strict=True):
        numbers = [place[segment.channel, word].pop(0) for word in segment.words]
        if not any(n in hidden for n in numbers):
            segments.append(before)
            continue
        mine = [Said(segment.channel, word) for word in segment.words]
        moved = {at: hidden[n] for at, n in enumerate(numbers) if n in hidden}
        words = _merged(mine, moved)
        text = " ".join(w.text for w in words)
        segments.append(replace(segment, text=text, words=words if before.words else ()))
    return Redacted(replace(transcript, segments=tuple(segments)), said, secrets)


def spoken_in(transcript: Transcript) -> tuple[str, ...]:
    """The languages in which anything is said."""
    known = dict(enumerate(transcript.languages))
    return tuple(sorted({known.get(s.channel, transcript.language) for s in transcript.segments if s.text.strip()}))


def with_words(segment: Segment) -> Segment:
    """A segment with words: those of its text, over its time, if the engine gave none."""
    texts = segment.text.split()
    if segment.words or not texts:
        return segment
    step = (segment.end_s - segment.start_s) / len(texts)
    words = tuple(
        Word(text, segment.start_s + n * step, segment.start_s + (n + 1) * step, 0.0) for n, text in enumerate(texts)
    )
    return replace(segment, words=words)


def _merged(said: Sequence[Said], hidden: dict[int, str]) -> tuple[Word, ...]:
    words: list[Word] = []
    for number, one in enumerate(said):
        text = hidden.get(number)
        if text is not None and number - 1 in hidden and words[-1].text == text:
            words[-1] = _until(words[-1], one.word)
        else:
            words.append(one.word if text is None else replace(one.word, text=text))
    return tuple(words)


def _until(first: Word, last: Word) -> Word:
    """The first word, prolonged to the end of another, as sure as the less sure of both."""
    return replace(first, end_s=max(first.end_s, last.end_s), confidence=min(first.confidence, last.confidence))
