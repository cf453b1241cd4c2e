"""Live sound on a recorded call without telephony: what is heard, what a pause takes away, and slow listeners."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import CALL, PURPOSES, SILENCE, Line, line, sound
from listener import Listener

from agent.model.call import Party, Role
from agent.model.events import CallChanged
from agent.model.gate import GateVerb
from agent.model.live import Conversation, Dropped, Forget, Hello, Over, Sound
from agent.model.purpose import Purpose, Trigger
from agent.recorder.livequeue import MOST_BYTES

EARS = Purpose("ears", Trigger.ALL, (), (), None, live=True)
HEARD = (PURPOSES[0], EARS)
BOTH = (True, True)
PAUSE, RESUME = GateVerb.PAUSE, GateVerb.RESUME
STRETCHES = st.tuples(st.integers(1, 120), st.sampled_from([0.0, 0.0, 0.02, 0.2]), st.booleans(), st.booleans())
RESTARTS = st.tuples(st.just("restart"), st.integers(0, 1))
PRESSES = st.tuples(st.sampled_from([PAUSE, RESUME]), st.sampled_from([None, "ears", "training"]))


def talk(call: Line, ticks: int, listener: Listener | None = None, bad: float = 0.0) -> None:
    for _ in range(ticks):
        call.go_on(bad, BOTH)
        if listener is not None:
            listener.read()


def said(call: Line, first: int = 0, end: int = 1 << 60) -> set[tuple[int, int]]:
    return {(s, p) for s, at in call.sent for p in range(at, at + call.size) if first <= p < end}


def test_all_that_both_say_is_heard_at_its_place_and_at_once() -> None:
    listener = Listener()
    with line(HEARD) as call:
        listener.connect(call.calls.live_sound)
        talk(call, 100, listener)
        assert set(listener.heard) >= said(call, 0, call.ms * 8 - 1000), "an eighth of a second after it came"
        talk(call, 1000, listener)
        assert all(value == sound(s, p, 1)[0] for (s, p), value in listener.heard.items())
        state = call.calls.live_sound.state()
        assert (state["listeners"], state["calls"], state["dropped_s"]) == (1, 1, 0)
        call.end()
        fresh = listener.read()
    assert set(listener.heard) == said(call)
    assert isinstance(listener.messages[0], Hello) and isinstance(listener.messages[1], Conversation)
    assert fresh[-1] == Over(CALL)


def test_without_a_live_purpose_or_a_listener_nothing_is_done() -> None:
    listener = Listener()
    with line(PURPOSES[:1]) as call:
        listener.connect(call.calls.live_sound)
        talk(call, 50, listener)
        assert listener.messages == [Hello()] and call.live.ear is None
    with line(HEARD) as call:
        talk(call, 50)
        assert call.live.ear is None
        listener.connect(call.calls.live_sound)
        talk(call, 50, listener)
        assert set(listener.heard) >= said(call, 8000, 15000) and not said(call, 0, 8000) & set(listener.heard)
        listener.close()
        talk(call, 20)
        assert call.live.ear is None and call.calls.live_sound.state()["listeners"] == 0


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.one_of(STRETCHES, STRETCHES, PRESSES, RESTARTS), max_size=12),
    seed=st.integers(0, 2**32),
    size=st.sampled_from([40, 80, 160, 160]),
    holdback_s=st.sampled_from([0.0, 0.5, 3.0]),
    own_s=st.sampled_from([None, None, 0.25]),
)
def test_whatever_happens_only_what_was_said_is_heard_and_nothing_from_a_press_on(
    steps: list, seed: int, size: int, holdback_s: float, own_s: float | None
) -> None:
    listener, own = Listener(), round((own_s or 0) * 8000)
    opened: dict[str, int | None] = {"training": 0, "ears": 0}
    with line((PURPOSES[0], replace(EARS, holdback_s=own_s)), seed, size, holdback_s) as call:
        listener.connect(call.calls.live_sound)
        for step in steps:
            if step[0] == "restart":
                call.restart(step[1])
                continue
            if not isinstance(step[0], GateVerb):
                ticks, bad, *talking = step
                for _ in range(ticks):
                    call.go_on(bad, tuple(talking))
                    heard = [m.position for m in listener.read() if isinstance(m, Sound)]
                    assert all(position < call.ms * 8 - own for position in heard)
                    assert not heard or opened["ears"] is not None, "paused is silent"
                    assert all(position >= opened["ears"] for position in heard)
                continue
            now, listened = call.ms * 8, opened["ears"] is not None
            named = (step[1],) if step[1] else ("training", "ears")
            call.press(*step)
            told = listener.read()
            if step[0] is PAUSE and "ears" in named and listened:
                reaches = [now - own]
                if "training" in named and opened["training"] is not None:
                    reaches.append(max(now - round(holdback_s * 8000), opened["training"]))
                assert all(p < max(min(reaches), opened["ears"]) for _, p in listener.heard), "as far as any reaches"
                assert not any(isinstance(m, Sound) for m in told) or isinstance(told[-1], Forget)
            for name in named:
                opened[name] = None if step[0] is PAUSE else now if opened[name] is None else opened[name]
        call.end()
        listener.read()
    spoken = {(s, at + n): v for s, at in call.sent for n, v in enumerate(sound(s, at, size))}
    assert all(value in (SILENCE, spoken.get(key)) for key, value in listener.heard.items())


def test_a_pause_stops_it_at_once_and_calls_back_what_others_let_go() -> None:
    listener = Listener()
    with line(HEARD) as call:
        listener.connect(call.calls.live_sound)
        talk(call, 200)  # much waits in the kernel for the listener, which has not read
        pressed = call.ms * 8
        call.press(PAUSE)
        listener.read()
        assert max(p for _, p in listener.heard) == pressed - 3 * 8000 - 1
        assert listener.messages[-1] == Forget(CALL, pressed - 3 * 8000)
        talk(call, 100)
        assert listener.read() == []
        call.press(RESUME)
        resumed = call.ms * 8
        talk(call, 100, listener)
        assert min(p for _, p in listener.heard if p >= pressed) == resumed
        call.press(PAUSE, "training")
        talk(call, 50, listener)
        assert not any(isinstance(m, Forget) for m in listener.messages[-20:]), "it may go on hearing"


def test_what_waits_for_a_slow_listener_is_wiped_by_a_press_to_the_last_byte() -> None:
    listener = Listener()
    with line(HEARD) as call:
        listener.connect(call.calls.live_sound, room=4096)
        talk(call, 600)
        before = len(call.calls.live_sound._queue._sounds)
        assert before > 20 and call.calls.live_sound.state()["waiting_bytes"] > 10_000
        call.press(PAUSE)
        assert call.calls.live_sound.state()["waiting_bytes"] == 0
        listener.read()
        sent = listener.raw
        talk(call, 50, listener)
        late = listener.raw[len(sent) :]
        assert late and not any(sound(s, p, 16) in late for s, p in said(call) if p % 16 == 0)
        assert isinstance(listener.messages[-1], Forget)


def test_who_does_not_read_loses_the_oldest_and_nobody_else_notices(tmp_path) -> None:
    listener = Listener()
    with line(HEARD, seed=1) as call, line(PURPOSES[:1], seed=1) as alone:
        queue = call.calls.live_sound._queue
        queue._most_bytes = 100_000
        listener.connect(call.calls.live_sound, room=4096)
        queue = call.calls.live_sound._queue
        for _ in range(1500):
            call.go_on(0.02, BOTH)
            alone.go_on(0.02, BOTH)
            assert queue.waiting_bytes <= 100_000
        state = call.calls.live_sound.state()
        assert state["dropped_s"] > 30 and state["listeners"] == 1
        for _ in range(200):
            listener.read()
            call.calls.live_sound._write()
        assert listener.dropped > 0 and any(isinstance(m, Dropped) for m in listener.messages)
        assert listener.dropped / 8000 == pytest.approx(state["dropped_s"], abs=0.001)
        gaps = len(said(call)) - len(listener.heard)
        assert gaps >= listener.dropped * 0.9
        assert call.end()[1] == alone.end()[1], "the log is the same as without anybody listening"
    assert MOST_BYTES == 4 << 20


def test_a_newer_listener_takes_the_place_of_the_older() -> None:
    old, new = Listener(), Listener()
    with line(HEARD) as call:
        old.connect(call.calls.live_sound)
        talk(call, 50, old)
        new.connect(call.calls.live_sound)
        talk(call, 50, new)
        old.read()
        assert old.heard == {} and new.heard and call.calls.live_sound.state()["listeners"] == 1


def test_what_becomes_of_a_call_is_told() -> None:
    listener = Listener()
    with line(HEARD) as call:
        listener.connect(call.calls.live_sound)
        talk(call, 20, listener)
        parties = (Party("p0", "0612345678", role=Role.CUSTOMER), Party("p1", "2001", role=Role.AGENT))
        joined = CallChanged(CALL, 1, parties, call.live.call.streams)
        call.calls.changed(joined, call.ms * 10**6)
        talk(call, 20, listener)
        assert [voice.role for voice in listener.calls[CALL].voices] == [Role.CUSTOMER, Role.AGENT]
        assert b"0612345678" not in listener.raw and b"2001" not in listener.raw
        told = sum(isinstance(m, Conversation) for m in listener.messages)
        call.calls.changed(joined, call.ms * 10**6)
        talk(call, 20, listener)
        assert told == 2 == sum(isinstance(m, Conversation) for m in listener.messages)
