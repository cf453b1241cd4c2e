"""Cuts a TCP stream into SIP messages, and says which datagrams are none.

RFC 3261 §18.3 (Content-Length on streams), §7.5 (leading CRLFs are ignored), RFC 5626 §3.5.1 (CRLF CRLF is a keep-alive
that wants one CRLF back). Lenient: bare LF line ends, the compact form of Content-Length, and, when it is missing
beside a Content-Type, a body that reaches to the end of what has come.
"""

import re

from agent.sip.errors import SipError

MAX_HEAD_BYTES = 16 << 10
MAX_MESSAGE_BYTES = 80 << 10
PONG = b"\r\n"

HEAD_END = re.compile(rb"\r\n\r\n|\n\r?\n")
_LENGTH = re.compile(rb"(?:^|[\r\n])(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*(?=[\r\n]|$)", re.IGNORECASE)
_TYPE = re.compile(rb"(?:^|[\r\n])(?:content-type|c)[ \t]*:", re.IGNORECASE)
_PRINTABLE = re.compile(rb"[A-Za-z]")


def split_head(data: bytes) -> tuple[bytes, bytes] | None:
    """The head without the empty line that ends it, and the rest. None when there is no empty line."""
    match = HEAD_END.search(data)
    return None if match is None else (data[: match.start()], data[match.end() :])


class StreamFramer:
    """One TCP connection's bytes as messages. After it has raised, the connection is to be closed."""

    def __init__(self) -> None:
        self._buffer = b""
        self._scanned = 0
        self._line_ends = 0
        self._refusal: SipError | None = None
        self.pings = 0
        """Keep-alives seen and not yet answered; the reader answers each with `PONG` and resets it."""

    @property
    def pending(self) -> int:
        """Bytes of a message that has not fully come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages, in order, that `data` completes.

        Raises SipError (400: this is not SIP; 513: too large) when the stream cannot be followed any further. Messages
        that came whole before that are given first, and it is raised at the next call.
        """
        if self._refusal is not None:
            raise self._refusal
        self._buffer += data
        messages = []
        try:
            while (message := self._next()) is not None:
                messages.append(message)
        except SipError as refusal:
            self._buffer, self._refusal = b"", refusal
            if not messages:
                raise
        return messages

    def _next(self) -> bytes | None:
        self._skip_line_ends()
        if not self._buffer:
            return None
        if not _PRINTABLE.match(self._buffer):
            raise SipError(400, "the stream does not begin with a SIP message")
        end = HEAD_END.search(self._buffer, max(0, self._scanned - 3))
        if end is None:
            self._scanned = len(self._buffer)
            if self._scanned > MAX_HEAD_BYTES:
                raise SipError(513, f"a message head is longer than {MAX_HEAD_BYTES} bytes")
            return None
        if end.start() > MAX_HEAD_BYTES:
            raise SipError(513, f"a message head is longer than {MAX_HEAD_BYTES} bytes")
        total = end.end() + _body_bytes(self._buffer[: end.start()], len(self._buffer) - end.end())
        if total > MAX_MESSAGE_BYTES:
            raise SipError(513, f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
        if len(self._buffer) < total:
            self._scanned = end.start()
            return None
        message, self._buffer, self._scanned = self._buffer[:total], self._buffer[total:], 0
        return message

    def _skip_line_ends(self) -> None:
        stripped = self._buffer.lstrip(b"\r\n")
        self._line_ends += self._buffer[: len(self._buffer) - len(stripped)].count(b"\n")
        if len(stripped) < len(self._buffer):
            self._buffer, self._scanned = stripped, 0
        self.pings += self._line_ends // 2
        self._line_ends = 0 if stripped else self._line_ends % 2


def _body_bytes(head: bytes, available: int) -> int:
    declared = _LENGTH.search(head)
    if declared is not None:
        return int(declared[1])
    return available if _TYPE.search(head) else 0
