"""Who listens to live calls, in a test: the far end of a socket, and a memory that forgets when it is told to."""

import socket
from dataclasses import dataclass, field

import numpy as np

from agent.model.live import Conversation, Dropped, Forget, Message, Over, Parser, Sound
from agent.recorder.livefeed import LiveFeed


@dataclass
class Listener:
    """`read` takes all that has come; `heard` is what it has in memory, a byte for each stream and position."""

    messages: list[Message] = field(default_factory=list)
    heard: dict[tuple[int, int], int] = field(default_factory=dict)
    calls: dict[str, Conversation] = field(default_factory=dict)
    dropped: int = 0
    raw: bytes = b""
    _socket: socket.socket | None = None
    _parser: Parser = field(default_factory=Parser)

    def connect(self, feed: LiveFeed, room: int | None = None) -> None:
        """Listen from now on. `room`: bytes that the kernel keeps for it."""
        self.forget_all()
        near, self._socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        near.setblocking(False)
        self._socket.setblocking(False)
        if room is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        self._parser = Parser()
        feed.connect(near)

    def forget_all(self) -> None:
        """What a connection that ends means."""
        self.heard.clear()
        self.calls.clear()

    def close(self) -> None:
        """Go."""
        assert self._socket is not None
        self._socket.close()

    def read(self) -> list[Message]:
        """The messages that have come since, acted upon."""
        assert self._socket is not None
        fresh: list[Message] = []
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            if not data:
                self.forget_all()
                break
            self.raw += data
            fresh += self._parser.feed(data)
        for message in fresh:
            self._take(message)
        self.messages += fresh
        return fresh

    def _take(self, message: Message) -> None:
        if isinstance(message, Conversation):
            self.calls[message.call_id] = message
        elif isinstance(message, Sound):
            assert message.call_id in self.calls, "a call is told of before its sound"
            values = np.frombuffer(message.payload, np.uint8).tolist()
            for place, value in enumerate(values, message.position):
                assert (message.stream, place) not in self.heard, "heard twice"
                self.heard[message.stream, place] = value
        elif isinstance(message, Forget):
            for key in [key for key in self.heard if key[1] >= message.since]:
                del self.heard[key]
        elif isinstance(message, Dropped):
            self.dropped += message.samples
        elif isinstance(message, Over):
            del self.calls[message.call_id]
