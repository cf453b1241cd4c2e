"""Secrets as people say them, by the thousand: numbers spoken by `num2words`, so that no table is redaction's own.

Each utterance is a piece of a call of two parties with one secret in it, and says which of its words carry the secret's
digits. What a speech engine does to it is done here too: hyphens go, a digit is misheard, missed, or heard twice.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from num2words import num2words

from agent.model.redaction import SecretKind
from agent.model.text import Said, Word

CUSTOMER, AGENT = 0, 1
WORD_S, BETWEEN_S = 0.3, 0.05
CARD_FORMS = ("digits", "pairs", "threes", "fours", "mixed", "written", "glued", "hyphenated", "doubles")
HEARD = ("right", "right", "right", "wrong", "missing", "twice")
CUTS = ("none", "none", "pauses", "answers", "echo", "halves", "correction")

_FILLERS = {
    "fr": [
        "euh",
        "donc",
        "alors",
        "attendez",
        "voilà",
        "bon",
        "et puis",
        "hm",
        "ensuite",
        "oui",
        "ben",
        "c'est",
        "pardon",
    ],
    "en": [
        "um",
        "uh",
        "so",
        "hold on",
        "okay",
        "and then",
        "er",
        "right",
        "well",
        "hmm",
        "let me see",
        "then",
        "sorry",
    ],
}
_ANSWERS = {
    "fr": ["oui", "d'accord", "je vous écoute", "très bien", "ok", "allez-y", "parfait", "je note", "oui oui"],
    "en": ["yes", "okay", "go ahead", "right", "mm-hmm", "got it", "yeah", "perfect", "uh huh"],
}
_OPENINGS = {
    "fr": (
        "alors mon numéro de carte c'est le",
        "oui je vous donne ma carte bleue",
        "voilà donc je prends mon portefeuille et je lis",
        "oui bonjour je voudrais régler ma facture alors je commence",
        "d'accord vous êtes prêt",
    ),
    "en": (
        "okay so my card number is",
        "sure the long number on my visa is",
        "let me get my wallet here we are it reads",
        "yes hello I would like to settle my bill are you ready",
        "alright here it comes",
    ),
}
_CLOSINGS = {
    "fr": ("merci beaucoup", "vous avez tout noté ?", "c'est bon pour vous ?", "voilà madame"),
    "en": ("thank you very much", "did you get all that ?", "is that all you need ?", "there you are"),
}
_ASKED = {
    ("phone", "fr"): ("mon téléphone c'est le", "vous pouvez me rappeler au", "oui alors le"),
    ("phone", "en"): ("my phone number is", "you can call me back on", "the mobile is"),
    ("iban", "fr"): ("l'IBAN du compte c'est", "je vous lis le RIB"),
    ("iban", "en"): ("the IBAN is", "for the bank account it says"),
    ("nir", "fr"): ("mon numéro de sécurité sociale c'est le", "sur la carte vitale je lis", "oui alors le"),
    ("cvv", "fr"): ("et le cryptogramme c'est", "les trois chiffres au dos c'est", "le code de sécurité euh"),
    ("cvv", "en"): ("and the security code is", "the three digits on the back are", "the CVV is"),
    ("expiry", "fr"): ("ma carte expire en", "pour la carte la date d'expiration c'est"),
    ("expiry", "en"): ("my card expires", "the card's expiry date is"),
}


@dataclass(frozen=True, slots=True)
class Utterance:
    """A piece of a call. `digits`: the positions of the words that carry the secret."""

    form: str
    language: str
    kind: SecretKind
    said: tuple[Said, ...]
    digits: tuple[int, ...]


def utterances(count: int, seed: int) -> Iterator[Utterance]:
    """So many utterances, the same for the same seed: three of five are cards."""
    rng = random.Random(seed)
    for number in range(count):
        language = rng.choice(("fr", "fr", "en"))
        if number % 5 < 3:
            yield _card(rng, language)
        else:
            yield _other(rng, language)


def card_number(rng: random.Random) -> str:
    """A number by Luhn with the beginning and length of a real scheme's."""
    start, length = rng.choice(
        (
            ("4", 16),
            ("4", 16),
            ("5" + rng.choice("12345"), 16),
            ("2" + rng.choice("34567"), 16),
            ("37", 15),
            ("6", 19),
            ("36", 14),
        )
    )
    body = start + "".join(rng.choice("0123456789") for _ in range(length - len(start) - 1))
    return next(body + last for last in "0123456789" if _luhn(body + last))


