"""What is new of live calls, for whoever watches; told by the media thread."""

import asyncio
from collections.abc import Sequence

from agent.capture.gate import GateAlert
from agent.control.watching import Watcher, WatchRoom
from agent.recorder.describing import describe, describe_alert
from agent.recorder.live import LiveCall


class Newsroom(WatchRoom):
    """Tells watchers of live calls; describing is only done when somebody watches."""

    def introduce(self, watcher: Watcher, live: Sequence[LiveCall], loop: asyncio.AbstractEventLoop) -> None:
        """It hears of all calls as they stand, and of everything after that."""
        self.welcome(watcher, [{"news": "call", "call": describe(one)} for one in live], loop)

    def call(self, live: LiveCall) -> None:
        """It began or changed."""
        if self.is_watched:
            self.tell({"news": "call", "call": describe(live)})

    def ended(self, live: LiveCall) -> None:
        """It is over."""
        if self.is_watched:
            agent = live.call.agent.number if live.call.agent else None
            self.tell({"news": "ended", "call_id": live.call.call_id, "agent": agent})

    def alert(self, live: LiveCall, alert: GateAlert) -> None:
        """A pause lasts, or was ended since it lasted too long."""
        if self.is_watched:
            self.tell({"news": "alert", **describe_alert(live, alert)})
            self.call(live)
