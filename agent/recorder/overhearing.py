"""Frames in, calls out: what is overheard of SIP begins, changes and ends the calls whose packets lie in between.

Media goes to the engine at once; SIP, and media that has to wait for it, is worked off when there is time for it
(`agent.tap.span.backlog`). The same for a mirror port and for a file: only the clock differs.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.media.block import Frames
from agent.media.endpoint import key
from agent.model.call import Call
from agent.model.events import CallChanged, CallEvent, CallKeyed, CallStarted
from agent.model.purpose import Decision
from agent.recorder.calls import Calls
from agent.tap.span.backlog import Backlog, Unheard
from agent.tap.span.message import Said
from agent.tap.span.strays import Address, Heard
from agent.tap.span.tally import Tally
from agent.tap.span.traffic import Part, Traffic, together
from agent.tap.span.watcher import Watcher

EXPIRE_NS = 1_000_000_000
TURNS = 16
"""In so many parts of a second all calls are looked at once."""
MOST_READY = 4096
"""Packets that have waited and are taken in together."""


class Overhearing:
    """Feeds `calls`, as calls of `tap`. `admit` decides about a call that begins, and has its key made."""

    def __init__(
        self, tap: str, traffic: Traffic, watcher: Watcher, calls: Calls, admit: Callable[[Call], tuple[Decision, ...]]
    ) -> None:
        self._tap = tap
        self.traffic = traffic
        self.watcher = watcher
        self.backlog = Backlog(watcher.known)
        self.calls_seen = 0
        self._calls = calls
        self._admit = admit
        self._tally = Tally()
        self._ready: list[Part] = []
        self._turn_ns = self._adopt_ns = 0

    def take_in(self, frames: Frames, offset_ns: int) -> None:
        """Everything in the frames, in order. `offset_ns`: UTC less the clock of the frames."""
        self.expire(int(frames.arrival_ns[0]) + offset_ns, offset_ns)
        self.read(frames, offset_ns)
        self.work(math.inf, offset_ns)

    def read(self, frames: Frames, offset_ns: int) -> int:
        """Read the SIP of the frames, and take in the media that need not wait for it. Returns when the oldest of that
        arrived, by the clock of the frames; 0 when there is none."""
        part, overheard = self.traffic.tell_apart(frames, offset_ns)
        said = [(one, before) for message, before in overheard for one in self.watcher.read(message)]
        return self._process([self.backlog.take_in(part, said)])

    def work(self, until_s: float, offset_ns: int) -> int:
        """Work off what waits until `time.monotonic()` is `until_s`, one message at least. Returns as `read` does."""
        arrived_ns = []
        while self.backlog:
            item = self.backlog.next()
            if isinstance(item, Part):
                self._ready.append(item)
                if sum(map(len, self._ready)) >= MOST_READY:
                    arrived_ns.append(self._catch_up())
            else:
                arrived_ns.append(self._act(item, offset_ns))
            if time.monotonic() >= until_s:
                break
        arrived_ns.append(self._catch_up())
        return min(filter(None, arrived_ns), default=0)

    def _act(self, item: Said | Unheard, offset_ns: int) -> int:
        caught_up_ns = 0
        told = self.watcher.take(item) if isinstance(item, Said) else self.watcher.disown(item.addresses, item.at_ns)
        if told:
            addresses = self.backlog.addresses(item)
            if any(not addresses.isdisjoint(part.block.destination.tolist()) for part in self._ready):
                caught_up_ns = self._catch_up()
            self.apply(told, offset_ns)
        self.backlog.done(item)
        return caught_up_ns

    def _catch_up(self) -> int:
        """Take in the media that has waited long enough."""
        ready, self._ready = self._ready, []
        for part in ready:
            self.backlog.done(part)
        return self._process(ready)

    def _process(self, parts: list[Part]) -> int:
        parts = [part for part in parts if len(part)]
        if not parts:
            return 0
        block, strays = together(parts), self._calls.engine.stray
        self._calls.process(block)
        if self._calls.engine.stray > strays:
            for part in parts:
                unknown = ~self._calls.engine.knows(part.block.destination)
                self._tally.note(part.frames, part.found, part.rows[unknown])
        return int(block.arrival_ns.min())

    def expire(self, now_ns: int, offset_ns: int) -> None:
        """Look for calls that ended unheard, at each of them once a second (UTC), and for packets that belong to a call
        all the same. What has not been worked off yet has not happened yet."""
        if self.backlog:
            now_ns = min(now_ns, self.backlog.reached_ns)
        turns = max(0, now_ns - self._turn_ns) * TURNS // EXPIRE_NS if now_ns > self._turn_ns - EXPIRE_NS else TURNS
        if not turns:
            return
        self._turn_ns = now_ns

        def last_media_ns(call_id: str) -> int:
            return self._calls.last_heard_ns(call_id) + offset_ns

        for _ in range(min(turns, TURNS)):
            self.apply(self.watcher.expire(now_ns, last_media_ns, TURNS), offset_ns)
        if not self.backlog and not self._adopt_ns - 2 * EXPIRE_NS < now_ns < self._adopt_ns:
            self._adopt_ns = now_ns + EXPIRE_NS
            if strays := self._tally.take():
                self.apply(self.watcher.adopt(strays, lambda at: self._heard(at, offset_ns), now_ns), offset_ns)

    def _heard(self, at: Address, offset_ns: int) -> Heard | None:
        """What the stream at an address has heard."""
        try:
            ssrc, last_ns = self._calls.engine.heard(key(*at))
        except LookupError:
            return None
        return Heard(ssrc, last_ns + offset_ns if last_ns else 0)

    def apply(self, events: Sequence[CallEvent | CallKeyed], offset_ns: int) -> None:
        """Do what the watcher says has happened."""
        for event in events:
            if isinstance(event, CallStarted):
                self.calls_seen += 1
                call = replace(event.call, tap=self._tap)
                self._calls.started(CallStarted(call), self._admit(call), call.started_ns - offset_ns)
            elif isinstance(event, CallChanged):
                self._calls.changed(event, event.at_ns - offset_ns)
            elif isinstance(event, CallKeyed):
                self._calls.keyed(event, event.at_ns - offset_ns)
            else:
                self._calls.ended(event, event.at_ns - offset_ns)
