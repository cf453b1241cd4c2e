"""Live text for those who may read it: what the scribe tells of words, passed on as server-sent events, kept nowhere.

Whose call it is is what the recorder says of it now: after a transfer the next agent's, and nothing more for the first.
"""

import json
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from agent.control.client import SILENCE_S, ControlClient, NoAnswer, follow
from agent.control.takenback import without_words
from agent.desk.presence import AWAY, Event, Listener, Presence
from agent.model.identity import Scope

log = structlog.get_logger()

MOST_READERS = 256
"""Of all tokens together."""
STATS_S = 1.0
MOST_CALLS = 10_000
"""Of which it is known who was told of them."""
KINDS = frozenset({"text", "forgotten", "live"})


class LiveText:
    """Follows the scribe. `run` is its one task; everything else is called in the same loop."""

    def __init__(self, socket: Path, presence: Presence, silence_s: float = SILENCE_S) -> None:
        self._socket = socket
        self._scribe = ControlClient(socket, STATS_S, of="scribe")
        self._presence = presence
        self._silence_s = silence_s
        self._readers: dict[Listener, tuple[str | None, str | None]] = {}
        self._told: OrderedDict[str, set[Listener]] = OrderedDict()
        """Who was told words of a call: who does not see it any more has to forget what a pause reaches, too."""
        self.ready = False

    async def run(self) -> None:
        """Watch the scribe, again and again; never returns."""
        await follow(self._socket, self._hear, self._away, self._silence_s, of="scribe")

    async def stats(self) -> dict[str, Any] | None:
        """What the scribe says of live text and the guard; None when it does not answer."""
        try:
            return await self._scribe.ask(op="stats")
        except (NoAnswer, ValueError):
            return None

    def listen(self, who: Scope, call: str | None, purpose: str | None) -> Listener:
        """A new reader of the calls that `who` may see, or of one of them, for one purpose or for all."""
        reader = Listener(who.may_press_for, frozenset())
        self._readers[reader] = (call, purpose)
        if not self.ready:
            reader.tell(AWAY)
        return reader

    def leave(self, reader: Listener) -> None:
        """Forget a reader."""
        reader.gone.set()
        self._readers.pop(reader, None)
        for told in self._told.values():
            told.discard(reader)

    def close(self) -> None:
        """Send everybody away."""
        self._scribe.close()
        for reader in self._readers:
            reader.gone.set()

    @property
    def has_room(self) -> bool:
        """Whether one more may read."""
        return len(self._readers) < MOST_READERS

    def _hear(self, news: dict[str, Any]) -> None:
        kind = news["news"]
        if kind == "ready":
            self.ready = True
            log.info("desk.reading")
        if kind not in KINDS or not self._readers:
            return
        call_id, purpose = news["call_id"], news.get("purpose")
        event: Event = (kind, json.dumps({name: value for name, value in news.items() if name != "news"}))
        if kind == "forgotten":
            for reader in self._told.pop(call_id, set()):
                reader.recall(partial(_without, call_id, news["from_s"]))
                reader.tell(event)
            return
        found = self._presence.calls(call_id)
        agent: str | None = found[0]["agent"] if found else None
        if not found or (kind == "text" and not self._presence.ready):
            return  # it is over, or whose it is is not known now: nobody may read it
        for reader, (call, only) in tuple(self._readers.items()):
            if call in (None, call_id) and (purpose is None or only in (None, purpose)) and reader.wants(agent):
                reader.tell(event)
                self._told.setdefault(call_id, set()).add(reader)
        while len(self._told) > MOST_CALLS:
            self._told.popitem(last=False)

    def _away(self, error: Exception) -> None:
        if self.ready:
            log.warning("desk.scribe_away", error=str(error))
            self.ready = False
            for reader in tuple(self._readers):
                reader.tell(AWAY)


def _without(call_id: str, from_s: float, event: Event) -> Event:
    kind, data = event
    if kind != "text":
        return event
    left = without_words({"news": kind, **json.loads(data)}, call_id, from_s)
    return (kind, json.dumps({name: value for name, value in left.items() if name != "news"}))
