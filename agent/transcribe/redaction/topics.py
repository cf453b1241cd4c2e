"""What the conversation is about where a number is said: the words that announce a card, an order, a phone number.

The nearest announcement before a number decides; an announcement also ends the number before it. There is no list of
all things that have numbers: "numéro de" or "… number" with any other word announces that thing's (THING), and what is
called so is told from people, places and parts of a number by short lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.transcribe.redaction.atoms import Atom
from agent.transcribe.redaction.phrases import NOT_THINGS, PHRASES, Topic

_SECRET = frozenset(
    {Topic.CARD, Topic.CVV, Topic.EXPIRY, Topic.BANK, Topic.NIR, Topic.PHONE, Topic.EMAIL, Topic.SIRET, Topic.OTHER}
)
_TABLE = {
    tuple(phrase.replace("d'", "").split()): topic
    for topic, phrases in PHRASES.items()
    for phrase in phrases.split("|")
}
_LENGTHS: dict[str, int] = {}
"""How long the longest phrase is that begins with a word."""
for _phrase in _TABLE:
    _LENGTHS[_phrase[0]] = max(len(_phrase), _LENGTHS.get(_phrase[0], 0))


@dataclass(frozen=True, slots=True)
class Mention:
    """A topic and its half-open atoms on one channel."""

    topic: Topic
    first: int
    after: int


def mentions(atoms: Sequence[Atom]) -> list[Mention]:
    """All announcements of a channel, the longest where several begin: "carte vitale" is not "carte"."""
    found: list[Mention] = []
    at = 0
    while at < len(atoms):
        mention = _listed(atoms, at)
        if mention is None or mention.topic is Topic.NUMBER:
            mention = _thing(atoms, at) or mention
        if mention is not None:
            found.append(mention)
        at = mention.after if mention else at + 1
    return found


def _listed(atoms: Sequence[Atom], at: int) -> Mention | None:
    """The longest phrase of the table that begins at a position."""
    for length in range(min(_LENGTHS.get(atoms[at].text, 0), len(atoms) - at), 0, -1):
        topic = _TABLE.get(tuple(atom.text for atom in atoms[at : at + length]))
        if topic is not None:
            return Mention(topic, at, at + length)
    return None


def _thing(atoms: Sequence[Atom], at: int) -> Mention | None:
    """The number of some thing: "numéro d'engagement", "numéro de la borne", "accession number", "fault reference"."""
    if atoms[at].text == "numero":
        noun = at + 1
        while noun < min(at + 3, len(atoms)) and atoms[noun].text in ("de", "du", "des", "la", "l"):
            noun += 1
        return Mention(Topic.THING, at, noun + 1) if _is_thing(atoms, noun) else None
    named = at + 1 < len(atoms) and atoms[at + 1].text in ("number", "id") and atoms[at + 1].linked
    return Mention(Topic.THING, at, at + 2) if named and _is_thing(atoms, at) else None


def _is_thing(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a word may be the name of a thing that has a number: no figure, no name of a person, no secret."""
    if at >= len(atoms) or not atoms[at].linked or not atoms[at].text.isalpha() or len(atoms[at].text) < 3:
        return False
    if atoms[at].text in NOT_THINGS or (atoms[at].capital and not atoms[at].upper and not _begins(atoms, at)):
        return False
    listed = _listed(atoms, at)
    return listed is None or listed.topic not in _SECRET


def _begins(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a sentence begins at a position, so that a capital says nothing."""
    return at == 0 or atoms[at - 1].ends


def endings(topic: Topic) -> frozenset[str]:
    """The last words of all that announces a topic."""
    return frozenset(phrase[-1] for phrase, announced in _TABLE.items() if announced is topic)
