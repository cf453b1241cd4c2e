"""A recorder small enough to be trusted by reading it: answers SIP on real sockets, keeps what came."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.config import Endpoint

SHORT_S = 0.1


class Answerer:
    """Answers every request, INVITE with `status` and two media ports of its own. Runs in a thread.

    The first `cuts` OPTIONS over TCP are answered by closing the connection.
    """

    def __init__(
        self,
        transport: str,
        host: str = "127.0.0.1",
        *,
        status: str = "200 OK",
        deaf: int = 0,
        labels: bool = True,
        drop_ack: int = 0,
        provisional: bool = False,
        cuts: int = 0,
    ) -> None:
        self.requests: list[str] = []
        self.media = [self._socket(host, socket.SOCK_DGRAM) for _ in range(2)]
        self._status, self._deaf, self._labels, self._provisional = status, deaf, labels, provisional
        self._drop_ack, self._cuts = drop_ack, cuts
        self._transport, self._host = transport, host
        self._server = self._socket(host, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
        self.target = Endpoint(transport=transport, host=host, port=self._server.getsockname()[1])
        self.say: Callable[[bytes], Any] = lambda message: None
        if transport == "tcp":
            self._server.listen()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tcp if transport == "tcp" else self._udp)
        self._thread.start()

    @staticmethod
    def _socket(host: str, kind: int) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        made.bind((host, 0))
        made.settimeout(SHORT_S)
        return made

    def finish(self) -> None:
        """Read what still waits, then answer no more."""
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        self.finish()
        for each in (*self.media, self._server):
            each.close()

    def heard(self, stream: int) -> list[bytes]:
        """All datagrams that came to a media port, in order."""
        found = []
        try:
            while True:
                found.append(self.media[stream].recv(4096))
        except TimeoutError:
            return found

    def methods(self) -> list[str]:
        """The methods of all that was heard; the last thing to ask."""
        self.finish()
        return [r.split(" ", 1)[0] for r in self.requests]

    def _udp(self) -> None:
        while True:
            try:
                data, peer = self._server.recvfrom(65536)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            self.say = lambda message, peer=peer: self._server.sendto(message, peer)
            self._handle(data.decode())

    def _tcp(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            with connection:
                connection.settimeout(SHORT_S)
                self.say = connection.sendall
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        kept = b""
        while True:
            try:
                data = connection.recv(65536)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            if not data:
                return
            kept += data
            while b"\r\n\r\n" in kept:
                head, _, rest = kept.partition(b"\r\n\r\n")
                size = int(re.search(rb"Content-Length: (\d+)", head)[1])
                if len(rest) < size:
                    break
                kept = rest[size:]
                request = (head + b"\r\n\r\n" + rest[:size]).decode()
                if self._cuts and request.startswith("OPTIONS"):
                    self._cuts -= 1
                    self.requests.append(request)
                    return
                self._handle(request)

    def _handle(self, request: str) -> None:
        self.requests.append(request)
        method = request.split(" ", 1)[0]
        if method == "SIP/2.0" or method == "ACK":
            return
        if self._deaf:
            self._deaf -= 1
            return
        if method == "INVITE" and self._provisional:
            self.say(self.response(request, "100 Trying"))
        answer = self.response(request, self._status if method == "INVITE" else "200 OK")
        self.say(answer)
        if method == "INVITE" and self._drop_ack:
            self.say(answer)

    def response(self, request: str, status: str) -> bytes:
        lines = [f"SIP/2.0 {status}"]
        for line in request.split("\r\n\r\n", 1)[0].split("\r\n")[1:]:
            name = line.split(":")[0]
            if name in ("Via", "From", "Call-ID", "CSeq"):
                lines.append(line)
            elif name == "To":
                lines.append(line if "tag=" in line else f"{line};tag=ours")
        body = ""
        if status.startswith("200") and request.startswith("INVITE"):
            port = self._server.getsockname()[1]
            host = f"[{self._host}]" if ":" in self._host else self._host
            lines += [
                f"Contact: <sip:srs@{host}:{port};transport={self._transport}>",
                "Content-Type: application/sdp",
                "Record-Route: <sip:a.example;lr>",
                "Record-Route: <sip:b.example;lr>",
            ]
            body = f"v=0\r\no=- 1 1 IN IP4 {self._host}\r\ns=-\r\nc=IN IP4 {self._host}\r\nt=0 0\r\n"
            for label, media in enumerate(self.media, start=1):
                body += f"m=audio {media.getsockname()[1]} RTP/AVP 8\r\n"
                body += f"a=label:{label}\r\na=recvonly\r\n" if self._labels else "a=recvonly\r\n"
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]) + body).encode()


@pytest.fixture
def answerer() -> Iterator[Callable[..., Answerer]]:
    """Makes answerers that are gone after the test."""
    made: list[Answerer] = []

    def make(transport: str = "udp", **arguments: Any) -> Answerer:
        made.append(Answerer(transport, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()
