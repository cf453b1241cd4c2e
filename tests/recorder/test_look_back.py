"""Media that waits in the engine's own buffers: the log has what the gates permit, every sample of it, nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import PURPOSES, SILENCE, line, sound

from agent.model.gate import GateVerb

STRETCHES = st.tuples(st.integers(1, 150), st.sampled_from([0.0, 0.0, 0.02, 0.2]), st.booleans(), st.booleans())
RESTARTS = st.tuples(st.just("restart"), st.integers(0, 1))
PRESSES = st.tuples(st.sampled_from(GateVerb), st.none() | st.sampled_from([p.name for p in PURPOSES]))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.one_of(STRETCHES, STRETCHES, PRESSES, RESTARTS), max_size=14),
    count=st.integers(1, len(PURPOSES)),
    key_at=st.integers(0, 14),
    seed=st.integers(0, 2**32),
    size=st.sampled_from([40, 80, 160, 160]),
    holdback_s=st.sampled_from([0.0, 0.5, 3.0, 3.0, 30.0]),
)
def test_the_log_has_what_the_gates_permit_and_nothing_else(
    steps: list, count: int, key_at: int, seed: int, size: int, holdback_s: float
) -> None:
    with line(PURPOSES[:count], seed, size, holdback_s) as call:
        for number, step in enumerate(steps):
            if number == key_at:
                call.calls.use_key(call.key)
            if step[0] == "restart":
                call.restart(step[1])
                continue
            if isinstance(step[0], GateVerb):
                if step[1] in {None, *(p.name for p in call.purposes)}:
                    call.press(*step)
                continue
            ticks, bad, *talking = step
            for _ in range(ticks):
                call.go_on(bad, tuple(talking))
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    for stream, first in call.sent:
        for place, value in enumerate(sound(stream, first, size), first):
            assert written.get((stream, place)) == (value if place in permitted else None)
    spoken = {(stream, first + n) for stream, first in call.sent for n in range(size)}
    assert all(value == SILENCE for at, value in written.items() if at not in spoken)


def test_what_a_pause_removes_is_gone_at_once_from_the_buffers_too() -> None:
    with line(PURPOSES[:1]) as call:
        call.calls.use_key(call.key)
        for _ in range(300):
            call.go_on(0.0, (True, True))
        columns = call.calls.engine._columns
        assert columns.waits[columns.active].all() and call.live.gate.held_samples == 0, "it waits in the buffers"
        assert (columns.end - columns.start)[columns.active].min() > 2.9 * 8000
        call.press(GateVerb.PAUSE)
        assert (columns.buffer[columns.active] == SILENCE).all() and call.live.gate.held_samples <= 2 * 0.75 * 8000
        for _ in range(300):
            call.go_on(0.0, (True, True))
        call.press(GateVerb.RESUME)
        for _ in range(400):
            call.go_on(0.0, (True, True))
        assert columns.waits[columns.active].all() and call.live.gate.held_samples == 0, "and does so again"
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    assert set(range(3 * 8000, 12 * 8000)).isdisjoint(permitted)


@pytest.mark.parametrize("care_comes_late_ms", [0, 300, 1500])
def test_a_full_buffer_loses_nothing(care_comes_late_ms: int) -> None:
    with line(PURPOSES[:1]) as call:
        call.calls.use_key(call.key)
        for _ in range(250):
            call.go_on(0.02, (True, True))
        call.cares += int(care_comes_late_ms / 62.5)
        for _ in range(400):
            call.go_on(0.02, (True, True))
        permitted, written = call.end()
    assert {place for _, place in written} <= permitted
    for stream, first in call.sent:
        assert bytes(written[stream, first + n] for n in range(160)) == sound(stream, first)
