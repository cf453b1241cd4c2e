"""Packets that the kernel had no room for: counted, said once a minute, and an alarm when it does not stop (I7)."""

import structlog

WINDOW_S = 10.0
SUSTAINED_WINDOWS = 3
SAY_S = 60.0

log = structlog.get_logger()


class Drops:
    """`total` since the start; `alarm` is set while packets are dropped in every window of ten seconds."""

    def __init__(self, where: str) -> None:
        """`where`: what is said beside the count."""
        self._where = where
        self.total = 0
        self.alarm = False
        self._said = 0
        self._say_at = 0.0
        self._before = 0
        self._window_ends = 0.0
        self._in_a_row = 0

    def look(self, total: int, now_s: float) -> None:
        """Take note of the count as it stands."""
        self.total = total
        if total > self._said and now_s >= self._say_at:
            log.warning("media.dropped", where=self._where, packets=total - self._said, total=total)
            self._said, self._say_at = total, now_s + SAY_S
        if now_s < self._window_ends:
            return
        self._window_ends = now_s + WINDOW_S
        self._in_a_row = self._in_a_row + 1 if total > self._before else 0
        self._before = total
        alarm = self._in_a_row >= SUSTAINED_WINDOWS
        if alarm and not self.alarm:
            log.error(
                "alarm.media_dropped",
                where=self._where,
                total=total,
                mend="more CPU for the recorder, or a larger media.ring_mib",
            )
        elif self.alarm and not alarm:
            log.info("alarm.media_dropped.over", where=self._where, total=total)
        self.alarm = alarm
