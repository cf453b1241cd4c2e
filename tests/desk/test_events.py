"""Server-sent events: each sees only their own, all hear when the recorder is away, and nobody holds up others."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from listening import Heard
from running_site import wait_for

from agent.desk import events as desk_events
from agent.desk.presence import QUEUE, Presence

LIMIT_S = 300


@contextmanager
def listening(desk, *names: str) -> Iterator[list[Heard]]:
    """Clients that listen, each with a token, once they are let in."""
    with ExitStack() as stack:
        heard = [Heard(f"{desk.url}/v1/events", desk.tokens[name]) for name in names]
        for one in heard:
            stack.callback(one.close)
            wait_for("to be let in", lambda one=one: one.status)
        yield heard


def test_each_agent_sees_only_their_own_and_a_supervisor_everybody(desk) -> None:
    with listening(desk, "ann", "bob", "lead") as (ann, bob, lead):
        ann.wait("2001", "no-call")
        bob.wait("2002", "no-call")
        first, second = desk.recorder.add("2001"), desk.recorder.add("2002")
        desk.recorder.add(None)
        for one, agent in ((ann, "2001"), (bob, "2002"), (lead, "2001"), (lead, "2002")):
            one.wait(agent, "recording")
        desk.ask("POST", "/v1/agents/2001/pause", "ann")
        ann.wait("2001", "paused")
        lead.wait("2001", "paused")
        desk.recorder.alert(first, "warn", "evidence", 240.0)
        ann.wait("2001", "warning")
        desk.recorder.end(first)
        desk.recorder.end(second)
        ann.wait("2001", "no-call")
        bob.wait("2002", "no-call")
        lead.wait("2002", "no-call")
        assert bob.lights("2002") == ["no-call", "recording", "no-call"]
        assert {data["agent"] for _, data in ann.events} == {"2001", "2011"}
        assert {data["agent"] for _, data in bob.events} == {"2002"}
        assert [data for name, data in ann.events if name == "alert"] == [
            {
                "kind": "warn",
                "agent": "2001",
                "call_id": first,
                "purpose": "evidence",
                "actor": "agent:x",
                "paused_s": 240.0,
            }
        ]
        told = json.dumps(lead.events)
        assert "+336" not in told and "ref-" not in told, "no number, no reference"


def test_a_call_that_is_transferred_leaves_one_and_comes_to_the_other(desk) -> None:
    with listening(desk, "ann", "bob") as (ann, bob):
        call = desk.recorder.add("2001")
        ann.wait("2001", "recording")
        desk.recorder.change(call, agent="2002")
        ann.wait("2001", "no-call")
        bob.wait("2002", "recording")


def test_all_share_one_watch_and_hear_when_the_recorder_is_away(desk) -> None:
    desk.recorder.add("2001")
    watches = desk.recorder.watches
    with listening(desk, "ann", "bob", "admin") as heard:
        ann, bob, _ = heard
        ann.wait("2001", "recording")
        assert desk.recorder.watches == watches
        desk.recorder.stop()
        for one in heard:
            wait_for("away", lambda one=one: one.events[-1:] == [("away", {})])
        assert desk.ask("GET", "/v1/agents/2001/state", "ann").status_code == 503, "how it stands is not known"
        with listening(desk, "ann") as (late,):
            wait_for("away, said to a newcomer", lambda: late.events == [("away", {})])
            desk.recorder.start()
            late.wait("2001", "recording")
        wait_for("the state again", lambda: ann.events[-1][0] == "state" and bob.events[-1][0] == "state")
        assert ann.lights("2001") == ["recording", "recording"] and bob.lights("2002") == ["no-call", "no-call"]
        wait_for("one watch", lambda: desk.recorder.watches == watches + 1)


def test_the_state_is_what_events_tell(desk) -> None:
    pause = {"paused_s": {"evidence": 7.0}, "since_s": {"evidence": 2.0}, "resumes_in_s": {"evidence": 290.0}}
    call = desk.recorder.add("2001", states={"evidence": "paused", "training": "idle"}, **pause)
    wait_for("the call", lambda: desk.ask("GET", "/v1/agents/2001/state", "admin").json()["call_id"])
    state = desk.ask("GET", "/v1/agents/2001/state", "ann").json()
    assert state["paused_s"] >= 7.0 and 0 < state["resumes_in_s"] <= 290.0
    assert state | {"paused_s": 0, "resumes_in_s": 0} == {
        "agent": "2001",
        "light": "paused",
        "call_id": call,
        "states": {"evidence": "paused", "training": "idle"},
        "causes": {},
        "paused_s": 0,
        "since_s": {"evidence": 2.0},
        "resumes_in_s": 0,
        "limit_s": LIMIT_S,
    }
    desk.recorder.change(call, states={"evidence": "recording", "training": "idle"}, paused_s={})
    wait_for("recording", lambda: desk.ask("GET", "/v1/agents/2001/state", "admin").json()["light"] == "recording")
    state = desk.ask("GET", "/v1/agents/2001/state", "ann").json()
    assert (state["since_s"], state["resumes_in_s"]) == ({}, None), "of a pause that is over"
    assert desk.ask("POST", "/v1/agents/2001/pause", "ann").status_code == 200
    assert desk.ask("GET", "/v1/agents/2001/state", "ann").json()["light"] == "paused", "at once after the press"
    assert desk.ask("GET", "/v1/agents/2003/state", "admin").json()["light"] == "no-call"


@pytest.mark.parametrize(("token", "status"), [("phone", 403), ("eye", 403), (None, 401), ("wrong", 401)])
def test_who_may_not_listen(desk, token: str | None, status: int) -> None:
    assert desk.ask("GET", "/v1/events", token).status_code == status


@pytest.mark.slow
def test_a_revoked_token_hears_no_more(desk) -> None:
    desk.tokens["gone"] = desk.token("agent", "2001")
    revoked = desk.directory.tokens()[-1].token_id
    with listening(desk, "gone") as (gone,):
        gone.wait("2001", "no-call")
        desk.directory.revoke(revoked, 1)
        desk.recorder.add("2001")
        wait_for("the end", lambda: gone.ended)
        assert gone.lights("2001") == ["no-call"], "nothing after it was revoked"


@pytest.mark.slow
def test_a_stream_is_alive_when_nothing_happens_and_so_many_are_enough(desk) -> None:
    with listening(desk, *["hotkey"] * desk_events.MOST_STREAMS) as heard:
        assert desk.ask("GET", "/v1/events", "hotkey").status_code == 429
        before = heard[0].comments
        wait_for("two comments", lambda: heard[0].comments >= before + 2, 60)
    wait_for("room again", lambda: _let_in(desk))


def _let_in(desk) -> bool:
    time.sleep(0.3)
    with httpx.stream(
        "GET", f"{desk.url}/v1/events", headers={"Authorization": f"Bearer {desk.tokens['hotkey']}"}
    ) as a:
        return a.status_code == 200


def test_who_does_not_read_is_cut_off_and_holds_up_nobody(desk) -> None:
    """A listener that reads nothing, while thousands of changes happen: others hear them all."""
    call = desk.recorder.add("2001", queue="x" * 200)
    deaf = socket.create_connection(("127.0.0.1", desk.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.tokens['lead']}\r\n\r\n".encode())
    with listening(desk, "ann") as (ann,):
        ann.wait("2001", "recording")
        turns = 0
        long = {f"purpose-{n}": "recording" for n in range(60)}
        while not desk.events("desk.listener_cut") and turns < 200:
            for _ in range(20):
                desk.recorder.change(call, states=long | {"evidence": "paused"})
                desk.recorder.change(call, states=long | {"evidence": "recording"})
            turns += 1
            wait_for("all of it", lambda least=40 * turns: len(ann.lights("2001")) >= least, 60)
        assert desk.events("desk.listener_cut"), "the deaf one is cut off"
        assert not ann.ended
        desk.recorder.change(call, states={"evidence": "paused"})
        ann.wait("2001", "paused")
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    deaf.settimeout(60)
    received = b""
    try:
        while piece := deaf.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    deaf.close()
    assert b"event: state" in received, "it ended, and what it got before was real"


def test_presence_forgets_who_is_in_no_call(tmp_path) -> None:
    """Nothing grows with agents that come and go."""

    async def story() -> tuple[int, ...]:
        presence = Presence(tmp_path / "none.sock", LIMIT_S)
        presence._begin({})
        listener = presence.listen(lambda _: True, frozenset())
        for n in range(3 * QUEUE):
            call = {"call_id": f"{n:032x}", "agent": str(n), "started_ns": n, "states": {"evidence": "recording"}}
            presence._take({"news": "call", "call": call})
            presence._take({"news": "ended", "call_id": call["call_id"], "agent": str(n)})
        return len(presence._calls), len(presence._told), len(presence._seen_s), listener.queue.qsize()

    assert asyncio.run(story()) == (0, 0, 0, QUEUE)


def test_a_supervisor_of_more_calls_than_a_queue_is_told_of_all_of_them(tmp_path) -> None:
    async def story() -> list[int]:
        presence = Presence(tmp_path / "none.sock", LIMIT_S)
        early = presence.listen(lambda _: True, frozenset())
        calls = {
            f"{n:032x}": {"call_id": f"{n:032x}", "agent": str(n), "started_ns": n, "states": {"evidence": "recording"}}
            for n in range(3 * QUEUE)
        }
        presence._begin(calls)
        late = presence.listen(lambda _: True, frozenset())
        assert not early.gone.is_set() and not late.gone.is_set()
        return [early.queue.qsize(), late.queue.qsize()]

    assert asyncio.run(story()) == [3 * QUEUE + 1, 3 * QUEUE]
