"""FreeSWITCH event socket: log-in, events as JSON or plain text (developer.signalwire.com, "mod_event_socket").

A message is `Name: value` lines, an empty one, and as many bytes as Content-Length says. With a username `user@domain`
the log-in is `userauth`, whose rights the directory narrows; else it is `auth`, which may do everything.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from agent.cti.dialogue import Credentials
from agent.cti.esl_words import EslWords
from agent.cti.inbox import Headers, Inbox, PeerError
from agent.cti.words import Words
from agent.model.cti import Said

MAX_LINE, MAX_HEAD, MAX_BODY, MAX_HEADERS = 32 << 10, 64 << 10, 512 << 10, 100
MAX_FIELDS = 2000


@dataclass(frozen=True, slots=True)
class EslMessage:
    """Headers of the envelope, and its body."""

    headers: Headers
    body: bytes


class EslReader:
    """Cuts the stream into messages."""

    def __init__(self) -> None:
        self._inbox = Inbox(MAX_LINE, MAX_BODY)
        self._headers = self._fresh()
        self._body: int | None = None

    def feed(self, data: bytes) -> Iterator[EslMessage]:
        """Messages that are whole now. Raises PeerError where it can be followed no further."""
        self._inbox.add(data)
        while True:
            if self._body is None and not self._head():
                return
            body = self._inbox.block(self._body or 0)
            if body is None:
                return
            message, self._headers, self._body = EslMessage(self._headers, body), self._fresh(), None
            yield message

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their line or body."""
        return len(self._inbox)

    def _head(self) -> bool:
        while (line := self._inbox.line()) is not None:
            if line:
                self._headers.add(line)
            elif self._headers:
                length = self._headers.get("Content-Length") or "0"
                if not length.isascii() or not length.isdigit() or len(length) > 9:
                    raise PeerError("a Content-Length that is no number")
                self._body = int(length)
                return True
        return False

    @staticmethod
    def _fresh() -> Headers:
        return Headers(MAX_HEADERS, MAX_HEAD)


def event_fields(message: EslMessage) -> Mapping[str, str]:
    """Fields of an event, names in small letters; of a JSON one only those that are text. Raises PeerError."""
    if message.headers.get("Content-Type") == "text/event-json":
        try:
            found = json.loads(message.body)
        except (ValueError, RecursionError):
            raise PeerError("an event that is not JSON") from None
        if not isinstance(found, dict) or len(found) > MAX_FIELDS:
            raise PeerError("an event that is no object, or has too many fields")
        return {name.lower(): value for name, value in found.items() if isinstance(value, str)}
    fields = Headers(MAX_FIELDS, MAX_BODY)
    for line in message.body.split(b"\n"):
        if not line:
            break
        fields.add(line)
    return {name: unquote(value) for name, value in fields.as_dict().items()}


class EslDialogue:
    """One connection."""

    def __init__(self, words: Words, credentials: Credentials) -> None:
        self._said = EslWords(words)
        self._credentials = credentials
        self._reader = EslReader()
        self._logged_in = False
        self.ready = False

    def hello(self) -> bytes:
        """We wait to be asked."""
        return b""

    def feed(self, data: bytes, now_s: float) -> Iterator[Said | bytes]:
        """See `Dialogue`."""
        for message in self._reader.feed(data):
            kind = message.headers.get("Content-Type")
            if kind == "auth/request":
                yield self._log_in()
            elif kind == "command/reply":
                yield self._answered(message.headers.get("Reply-Text"))
            elif kind in ("text/event-json", "text/event-plain"):
                if self.ready:
                    yield from self._said.of(event_fields(message))
            elif kind == "text/rude-rejection":
                raise PeerError("refused: our address is not in apply-inbound-acl of event_socket.conf.xml")
            elif kind == "text/disconnect-notice":
                raise PeerError("closed by FreeSWITCH")

    def ping(self) -> bytes:
        """Any command is answered; this one also makes FreeSWITCH speak by itself every 20 s, where it may."""
        return b"event json HEARTBEAT\n\n" if self.ready else b""

    def _log_in(self) -> bytes:
        if self._credentials.username:
            return f"userauth {self._credentials.username}:{self._credentials.secret}\n\n".encode()
        return f"auth {self._credentials.secret}\n\n".encode()

    def _answered(self, reply: str) -> bytes:
        if self.ready:
            return b""
        if not reply.startswith("+OK"):
            what = "the events are refused: check esl-allowed-events" if self._logged_in else "log-in is refused"
            raise PeerError(what)
        if self._logged_in:
            self.ready = True
            return b""
        self._logged_in = True
        return f"event json {self._said.events}\n\n".encode()
