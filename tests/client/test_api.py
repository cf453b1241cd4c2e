"""The desk over HTTP: answers, refusals, frozen and cut connections, hostile bytes, certificates and pins."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import Authority
from desk_double import AGENT, TOKEN, DeskDouble, serving
from greffier_desk.api import Desk, DeskError, parse_address, shown_fingerprint, unverified_context, verified_context
from greffier_desk.state import Light, Reason, Verb
from running_site import wait_for

LONG_S = 30.0


def plain(port: int, token: str = TOKEN, agent: str = AGENT) -> Desk:
    return Desk("127.0.0.1", port, agent, token, None)


def refused(doing: Callable[[], object]) -> Reason:
    with pytest.raises(DeskError) as raised:
        doing()
    return raised.value.reason


@contextmanager
def raw_server(port: int, said: bytes, *, repeat: bytes = b"") -> Iterator[list[bytes]]:
    """Says `said` to whoever connects, then `repeat` again and again; gives what it heard."""
    heard: list[bytes] = []
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while not over.is_set():
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with peer:
                heard.append(peer.recv(65536))
                try:
                    peer.sendall(said)
                    while repeat and not over.wait(0.02):
                        peer.sendall(repeat)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(30)


def test_it_presses_and_asks(desk: DeskDouble) -> None:
    client = plain(desk.port)
    assert client.state(LONG_S).light is Light.RECORDING
    client.press(Verb.PAUSE, LONG_S)
    standing = client.state(LONG_S)
    assert (standing.light, standing.call_id, standing.causes) == (Light.PAUSED, "c1", {"agent"})
    assert (standing.paused_s, standing.limit_s) == (3.0, 120.0)
    assert desk.presses == ["pause"]


def test_events_come_with_signs_of_life(desk: DeskDouble) -> None:
    events = plain(desk.port).events()
    assert next(events).name == ""
    assert next(events).data["light"] == "recording"
    desk.set("paused", {"evidence": ["agent"]})
    seen = []
    while "state" not in seen:
        seen.append(next(events).name)
    assert next(events).name == "", "the comment that keeps it alive is a sign of life"


@pytest.mark.parametrize(
    ("status", "reason"), [(401, Reason.TOKEN), (403, Reason.FORBIDDEN), (404, Reason.NO_CALL), (500, Reason.RECORDER)]
)
def test_refusals_have_their_reasons(desk: DeskDouble, status: int, reason: Reason) -> None:
    desk.failing = status
    assert refused(lambda: plain(desk.port).press(Verb.PAUSE, LONG_S)) is reason
    assert refused(lambda: plain(desk.port).state(LONG_S)) is reason
    assert refused(lambda: next(plain(desk.port).events())) is reason


def test_a_wrong_token_is_said_and_never_shown(desk: DeskDouble) -> None:
    client = plain(desk.port, token="some-secret-token")
    assert refused(lambda: client.state(LONG_S)) is Reason.TOKEN
    assert "some-secret-token" not in repr(client)


def test_nobody_there(free_port: int) -> None:
    assert refused(lambda: plain(free_port).press(Verb.PAUSE, LONG_S)) is Reason.UNREACHABLE


def test_a_frozen_desk_is_silent(desk: DeskDouble) -> None:
    desk.frozen = True
    assert refused(lambda: plain(desk.port).press(Verb.PAUSE, 0.3)) is Reason.SILENT
    assert refused(lambda: list(plain(desk.port).events(0.3))) is Reason.SILENT


def test_an_event_stream_without_signs_of_life_is_dead(desk: DeskDouble) -> None:
    desk.keeps_alive = False
    assert refused(lambda: list(plain(desk.port).events(0.5))) is Reason.SILENT


def test_a_cut_event_stream_is_told(desk: DeskDouble) -> None:
    events = plain(desk.port).events()
    next(events)
    next(events)
    desk.cut()
    assert refused(lambda: list(events)) is Reason.UNREACHABLE


@pytest.mark.parametrize("drip", [b"a", b": "])
def test_bytes_that_drip_in_are_no_signs_of_life(free_port: int, drip: bytes) -> None:
    for begun in (b"", b": alive\n\n"):
        with raw_server(free_port, b"HTTP/1.1 200 OK\r\n\r\n" + begun, repeat=drip):
            assert refused(lambda: list(plain(free_port).events(0.5))) is Reason.SILENT
    with raw_server(free_port, b"HTTP/1.1 200 OK\r\nX: ", repeat=drip):
        assert refused(lambda: plain(free_port).state(0.5)) is Reason.SILENT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"[" * 60000,
        b"{}" + b" " * 70000,
        b'{"agent":"2001","light":"failed"}',
        b'{"agent":"2001","light":"blue"}',
        b'{"agent":"2001","light":"paused","causes":3}',
        b'{"agent":"2001","light":"paused","call_id":3}',
        b'{"agent":"2002","light":"paused"}',
    ],
)
def test_an_answer_that_is_none_is_never_a_state(free_port: int, body: bytes) -> None:
    with raw_server(free_port, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body):
        assert refused(lambda: plain(free_port).state(LONG_S)) is Reason.ANSWER
        assert refused(lambda: plain(free_port).press(Verb.PAUSE, LONG_S)) is Reason.ANSWER


def test_an_endless_event_is_given_up(free_port: int) -> None:
    with raw_server(free_port, b"HTTP/1.1 200 OK\r\n\r\n", repeat=b"data: x\n" * 4000):
        assert refused(lambda: list(plain(free_port).events(LONG_S))) is Reason.ANSWER


def test_it_follows_no_redirect(desk: DeskDouble, free_ports: Callable[[int], list[int]]) -> None:
    (port,) = free_ports(1)
    elsewhere = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{desk.port}/v1/agents/2001/state\r\n\r\n".encode()
    with raw_server(port, elsewhere):
        assert refused(lambda: plain(port).state(LONG_S)) is Reason.RECORDER
    assert desk.questions == 0


def test_an_agents_name_is_one_part_of_the_path(free_port: int) -> None:
    with raw_server(free_port, b"HTTP/1.1 404 No\r\n\r\n") as heard:
        refused(lambda: plain(free_port, agent="../7/x?y").state(LONG_S))
    assert heard[0].startswith(b"GET /v1/agents/..%2F7%2Fx%3Fy/state HTTP/1.1\r\n")


def test_the_token_goes_only_to_the_certificate_that_is_pinned(tmp_path: Path, free_port: int) -> None:
    issued = Authority(tmp_path, "box").issue("lyon-1")
    with serving(DeskDouble(free_port), certificate=issued.certificate, key=issued.key) as desk:
        pin = shown_fingerprint("127.0.0.1", free_port, LONG_S)

        def client(*pins: str) -> Desk:
            return Desk("127.0.0.1", free_port, AGENT, TOKEN, unverified_context(), pins)

        assert client(pin).state(LONG_S).light is Light.RECORDING
        assert client("0" * 64, pin).state(LONG_S).light is Light.RECORDING, "while a certificate is being replaced"
        asked = desk.questions
        assert refused(lambda: client("0" * 64).state(LONG_S)) is Reason.PIN
        assert refused(lambda: client("0" * 64).press(Verb.PAUSE, LONG_S)) is Reason.PIN
        assert refused(lambda: next(client("0" * 64).events())) is Reason.PIN
        assert (desk.questions, desk.presses) == (asked, [])


def test_without_a_pin_an_authority_must_vouch_for_it(tmp_path: Path, free_port: int) -> None:
    authority, other = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    issued = authority.issue("lyon-1")
    with serving(DeskDouble(free_port), certificate=issued.certificate, key=issued.key):

        def client(context: ssl.SSLContext) -> Desk:
            return Desk("127.0.0.1", free_port, AGENT, TOKEN, context)

        assert client(verified_context(str(authority.file))).state(LONG_S).light is Light.RECORDING
        assert refused(lambda: client(verified_context(str(other.file))).state(LONG_S)) is Reason.CERTIFICATE
        assert refused(lambda: client(verified_context(None)).state(LONG_S)) is Reason.CERTIFICATE


def test_the_pinned_certificate_also_counts_for_a_dead_stream(tmp_path: Path, free_port: int) -> None:
    issued = Authority(tmp_path, "box").issue("lyon-1")
    with serving(DeskDouble(free_port), certificate=issued.certificate, key=issued.key) as desk:
        desk.keeps_alive = False
        pin = shown_fingerprint("127.0.0.1", free_port, LONG_S)
        client = Desk("127.0.0.1", free_port, AGENT, TOKEN, unverified_context(), (pin,))
        assert refused(lambda: list(client.events(1.0))) is Reason.SILENT
        wait_for("the stream to end", lambda: not desk.listeners)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:8470",
        "ftp://127.0.0.1",
        "greffier",
        "https://",
        "https://a:b@host",
        "https://host/v1",
        "https://h:x",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_address(url)


def test_addresses() -> None:
    assert parse_address("https://greffier.example:8470/") == ("greffier.example", 8470, True)
    assert parse_address("http://127.0.0.1:99") == ("127.0.0.1", 99, False)
    assert parse_address("https://[fd00::1]:8470") == ("fd00::1", 8470, True)
