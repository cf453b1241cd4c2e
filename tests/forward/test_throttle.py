"""The token bucket: never more than rate × time + burst, whoever takes how much when, and closed when it says so."""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.forward.throttle import Halted, TokenBucket, burst_of


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def wait(self, seconds: float) -> bool:
        self.now_s += seconds
        return False


def bucket(rate: Callable[[], float | None], clock: Clock) -> TokenBucket:
    return TokenBucket(rate, lambda: clock.now_s, clock.wait)


Steps = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3_000_000)), min_size=1, max_size=20)


@given(rate=st.floats(1_000, 10_000_000), steps=Steps)
def test_no_window_has_more_than_rate_times_its_length_and_one_burst(rate: float, steps) -> None:
    clock = Clock()
    given_out: list[tuple[float, int]] = []
    throttle = bucket(lambda: rate, clock)
    try_once = throttle._try

    def watched(count: int) -> tuple[float, int]:
        wait_s, taken = try_once(count)
        given_out.append((clock.now_s, taken))
        return wait_s, taken

    throttle._try = watched
    began = clock.now_s
    for idle_s, count in steps:
        clock.now_s += idle_s
        before = sum(n for _, n in given_out)
        throttle.take(count)
        assert sum(n for _, n in given_out) - before == count
    slack = 1.0 + 1e-6 * rate
    for first in range(0, len(given_out), max(1, len(given_out) // 40)):
        total = 0
        for at_s, count in given_out[first:]:
            total += count
            assert total <= rate * (at_s - given_out[first][0]) + burst_of(rate) + slack
    assert clock.now_s >= began


@given(slow=st.floats(10_000, 100_000), fast=st.floats(200_000, 2_000_000), at_s=st.floats(1, 20))
def test_a_rate_that_changes_is_never_exceeded(slow: float, fast: float, at_s: float) -> None:
    """From slow to fast in the middle: by any time, no more than the integral of the rate and one burst."""
    clock = Clock()
    throttle = bucket(lambda: slow if clock.now_s < 100 + at_s else fast, clock)
    total = 0
    while clock.now_s < 130:
        throttle.take(50_000)
        total += 50_000
        passed = clock.now_s - 100
        allowed = slow * min(passed, at_s) + fast * max(0.0, passed - at_s)
        assert total <= allowed + burst_of(fast) + 1


def test_it_is_not_slower_than_it_must_be() -> None:
    clock = Clock()
    throttle = bucket(lambda: 125_000.0, clock)
    for _ in range(100):
        throttle.take(125_000)
    assert 99 <= clock.now_s - 100 <= 101


def test_without_a_limit_nobody_waits_and_closed_means_halted() -> None:
    clock = Clock()
    rates = iter([None, None, 0.0])
    throttle = bucket(lambda: next(rates), clock)
    throttle.take(10**12)
    throttle.take(10**12)
    assert clock.now_s == 100.0
    with pytest.raises(Halted):
        throttle.take(1)


def test_who_waits_is_halted_when_the_hours_close_and_when_the_process_stops() -> None:
    clock = Clock()
    throttle = bucket(lambda: 1000.0 if clock.now_s < 105 else 0.0, clock)
    with pytest.raises(Halted):
        throttle.take(10**6)
    assert 105 <= clock.now_s <= 107
    stopping = TokenBucket(lambda: 1000.0, lambda: 0.0, lambda _: True)
    with pytest.raises(Halted):
        stopping.take(10**6)


def test_several_uploads_share_one_rate() -> None:
    rate, done = 4_000_000.0, []
    throttle = TokenBucket(lambda: rate, time.monotonic, threading.Event().wait)

    def upload() -> None:
        for _ in range(5):
            throttle.take(100_000)
            done.append(100_000)

    threads = [threading.Thread(target=upload) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) <= rate * (time.monotonic() - began) + burst_of(rate)
