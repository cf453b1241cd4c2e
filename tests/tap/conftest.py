"""A session recording server on loopback with real sockets, and a gateway of plain bytes to talk to it."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
from running_site import wait_for

from agent.config import Endpoint, Siprec, Site
from agent.config.presses import Keys
from agent.model.context import ContextNote
from agent.model.events import CallEvent
from agent.model.gate import GateAnswer, GateCommand
from agent.model.srtp import SrtpKey
from agent.tap.siprec import Srs

T = TypeVar("T")


class Clock:
    """The clocks of module `time`, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def time_ns(self) -> int:
        return time.time_ns() + int(self.ahead_s * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


class Tap:
    """PortLender, CallListener and the thread of the server's loop. `events` are what it told the recorder."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.events: list[CallEvent] = []
        self.told: list[tuple[GateCommand | ContextNote, Future[GateAnswer]]] = []
        self.obeys = True
        """Whether presses are answered at once; else a test answers them."""
        self.media: dict[int, socket.socket] = {}
        self.keys: dict[int, SrtpKey] = {}
        self.ports_left = 10_000
        self._keys = Keys()
        self._settings = {"listen": ("udp:127.0.0.1:0", "tcp:127.0.0.1:0")} | settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.srs = self._new()

    def _new(self) -> Srs:
        return Srs(Siprec.model_validate(self._settings), Site(), self, self, self.clock, self._keys)

    def use_keys(self, keys: Keys) -> None:
        """From now on with these feature codes."""
        self._keys = keys
        self.restart([])

    def lend(self, host: str) -> int:
        if self.ports_left <= 0:
            raise OSError("no media port")
        self.ports_left -= 1
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        media.bind((host, 0))
        port: int = media.getsockname()[1]
        self.media[port] = media
        return port

    def secure(self, port: int, key: SrtpKey | None) -> None:
        assert port in self.media, "only a lent port has a key"
        self.keys.pop(port, None)
        if key is not None:
            self.keys[port] = key

    def give_back(self, port: int) -> None:
        self.keys.pop(port, None)
        self.media.pop(port).close()
        self.ports_left += 1

    def on_event(self, event: CallEvent) -> None:
        self.events.append(event)

    def on_press(self, command: GateCommand) -> Future[GateAnswer]:
        return self._told(command)

    def on_context(self, note: ContextNote) -> Future[GateAnswer]:
        return self._told(note)

    def _told(self, what: GateCommand | ContextNote) -> Future[GateAnswer]:
        future: Future[GateAnswer] = Future()
        self.told.append((what, future))
        if self.obeys:
            future.set_result(GateAnswer(what.call_id, {}, (), 0, {}))
        return future

    @property
    def presses(self) -> list[GateCommand]:
        """What was pressed."""
        return [what for what, _ in self.told if isinstance(what, GateCommand)]

    @property
    def notes(self) -> list[ContextNote]:
        """What was said of calls."""
        return [what for what, _ in self.told if isinstance(what, ContextNote)]

    def wait(self, awaitable: Any) -> Any:
        """The result of a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(20)

    def start(self) -> None:
        self.wait(self.srs.start())

    def restart(self, snapshots: list[bytes]) -> None:
        """As after a kill: a new server that only knows the snapshots; its ports stay as they were."""
        listen = tuple(f"{t}:{h}:{p}" for t, h, p in self.srs.bound)
        self.wait(self.srs.stop())
        self._settings["listen"] = listen
        self.srs = self._new()
        for snapshot in snapshots:
            self.srs.restore(snapshot)
        self.start()

    def target(self, transport: str) -> Endpoint:
        """Where it listens."""
        host, port = next((h, p) for t, h, p in self.srs.bound if t == transport)
        return Endpoint(transport=transport, host=host, port=port)

    def kinds(self) -> list[str]:
        """What it told, in short."""
        return [event.kind for event in self.events]

    def expect(self, *kinds: str) -> list[CallEvent]:
        """Wait until exactly these have been told."""
        wait_for(f"{kinds}, there is {self.kinds()}", lambda: self.kinds() == list(kinds) or None, 10)
        return self.events

    def close(self) -> None:
        self.wait(self.srs.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for media in self.media.values():
            media.close()


@pytest.fixture
def make_tap() -> Iterator[Callable[..., Tap]]:
    """`make_tap(max_calls=1)`: a started server with these settings."""
    made: list[Tap] = []

    def make(**settings: Any) -> Tap:
        tap = Tap(**settings)
        made.append(tap)
        tap.start()
        return tap

    yield make
    for tap in made:
        tap.close()


@pytest.fixture
def tap(make_tap: Callable[..., Tap]) -> Tap:
    """A started server."""
    return make_tap()


OFFER = """v=0
o=- 1 {version} IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/AVP 8
a=label:1
a=sendonly
m=audio 40002 RTP/AVP 8
a=label:2
a=sendonly
"""

METADATA = """<?xml version="1.0"?><recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode><session session_id="S1"/>
<participant participant_id="P1"><nameID aor="sip:+33612345678@gw"/></participant>
<participant participant_id="P2"><nameID aor="sip:201@gw"/></participant>
<stream stream_id="M1"><label>1</label></stream><stream stream_id="M2"><label>2</label></stream>
<participantstreamassoc participant_id="P1"><send>M1</send></participantstreamassoc>
<participantstreamassoc participant_id="P2"><send>M2</send></participantstreamassoc></recording>"""


class Gateway:
    """A gateway that says exactly what a test wants, over UDP."""

    def __init__(self, target: Endpoint, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.connect((target.host, target.port))
        self._host, self._port = self._socket.getsockname()
        self._branches = 0
        self.call_id = f"{self._port}-{time.monotonic_ns()}@gw"
        self.to_tag = ""

    def write(
        self, method: str, cseq: int, body: str = "", kind: str = "application/sdp", *, branch: str = "", **headers: str
    ) -> bytes:
        """A request. `headers` are added, with `_` for `-`."""
        self._branches += 1
        branch = branch or f"z9hG4bK{self._port}x{self._branches}"
        lines = [
            f"{method} sip:srs@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP {self._host}:{self._port};branch={branch};rport",
        ]
        lines += ["Max-Forwards: 70", "From: <sip:+33612345678@gw>;tag=gw", f"To: <sip:srs@127.0.0.1>{self.to_tag}"]
        lines += [f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}", f"Contact: <sip:gw@{self._host}:{self._port}>"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Type: {kind}"] if body else []
        text = body.replace("\r\n", "\n").replace("\n", "\r\n")
        return "\r\n".join([*lines, f"Content-Length: {len(text)}", "", text]).encode()

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.send(data)

    def hear(self, patience_s: float = 5.0) -> str | None:
        """The next message, or None."""
        self._socket.settimeout(patience_s)
        try:
            return self._socket.recv(65536).decode()
        except TimeoutError:
            return None

    def ask(self, data: bytes) -> str:
        """Send a request and return its final response; a To tag in it is used from then on."""
        self.say(data)
        answer = self.hear()
        assert answer is not None, "no answer"
        found = re.search(r"^To:.*(;tag=[^;\r\n]+)", answer, re.M)
        if found and answer.startswith("SIP/2.0 2"):
            self.to_tag = found[1]
        return answer

    def invite(self, cseq: int = 1, body: str | None = None, kind: str = "application/sdp", **headers: str) -> str:
        """INVITE and, when it is accepted, ACK."""
        offer = OFFER.format(version=cseq) if body is None else body
        answer = self.ask(self.write("INVITE", cseq, offer, kind, **headers))
        self.say(self.write("ACK", cseq))
        return answer

    def close(self) -> None:
        self._socket.close()


def status(answer: str) -> int:
    """The status code of a response."""
    return int(answer.split(" ", 2)[1])


@pytest.fixture
def make_gateway() -> Iterator[Callable[..., Gateway]]:
    """`make_gateway(tap)`: a gateway that talks to it."""
    made: list[Gateway] = []

    def make(tap: Tap, **arguments: Any) -> Gateway:
        made.append(Gateway(tap.target("udp"), **arguments))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(tap: Tap, make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that talks to `tap`."""
    return make_gateway(tap)


@pytest.fixture
def both() -> Callable[..., tuple[str, str]]:
    """`both(version=1, metadata=…)`: body and content type with description and metadata."""

    def make(version: int = 1, metadata: str = METADATA, offer: str = OFFER) -> tuple[str, str]:
        body = f"--b\nContent-Type: application/sdp\n\n{offer.format(version=version)}\n--b\n"
        body += (
            f"Content-Type: application/rs-metadata+xml\nContent-Disposition: recording-session\n\n{metadata}\n--b--\n"
        )
        return body, "multipart/mixed;boundary=b"

    return make


@pytest.fixture
def code() -> Callable[[str], int]:
    """The status code of a response."""
    return status
