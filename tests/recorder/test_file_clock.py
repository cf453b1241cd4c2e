"""The time of a capture file goes on, whatever its records say."""

import numpy as np
import pytest

from agent.recorder.ingest import FileClock

S = 1_000_000_000


def told(*seconds: float, cuts: int = 1) -> list[float]:
    clock, raw = FileClock(), np.array([round(s * S) for s in seconds], np.int64)
    return [float(t) / S for part in np.array_split(raw, cuts) for t in clock.told(part)]


@pytest.mark.parametrize("cuts", [1, 2, 3, 6])
def test_leaps_are_taken_out_and_all_else_is_as_it_was(cuts: int) -> None:
    assert told(1000, 1001, 1000.5, 1002, 90, 91, cuts=cuts) == [1000, 1001, 1000.5, 1002, 1002, 1003]
    assert told(1000, 1001, 4e9, 1002, 1003, 1004, cuts=cuts) == [1000, 1001, 1001, 1001, 1002, 1003]
    assert told(10, 3610, 7210, 7210, 7211, 7212, cuts=cuts) == [10, 3610, 7210, 7210, 7211, 7212], "a quiet line"
