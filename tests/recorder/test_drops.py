"""Dropped packets: counted at once, said seldom, an alarm only when they do not stop."""

from structlog.testing import capture_logs

from agent.recorder.drops import Drops


def test_an_alarm_is_for_what_lasts_and_is_taken_back() -> None:
    drops, total = Drops("ring"), 0
    with capture_logs() as said:
        for second in range(5):
            drops.look(0, float(second))
        total = 7
        drops.look(total, 12.0)
        assert drops.total == 7 and not drops.alarm
        for second in range(13, 60):
            total += 1
            drops.look(total, float(second))
        assert drops.alarm
        for second in range(60, 90):
            drops.look(total, float(second))
        assert not drops.alarm
    events = [entry["event"] for entry in said]
    assert events.count("alarm.media_dropped") == events.count("alarm.media_dropped.over") == 1
    assert events.count("media.dropped") == 2
