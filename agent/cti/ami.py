"""Asterisk Manager Interface: banner, log-in by challenge (MD5), events (docs.asterisk.org, "AMI v2 Specification").

Messages are `Name: value` lines that end with CR LF, and end with an empty one. What we ask has an ActionID, and so has
its answer. Inside TLS the log-in is by the secret itself where the challenge is refused; never without.
"""

import hashlib
from collections.abc import Callable, Iterator

from agent.cti.ami_words import AmiWords
from agent.cti.dialogue import Credentials
from agent.cti.inbox import Headers, Inbox, PeerError
from agent.cti.words import Words
from agent.model.cti import Said

MAX_LINE, MAX_MESSAGE, MAX_HEADERS = 16 << 10, 256 << 10, 1000
_BANNER = b"Asterisk Call Manager/"


class AmiReader:
    """The banner, then messages."""

    def __init__(self) -> None:
        self._inbox = Inbox(MAX_LINE, 0)
        self._message = self._fresh()
        self.banner = ""

    def feed(self, data: bytes) -> Iterator[Headers]:
        """Messages that are whole now. Raises PeerError where it can be followed no further."""
        self._inbox.add(data)
        while (line := self._inbox.line()) is not None:
            if not self.banner:
                if not line.startswith(_BANNER):
                    raise PeerError('expected the banner "Asterisk Call Manager/…"')
                self.banner = line[:64].decode("ascii", "replace")
            elif line:
                self._message.add(line)
            elif self._message:
                message, self._message = self._message, self._fresh()
                yield message

    @property
    def pending(self) -> int:
        """Bytes of a line that is not whole."""
        return len(self._inbox)

    @staticmethod
    def _fresh() -> Headers:
        return Headers(MAX_HEADERS, MAX_MESSAGE)


def action(name: str, number: int, **fields: str) -> bytes:
    """An action as it is sent."""
    lines = [("Action", name), ("ActionID", f"greffier-{number}"), *fields.items()]
    return "".join(f"{key}: {value}\r\n" for key, value in lines).encode() + b"\r\n"


class AmiDialogue:
    """One connection."""

    def __init__(self, words: Words, credentials: Credentials, over_tls: bool) -> None:
        self._said = AmiWords(words)
        self._credentials, self._over_tls = credentials, over_tls
        self._reader = AmiReader()
        self._events = self._said.classes
        self._number = 0
        self._awaited: dict[str, Callable[[Headers], bytes]] = {}
        self.ready = False

    def hello(self) -> bytes:
        """We wait for the banner."""
        return b""

    def feed(self, data: bytes, now_s: float) -> Iterator[Said | bytes]:
        """See `Dialogue`."""
        for message in self._reader.feed(data):
            if message.get("Response"):
                answered = self._awaited.pop(message.get("ActionID"), None)
                yield answered(message) if answered else b""
            elif self.ready:
                yield from self._said.of(message, now_s)
        if self._reader.banner and not self._number:
            yield self._ask("Challenge", self._on_challenge, AuthType="MD5")

    def ping(self) -> bytes:
        """`Ping` is answered by `Pong`."""
        return self._ask("Ping", lambda _answer: b"") if self.ready else b""

    def _ask(self, name: str, answered: Callable[[Headers], bytes], **fields: str) -> bytes:
        self._number += 1
        if len(self._awaited) > 8:
            raise PeerError("actions are not answered")
        self._awaited[f"greffier-{self._number}"] = answered
        return action(name, self._number, **fields)

    def _on_challenge(self, answer: Headers) -> bytes:
        who = {"Username": self._credentials.username, "Events": self._events}
        if challenge := answer.get("Challenge"):
            key = hashlib.md5((challenge + self._credentials.secret).encode(), usedforsecurity=False).hexdigest()
            return self._ask("Login", self._on_login, AuthType="MD5", Key=key, **who)
        if not self._over_tls:
            raise PeerError("the challenge is refused, and the secret is not sent without TLS")
        return self._ask("Login", self._on_login, Secret=self._credentials.secret, **who)

    def _on_login(self, answer: Headers) -> bytes:
        if answer.get("Response") != "Success":
            raise PeerError("log-in is refused: check user, secret and permit in manager.conf")
        self.ready = True
        return b""
