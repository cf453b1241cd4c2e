"""The mirror port: its ring, and the calls overheard on it. All but `state` belongs to the media thread."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog

from agent.config import Settings
from agent.media.mirror import open_mirror
from agent.model.call import Call
from agent.model.purpose import Decision
from agent.recorder.calls import Calls
from agent.recorder.drops import SAY_S, Drops
from agent.recorder.overhearing import Overhearing
from agent.tap.span.traffic import Traffic
from agent.tap.span.watcher import Watcher

log = structlog.get_logger()


class SpanEar:
    """Listens from now on. Raises NoMirrorPort."""

    def __init__(
        self, settings: Settings, interface: str, calls: Calls, admit: Callable[[Call], tuple[Decision, ...]]
    ) -> None:
        span = settings.span
        self._ring = open_mirror(interface, span.sip_ports, span.media_ports, settings.media.ring_mib)
        self._interface = interface
        self._watcher = Watcher(span, settings.site, new_id)
        self._ear = Overhearing("span", Traffic(span.sip_ports), self._watcher, calls, admit)
        self._drops = Drops(interface)
        self._said_refused, self._say_at = 0, 0.0
        self._offset_ns = 0

    def read(self) -> int | None:
        """Take in the media that has come, and hear what was said; returns when the oldest of that media arrived
        (monotonic ns; 0: there was none), None when nothing has come."""
        frames = self._ring.read_frames()
        return None if frames is None else self._ear.read(frames, self._utc_offset_ns())

    @property
    def is_behind(self) -> bool:
        """Whether there is something for `work` to do."""
        return bool(self._ear.backlog)

    def work(self, until_s: float) -> int:
        """Act on what was said, until `time.monotonic()` is `until_s`; returns as `read` does, of media that waited."""
        return self._ear.work(until_s, self._utc_offset_ns())

    def _utc_offset_ns(self) -> int:
        """UTC less the monotonic clock; the same as long as anything waits, though the system's clock be set."""
        if not self.is_behind:
            self._offset_ns = time.time_ns() - time.monotonic_ns()
        return self._offset_ns

    def care(self) -> None:
        """Look for calls that are over without having said so, and for packets the kernel had no room for."""
        offset_ns = self._utc_offset_ns()
        self._ear.expire(time.monotonic_ns() + offset_ns, offset_ns)
        now = time.monotonic()
        self._drops.look(self._ring.count_drops(), now)
        if self._watcher.refused > self._said_refused and now >= self._say_at:
            calls = self._watcher.refused - self._said_refused
            log.warning("span.refused", calls=calls, total=self._watcher.refused, mend="a larger span.max_calls")
            self._said_refused, self._say_at = self._watcher.refused, now + SAY_S

    def snapshot(self, call_id: str) -> bytes:
        """What `restore` needs to go on with a call."""
        return self._watcher.snapshot(call_id)

    def restore(self, snapshot: bytes) -> None:
        """Take up a call of before a restart. Raises ValueError."""
        self._watcher.restore(snapshot)

    def state(self) -> dict[str, Any]:
        """What was seen since the start. May be called from any thread."""
        traffic = self._ear.traffic
        return {
            "interface": self._interface,
            "packets": traffic.packets,
            "sip_messages": traffic.messages,
            "unreadable_messages": self._watcher.garbage,
            "calls": self._ear.calls_seen,
            "refused_calls": self._watcher.refused,
            "encrypted_calls": self._watcher.encrypted,
            "fragments": traffic.fragments,
            "datagrams_put_together": traffic.put_together,
            "malformed": traffic.malformed,
            "dropped_packets": self._drops.total,
            "waiting_messages": self._ear.backlog.messages,
            "dropped_messages": self._ear.backlog.dropped_messages,
            "dropped_waiting_packets": self._ear.backlog.dropped_packets,
        }


def new_id(at_ns: int, _seed: str) -> str:
    """An id that nobody can guess; it begins with the time."""
    return f"{at_ns // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}{secrets.token_hex(10)}"
