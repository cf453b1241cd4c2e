"""Frames in, calls out: what is overheard of SIP begins, changes and ends the calls whose packets lie in between.

The same for a mirror port and for a file: only the clock differs.
"""

from collections.abc import Callable
from dataclasses import replace

from agent.media.block import Frames
from agent.model.call import Call
from agent.model.events import CallChanged, CallEvent, CallStarted
from agent.model.purpose import Decision
from agent.recorder.calls import Calls
from agent.tap.span.strays import Heard
from agent.tap.span.tally import Tally
from agent.tap.span.traffic import Part, Traffic
from agent.tap.span.watcher import Watcher

EXPIRE_NS = 1_000_000_000


class Overhearing:
    """Feeds `calls`, as calls of `tap`. `admit` decides about a call that begins, and has its key made."""

    def __init__(
        self, tap: str, traffic: Traffic, watcher: Watcher, calls: Calls, admit: Callable[[Call], tuple[Decision, ...]]
    ) -> None:
        self._tap = tap
        self.traffic = traffic
        self.watcher = watcher
        self.calls_seen = 0
        self._calls = calls
        self._admit = admit
        self._tally = Tally()
        self._expire_at_ns = 0

    def take_in(self, frames: Frames, offset_ns: int) -> None:
        """Everything in the frames, in order. `offset_ns`: UTC less the clock of the frames."""
        self.expire(int(frames.arrival_ns[0]) + offset_ns, offset_ns)
        part = self.traffic.tell_apart(frames, offset_ns)
        done = 0
        for message, before in part.messages:
            if events := self.watcher.hear(message):
                done = self._process(part, done, before)
                self.apply(events, offset_ns)
        self._process(part, done, len(part.rows))

    def expire(self, now_ns: int, offset_ns: int) -> None:
        """Look once a second (UTC) for calls that ended unheard, and for packets that belong to a call all the same."""
        if self._expire_at_ns - 2 * EXPIRE_NS < now_ns < self._expire_at_ns:
            return
        self._expire_at_ns = now_ns + EXPIRE_NS
        heard_ns = {call_id: at + offset_ns for call_id, at in self._calls.last_heard_ns(self._tap).items()}
        self.apply(self.watcher.expire(now_ns, heard_ns), offset_ns)
        if strays := self._tally.take():
            self.apply(self.watcher.adopt(strays, self._heard(offset_ns), now_ns), offset_ns)

    def _heard(self, offset_ns: int) -> dict[tuple[str, int], Heard]:
        """What each stream has heard, by where its packets go."""
        found: dict[tuple[str, int], Heard] = {}
        for live in self._calls.all():
            if live.call.tap == self._tap:
                for address, stream in live.streams.items():
                    ssrc, last_ns = self._calls.engine.heard(address)
                    found[stream.host, stream.port] = Heard(ssrc, last_ns + offset_ns if last_ns else 0)
        return found

    def apply(self, events: list[CallEvent], offset_ns: int) -> None:
        """Do what the watcher says has happened."""
        for event in events:
            if isinstance(event, CallStarted):
                self.calls_seen += 1
                call = replace(event.call, tap=self._tap)
                self._calls.started(CallStarted(call), self._admit(call), call.started_ns - offset_ns)
            elif isinstance(event, CallChanged):
                self._calls.changed(event)
            else:
                self._calls.ended(event, event.at_ns - offset_ns)

    def _process(self, part: Part, first: int, after: int) -> int:
        if part.block is not None and after > first:
            block = part.block.between(first, after)
            strays = self._calls.engine.stray
            self._calls.process(block)
            if self._calls.engine.stray > strays:
                unknown = ~self._calls.engine.knows(block.destination)
                self._tally.note(part.frames, part.found, part.rows[first:after][unknown])
        return after