def _luhn(digits: str) -> bool:
    total = 0
    for at, digit in enumerate(digits[::-1]):
        n = int(digit) << (at & 1)
        total += n // 10 + n % 10
    return total % 10 == 0


def _misheard(rng: random.Random, digits: str, heard: str) -> str:
    at = rng.randrange(len(digits))
    match heard:
        case "wrong":
            return digits[:at] + rng.choice([d for d in "0123456789" if d != digits[at]]) + digits[at + 1 :]
        case "missing":
            return digits[:at] + digits[at + 1 :]
        case "twice":
            return digits[:at] + digits[at] + digits[at:]
    return digits


def _card(rng: random.Random, language: str) -> Utterance:
    form = rng.choice(CARD_FORMS)
    number = card_number(rng)
    heard = rng.choice(HEARD) if len(number) > 14 else rng.choice(("right", "wrong", "twice"))
    groups = _groups(rng, _misheard(rng, number, heard), form, language)
    share = rng.choice((0.0, 0.0, 0.05, 0.1, 0.2))
    cut = rng.choice(CUTS)
    call = _Call(rng, language)
    call.say(CUSTOMER, rng.choice(_OPENINGS[language]))
    call.dictate(groups, share, cut)
    call.say(CUSTOMER, rng.choice(_CLOSINGS[language]))
    return call.done(form, SecretKind.CARD)


def _other(rng: random.Random, language: str) -> Utterance:
    name = rng.choice(
        ("phone", "iban", "nir", "cvv", "expiry") if language == "fr" else ("phone", "iban", "cvv", "expiry")
    )
    call = _Call(rng, language)
    share = rng.choice((0.0, 0.05, 0.1))
    cut = rng.choice(("none", "pauses", "answers", "echo"))
    if name == "phone":
        number = ("0" + rng.choice("1234567") if language == "fr" else "07") + _random(
            rng, 8 if language == "fr" else 9
        )
        groups = _groups(rng, number, rng.choice(("digits", "pairs", "written", "glued")), language)
    elif name == "iban":
        groups, cut = _iban(rng, language), rng.choice(("none", "pauses", "answers"))
    elif name == "nir":
        groups = _nir(rng)
    elif name == "cvv":
        groups = _groups(rng, _random(rng, 3), rng.choice(("digits", "glued", "threes")), language)
        cut = "none"
    else:
        call.say(AGENT, "je prends votre carte" if language == "fr" else "I will take your card")
        month, year = f"{rng.randint(1, 12):02}", str(rng.randint(26, 35))
        groups, cut = _groups(rng, month + year, rng.choice(("pairs", "glued", "digits")), language), "none"
    call.say(CUSTOMER, rng.choice(_ASKED[name, language]))
    call.dictate(groups, share if cut != "none" or name not in ("cvv", "expiry") else 0.0, cut)
    call.say(CUSTOMER, rng.choice(_CLOSINGS[language]))
    return call.done(name, SecretKind(name))


