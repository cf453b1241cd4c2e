"""SIP that waits to be worked off, and the media that waits for it: no more of it than has to.

A message is read when it comes, but acted on when there is time. Packets go past those that wait, to the engine at
once, unless they are sent to an address that one of the messages before them has to do with: by its Call-ID, by an
address it names, by whatever else brings dialogs together (`agent.tap.span.correlation`), directly or by way of another
message that waits. Such packets wait in the same queue, in order, so that every call gets what it would get if
everything were done at once.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import structlog

from agent.media.frames import Numbers
from agent.tap.span.correlation import Correlation, Name
from agent.tap.span.message import Said
from agent.tap.span.traffic import Part

MOST_MESSAGES = 16_000
"""Messages that wait; those that are of no known call wait no longer from three quarters of it on."""
MOST_HELD_BYTES = 128 << 20
"""Of packets that wait, with their headers."""

log = structlog.get_logger()


@dataclass(slots=True)
class Unheard:
    """Messages that there was no room for named these addresses."""

    at_ns: int
    addresses: set[int] = field(default_factory=set)


Waiting = Said | Part | Unheard


@dataclass(slots=True)
class _Concern:
    """What messages that have to do with one another are found by, and the last of them."""

    last: Said | Unheard
    names: set[Name] = field(default_factory=set)


class Backlog:
    """The queue. `take_in` puts to its end, `next` takes from its head, `done` says that it was acted on."""

    def __init__(self, known: Correlation) -> None:
        self._known = known
        self._items: deque[Waiting] = deque()
        self._concerns: dict[Name, _Concern] = {}
        self._addresses: dict[int, _Concern] = {}
        self._held: dict[int, Part] = {}
        self._said_so = False
        self.messages = self.held_bytes = self.reached_ns = 0
        self.dropped_messages = self.dropped_packets = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    def take_in(self, part: Part, said: Sequence[tuple[Said, int]]) -> Part:
        """Messages of some frames, each with the number of packets before it. Returns the packets that need not
        wait."""
        waits = dict.fromkeys([*self._addresses, *self._held], 0)
        placed: list[tuple[Said | Unheard | None, int]] = []
        for one, before in said:
            last = placed[-1][0] if placed else self._items[-1] if self._items else None
            item, addresses = self._concern(one, last)
            if item is not last:
                placed.append((item, before))
            for address in addresses:
                waits.setdefault(address, before)
        held = _held(part, waits)
        if not held.any():
            self._items.extend(item for item, _ in placed if item is not None)
            return part
        first, rows = 0, np.flatnonzero(held)
        concerns = [None if item is None else self._concerns[_any_name(item)] for item, _ in placed]
        before_whom = self._by_concern(part, rows, concerns)
        for (item, before), concern in zip(placed, concerns, strict=True):
            mine = before_whom.get(id(concern), ())
            if len(mine) and np.searchsorted(mine, first) < np.searchsorted(mine, before):
                self._hold(part, rows[(rows >= first) & (rows < before)])
                first = before
            if item is not None:
                self._items.append(item)
        self._hold(part, rows[rows >= first])
        return part.take(np.flatnonzero(~held))

    def _by_concern(self, part: Part, rows: Numbers, concerns: Sequence[_Concern | None]) -> dict[int, Numbers]:
        """Which of these rows each of some concerns has to do with: only between those need a message stand exactly."""
        found: dict[int, list[int]] = {id(concern): [] for concern in concerns if concern is not None}
        if not found:
            return {}
        addresses, which = np.unique(part.block.destination[rows], return_inverse=True)
        concern = np.array([id(self._addresses.get(address)) for address in addresses.tolist()])[which]
        of_any = np.isin(concern, list(found))
        for row, one in zip(rows[of_any].tolist(), concern[of_any].tolist(), strict=True):
            found[one].append(row)
        return {one: np.array(mine, np.int64) for one, mine in found.items()}

    def next(self) -> Waiting:
        """The first that waits; it is to be told to `done`. Raises IndexError."""
        item = self._items.popleft()
        if not isinstance(item, Part):
            self.reached_ns = item.at_ns
        if not self._items and self._said_so:
            self._said_so = False
            log.info("span.backlog.over", dropped_messages=self.dropped_messages, dropped_packets=self.dropped_packets)
        return item

    def addresses(self, item: Said | Unheard) -> set[int]:
        """All that a message that was next may have to do with."""
        return {name for name in self._concerns[_any_name(item)].names if isinstance(name, int)}

    def done(self, item: Waiting) -> None:
        """Nothing has to wait for this one any longer."""
        if isinstance(item, Part):
            self.held_bytes -= len(item.frames.memory)
            for address in set(item.block.destination.tolist()):
                if self._held.get(address) is item:
                    del self._held[address]
            return
        self.messages -= isinstance(item, Said)
        concern = self._concerns[_any_name(item)]
        if concern.last is item:
            for name in concern.names:
                del self._concerns[name]
                if isinstance(name, int):
                    del self._addresses[name]

    def _concern(self, said: Said, last: Waiting | None) -> tuple[Said | Unheard | None, list[int]]:
        """What stands in the queue for a message, `last` being what comes before it there, and which addresses have to
        wait for it that did not before."""
        names = self._known.names(said, self._concerns)
        new = f"i:{said.call_id}" not in self._concerns and not self._known.knows(said.call_id)
        item: Said | Unheard = said
        if self.messages < (MOST_MESSAGES * 3 // 4 if new else MOST_MESSAGES):
            self.messages += 1
        else:
            item = last if isinstance(last, Unheard) else Unheard(said.at_ns)
            self._drop(item, names)
            if not item.addresses:
                return None, []
            names = set(item.addresses)
        names = self._known.around(names)
        concerns = {id(c): c for name in names if (c := self._concerns.get(name)) is not None}
        concern = max(concerns.values(), key=lambda c: len(c.names), default=_Concern(item))
        for other in concerns.values():
            if other is not concern:
                names |= other.names
        fresh = [name for name in names if name not in self._concerns]
        for name in names - concern.names:
            self._concerns[name] = concern
            if isinstance(name, int):
                self._addresses[name] = concern
        concern.names |= names
        concern.last = item
        return item, [name for name in fresh if isinstance(name, int)]

    def _drop(self, unheard: Unheard, names: set[Name]) -> None:
        """There is no room for a message: what stays of it are those of its addresses that belong to somebody."""
        self.dropped_messages += 1
        self._say_so()
        addresses = {name for name in names if isinstance(name, int)}
        unheard.addresses |= {at for at in addresses if at in self._addresses or self._known.uses(at)}

    def _hold(self, part: Part, rows: Numbers) -> None:
        if not len(rows):
            return
        held = part.take(rows).copy()
        if self.held_bytes + len(held.frames.memory) > MOST_HELD_BYTES:
            self.dropped_packets += len(rows)
            self._say_so()
            return
        self.held_bytes += len(held.frames.memory)
        self._held |= dict.fromkeys(held.block.destination.tolist(), held)
        self._items.append(held)

    def _say_so(self) -> None:
        if not self._said_so:
            self._said_so = True
            log.error("span.backlog.full", messages=self.messages, held_bytes=self.held_bytes)


def _any_name(item: Said | Unheard) -> Name:
    return f"i:{item.call_id}" if isinstance(item, Said) else next(iter(item.addresses))


def _held(part: Part, waits: dict[int, int]) -> npt.NDArray[np.bool_]:
    """Which packets of a part go to addresses that wait, and come after what they wait for."""
    destination, count = part.block.destination, len(waits)
    if not count or not len(destination):
        return np.zeros(len(destination), np.bool_)
    addresses, before = np.fromiter(waits, np.int64, count), np.fromiter(waits.values(), np.int64, count)
    order = np.argsort(addresses)
    addresses, before = addresses[order], before[order]
    at = np.minimum(np.searchsorted(addresses, destination), count - 1)
    held: npt.NDArray[np.bool_] = (addresses[at] == destination) & (np.arange(len(destination)) >= before[at])
    return held
