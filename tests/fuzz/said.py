"""What must hold of all that a telephone system says, and of every refusal to listen on: bounded, plain, of our agents.

Also the one configuration that the targets `cti_…` are run with, and how a stream is cut for them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from agent.config.cti import Cti
from agent.cti import ami, ari, esl
from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
from agent.cti.words import MAX_REASON, MAX_REFERENCE, MAX_TAGS, MAX_WORD, Words
from agent.model.cti import CallOf, ContextSaid, PressSaid, Said, Unclear
from fuzz.draws import Draws

CREDENTIALS = Credentials("greffier", "s3cret-of-the-pbx")
_LIMITS = {ami.MAX_LINE, ami.MAX_MESSAGE, ami.MAX_HEADERS, esl.MAX_LINE, esl.MAX_HEAD, esl.MAX_BODY, esl.MAX_HEADERS}
_LIMITS |= {esl.MAX_FIELDS, ari.MAX_MESSAGE, 6455}
_FINE = 250

Feed = Callable[[bytes], Iterable[Said | bytes]]


@cache
def words(kind: str) -> Words:
    """Of a connection that understands all there is and may speak for 2xx."""
    fields = {"kind": kind, "address": "127.0.0.1:5038", "agents": ["2[0-9][0-9]"], "credentials_file": "none"}
    fields |= {"tags": {"CAMPAIGN": "campaign"}, "queue_variable": "Q", "consent_variable": "OK"}
    fields |= {"presses": {"shop::pay": "pause"}} | ({"feature_codes": {"*1": "pause"}} if kind == "ami" else {})
    return Words(Cti.model_validate(fields))


def cut(draws: Draws) -> Iterator[bytes]:
    """The rest of the data in pieces whose sizes the first byte decides."""
    seed, number = draws.number(1), 0
    while draws.left:
        yield draws.take(1 + (seed * 31 + number * number * 7) % (seed + 2))
        number += 1


def finely(stream: bytes) -> list[bytes]:
    """Byte by byte, and what is far behind in larger pieces, since that takes long."""
    return [stream[n : n + 1] for n in range(min(len(stream), _FINE))] + [
        stream[n : n + 61] for n in range(_FINE, len(stream), 61)
    ]


def follow(feed: Feed, pieces: Iterable[bytes]) -> tuple[list[Said | bytes], str]:
    """All that is said until the end, or until a refusal, whose text is checked and returned."""
    said: list[Said | bytes] = []
    for piece in pieces:
        try:
            for one in feed(piece):
                said.append(one)
                check(one)
        except PeerError as error:
            text = str(error)
            assert text.isascii() and text.isprintable() and len(text) < 120 and CREDENTIALS.secret not in text
            assert {int(number) for number in re.findall(r"\d{5,}", text)} <= _LIMITS, "a number that is not ours"
            return said, text
    return said, ""


def check(said: Said | bytes) -> None:
    """One thing."""
    if isinstance(said, bytes):
        assert CREDENTIALS.secret.encode() not in said or said.startswith((b"auth ", b"userauth "))
    elif isinstance(said, Unclear):
        assert said.what.isascii() and len(said.what) < 120
    else:
        _call(said.call)
        _press(said) if isinstance(said, PressSaid) else _context(said)


def _call(call: CallOf) -> None:
    for text, limit in ((call.extension, MAX_WORD), (call.reference, MAX_REFERENCE)):
        assert text.isprintable() and text == text.strip() and len(text) <= limit


def _press(said: PressSaid) -> None:
    assert said.reason.isprintable() and len(said.reason) <= MAX_REASON
    assert said.purpose is None or _word(said.purpose)
    assert said.call.extension or not said.by_agent


def _context(said: ContextSaid) -> None:
    assert said != ContextSaid(said.call)
    assert said.queue is None or _word(said.queue)
    for tags in (said.add_tags, said.remove_tags):
        assert len(tags) <= MAX_TAGS and all(map(_word, tags))


def _word(text: str) -> bool:
    return bool(text) and len(text) <= MAX_WORD and text.isprintable() and not re.search(r"\s", text)