def _random(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _iban(rng: random.Random, language: str) -> list[str]:
    body = _random(rng, 23) if language == "fr" else rng.choice(("NWBK", "BUKB", "MIDL")) + _random(rng, 14)
    country = "FR" if language == "fr" else "GB"
    value = int("".join(str(int(c, 36)) for c in body + country + "00"))
    iban = f"{country}{98 - value % 97:02}{body}"
    if rng.random() < 0.4:
        return [iban[at : at + 4] for at in range(0, len(iban), 4)]
    groups: list[str] = []
    at = 0
    while at < len(iban):
        if iban[at].isalpha():
            groups.append(iban[at])
            at += 1
            continue
        size = rng.choice((1, 2, 2))
        part = iban[at : at + size]
        part = part if part.isdigit() else part[0]
        groups.append(_spoken(rng, part, language))
        at += len(part)
    return groups


def _nir(rng: random.Random) -> list[str]:
    department = rng.choice(("75", "13", "59", "2A", "2B"))
    parts = [
        rng.choice("12"),
        f"{rng.randint(40, 99)}",
        f"{rng.randint(1, 12):02}",
        department,
        _random(rng, 3),
        _random(rng, 3),
    ]
    number = int("".join(parts).replace("2A", "19").replace("2B", "18"))
    parts.append(f"{97 - number % 97:02}")
    if rng.random() < 0.3:
        return parts
    return [_spoken(rng, p, "fr") if p.isdigit() else f"deux {p[1]}" for p in parts]


def _groups(rng: random.Random, digits: str, form: str, language: str) -> list[str]:
    """What is said or written as one, one after the other."""
    if form == "doubles":
        return _doubles(digits, language)
    if form == "glued":
        return [digits]
    if form == "hyphenated":
        return ["-".join(digits[at : at + 4] for at in range(0, len(digits), 4))]
    if form == "written":
        size = rng.choice((1, 2, 4, 4))
        return [digits[at : at + size] for at in range(0, len(digits), size)]
    groups = []
    sizes = {"digits": (1,), "pairs": (2,), "threes": (3,), "fours": (4,), "mixed": (1, 2, 2, 3, 4)}[form]
    at = 0
    while at < len(digits):
        part = digits[at : at + rng.choice(sizes)]
        written = form == "mixed" and rng.random() < 0.3
        groups.append(part if written else _spoken(rng, part, language))
        at += len(part)
    return groups


def _doubles(digits: str, language: str) -> list[str]:
    groups: list[str] = []
    at = 0
    names = {2: "double", 3: "triple"}
    while at < len(digits):
        count = 1
        while count < 3 and digits[at + count : at + count + 1] == digits[at]:
            count += 1
        word = "oh" if language == "en" and digits[at] == "0" else _say(int(digits[at]), language)
        groups.append(f"{names[count]} {word}" if count > 1 else word)
        at += count
    return groups


def _spoken(rng: random.Random, part: str, language: str) -> str:
    """A group in words: its leading zeros one by one."""
    rest = part.lstrip("0")
    words = ["oh" if language == "en" and rng.random() < 0.3 else "zéro" if language == "fr" else "zero"] * (
        len(part) - len(rest)
    )
    if rest:
        region = rng.choice(("fr", "fr", "fr", "fr_BE", "fr_CH")) if language == "fr" else "en"
        said = _say(int(rest), region)
        words.append(said.replace("-", " ") if rng.random() < 0.3 else said)
    return " ".join(words)


def _say(value: int, region: str) -> str:
    return str(num2words(value, lang=region)).replace(",", "")


class _Call:
    """Words one after the other, with times."""

    def __init__(self, rng: random.Random, language: str) -> None:
        self._rng, self._language = rng, language
        self._said: list[Said] = []
        self._digits: list[int] = []
        self._now_s = rng.uniform(0, 20)

    def say(self, channel: int, text: str, secret: bool = False) -> None:
        for word in text.split():
            if secret:
                self._digits.append(len(self._said))
            self._said.append(Said(channel, Word(word, round(self._now_s, 3), round(self._now_s + WORD_S, 3), 0.9)))
            self._now_s += WORD_S + BETWEEN_S

    def dictate(self, groups: Sequence[str], fillers: float, cut: str) -> None:
        """The groups, with what comes between them."""
        rng, language = self._rng, self._language
        half = len(groups) // 2
        wrong = rng.randrange(1, len(groups)) if cut == "correction" and len(groups) > 1 else -1
        heard: list[str] = []
        for at, group in enumerate(groups):
            self.say(AGENT if cut == "halves" and at >= half else CUSTOMER, group, secret=True)
            heard.append(group)
            if at == len(groups) - 1:
                break
            if at == wrong:
                self.say(CUSTOMER, "non pardon" if language == "fr" else "sorry I mean")
                self.say(CUSTOMER, group, secret=True)
            if rng.random() < fillers:
                self.say(CUSTOMER, rng.choice(_FILLERS[language]))
            if cut == "pauses" and rng.random() < 0.3:
                self._now_s += rng.uniform(1, 12)
            if cut == "answers" and rng.random() < 0.4:
                self.say(AGENT, rng.choice(_ANSWERS[language]))
            if cut == "echo" and rng.random() < 0.4:
                for one in heard:
                    self.say(AGENT, one, secret=True)
                heard.clear()
                if rng.random() < 0.3:
                    self.say(AGENT, rng.choice(_ANSWERS[language]))

    def done(self, form: str, kind: SecretKind) -> Utterance:
        return Utterance(form, self._language, kind, tuple(self._said), tuple(self._digits))
