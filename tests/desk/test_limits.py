"""How much one asker may ask: buckets in constant memory, wrong tokens, slow and large requests."""

import asyncio
import os
import signal
import socket

import pytest
from fastapi import HTTPException, Request

from agent.desk.door import FAILED_BURST, OWN_BURST, SITE_BURST, Door
from agent.desk.limits import MOST_KEYS, Buckets, address_key
from agent.desk.measured import PULSE_S, Pulse
from agent.desk.server import MOST_HEAD
from agent.model.identity import Right, Scope


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    buckets = Buckets(10.0, 20)
    assert [buckets.take("a", 5.0) for _ in range(20)] == [0.0] * 20
    assert buckets.take("a", 5.0) == pytest.approx(0.1) and buckets.take("b", 5.0) == 0.0
    assert [buckets.take("a", 5.25) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.05)]
    assert [buckets.take("a", 99.0) for _ in range(20)] == [0.0] * 20 and buckets.take("a", 99.0) > 0


def test_a_human_pace_never_meets_a_limit() -> None:
    buckets = Buckets(10.0, 20)
    assert not any(buckets.take("a", n / 9) for n in range(1000))


def test_memory_is_constant_and_who_is_busy_is_not_forgotten() -> None:
    buckets = Buckets(10.0, 20)
    for n in range(3 * MOST_KEYS):
        buckets.take(f"10.{n}", 0.0)
        buckets.take("busy", 0.0)
    assert len(buckets) == MOST_KEYS and buckets.take("busy", 0.0) > 0


def test_an_ipv6_machine_has_one_bucket() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1") != address_key("2001:db8:0:1::1")
    assert address_key("192.0.2.1") != address_key("192.0.2.2") and address_key(None) == address_key("evil") == "?"


def test_wrong_tokens_are_slowed_down_and_good_ones_are_not(desk) -> None:
    desk.recorder.add("2001")
    wrong = [desk.ask("POST", "/v1/agents/2001/pause", f"wrong-{n}") for n in range(FAILED_BURST + 5)]
    assert wrong[0].status_code == 401 and wrong[0].headers["www-authenticate"] == "Bearer"
    assert wrong[-1].status_code == 429 and int(wrong[-1].headers["retry-after"]) >= 1
    assert desk.ask("GET", "/v1/phone/wrong/pause").status_code == 429
    assert desk.ask("POST", "/v1/agents/2001/pause", "ann").status_code == 200, "others at this address still press"
    assert ("token", "unknown") in desk.refusals()
    assert len(desk.refusals()) < FAILED_BURST, "the journal does not grow with them"


def test_one_token_does_not_press_without_end_and_others_are_not_held_up(desk) -> None:
    desk.recorder.add("2002")
    statuses = [desk.ask("GET", "/v1/agents/2002/state", "bob").status_code for _ in range(OWN_BURST)]
    assert statuses == [200] * OWN_BURST
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as pipe:
        head = f"GET /v1/agents/2002/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.tokens['bob']}\r\n\r\n"
        pipe.sendall(head.encode() * 200 + head.replace("Host: x", "Host: x\r\nConnection: close").encode())
        said = b""
        while piece := pipe.recv(65536):
            said += piece
    assert b"HTTP/1.1 429" in said and b"retry-after: 1" in said.lower()
    assert desk.ask("POST", "/v1/agents/2002/pause", "bob").status_code == 200, "asked too often, and yet can press"
    assert desk.ask("GET", "/v1/agents/2002/state", "admin").status_code == 200


def test_however_many_guess_tokens_at_an_address_who_has_a_good_one_presses_there() -> None:
    door = Door(lambda token: Scope(Right.AGENT, "2001", token_id="t") if token == "good" else None, lambda *_: None)

    def asked(token: str) -> Request:
        headers = [(b"authorization", b"Bearer " + token.encode())]
        return Request({"type": "http", "method": "POST", "client": ("192.0.2.1", 1), "headers": headers})

    for _ in range(3 * SITE_BURST):
        with pytest.raises(HTTPException):
            door.bearer(asked("guess"))
    assert door.bearer(asked("good")).extension == "2001"


def test_presses_never_queue_behind_those_who_ask_without_token_whether_it_lives() -> None:
    async def story() -> None:
        now_s, times, answer = 0.0, 0, asyncio.Event()

        async def ask() -> None:
            nonlocal times
            times += 1
            await answer.wait()
            if times == 2:
                raise HTTPException(503)

        pulse = Pulse(ask, lambda: now_s)
        many = [asyncio.create_task(pulse()) for _ in range(500)]
        await asyncio.sleep(0)
        many.pop().cancel()
        answer.set()
        await asyncio.gather(*many)
        await pulse()
        assert times == 1
        now_s = PULSE_S
        for _ in range(2):
            with pytest.raises(HTTPException):
                await pulse()
        assert times == 2

    asyncio.run(story())


def test_a_head_is_not_without_end(desk) -> None:
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as sender:
        sender.sendall(b"GET /v1/calls HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 2 * MOST_HEAD)
        assert b" 400 " in sender.recv(100)


@pytest.mark.slow
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/agents/2001/pause HTTP/1.1\r\nHost:",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/health HTTP/1.1\r\nHo",
        b"POST /v1/agents/2001/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_who_sends_slowly_is_not_waited_for(desk, begun: bytes) -> None:
    desk.recorder.add("2001")
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as sender:
        sender.sendall(begun)
        while sender.recv(65536):
            pass
    assert desk.recorder.requests == []


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/agents/2001/pause HTTP/1.1\r\nAuthorization: Bearer {ann}\r\nContent-Length: 0",
        "GET /v1/phone/{phone}/pause HTTP/1.1",
    ],
)
def test_what_was_given_up_while_the_desk_stood_still_is_not_done_later(desk, head: str) -> None:
    desk.recorder.add("2001")
    os.kill(desk.pid, signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as asker:
            asker.sendall(head.format(**desk.tokens).encode() + b"\r\nHost: x\r\n\r\n")
    finally:
        os.kill(desk.pid, signal.SIGCONT)
    for _ in range(3):
        assert desk.ask("POST", "/v1/agents/2001/resume", "ann").status_code == 200
    assert [request["verb"] for request in desk.recorder.requests] == ["resume"] * 3
