"""Packets that no key opens: an alarm while they are most of a stream, said once, and taken back."""

from structlog.testing import capture_logs

from agent.media.srtp import Opened
from agent.recorder.wrong_keys import LEAST_PACKETS, WINDOW_S, WrongKeys


def run(story: list[tuple[int, int]]) -> list[dict]:
    """What is said when each second brings so many opened and failed packets; the call is over after it."""
    keys, count = WrongKeys(lambda address: ("call", address)), Opened()
    with capture_logs() as said:
        for second, (opened, failed) in enumerate(story):
            count.opened += opened
            count.failed += failed
            keys.look({7: count}, float(second))
        keys.look({}, len(story) + 0.0)
    return said


def test_an_alarm_names_the_call_once_and_is_taken_back() -> None:
    said = run([(50, 0)] * 3 + [(0, 50)] * 20 + [(50, 0)] * 20)
    assert [s["event"] for s in said] == ["alarm.srtp_wrong_key", "alarm.srtp_wrong_key.over"]
    assert said[0]["call"] == "call" and said[0]["stream"] == 7 and said[0]["packets"] > LEAST_PACKETS


def test_it_is_over_when_the_call_is() -> None:
    assert [s["event"] for s in run([(0, 50)] * 10)] == ["alarm.srtp_wrong_key", "alarm.srtp_wrong_key.over"]


def test_a_few_are_no_alarm_nor_many_among_more_that_are_right() -> None:
    assert run([(0, int(LEAST_PACKETS / WINDOW_S))] * 30) == []
    assert run([(50, 45)] * 30) == []
