"""Whose packets a stream takes: one source at a time, the announced one first, another only after it has gone on alone.

A stranger's packets wait in RAM meanwhile, so that nothing is lost when it proves to be the stream after all (RFC 3550
§8.2 leaves to the receiver what to do with a second source). What a sender goes on sending after its call ended is
known by its SSRC and by its clock, and never becomes part of the next call at the same address. A key (RFC 4733) that
is pressed before any sound counts by the same rules, but sound alone proves a stranger to be the stream.
"""

import numpy as np
import numpy.typing as npt

from agent.media.aside import Aside
from agent.media.block import PacketBlock
from agent.media.columns import Columns, Numbers, signed32
from agent.media.endpoint import PORT_BITS
from agent.model.call import CLOCK_RATE

PATIENCE_NS = 400_000_000
"""So long, and with so many packets, must a stranger have gone on while the source known was quiet."""
PATIENCE_PACKETS = 20
QUIET_NS = 200_000_000
"""After such a silence another port of the same host is the same source (a media server that restarted the stream)."""
STALE_S = 3600
STALE_SAMPLES = 5 * CLOCK_RATE
"""How far from its clock a sender that did not stop is still recognised."""
MOST_DEAD = 1 << 17
NS_PER_SAMPLE = 1_000_000_000 // CLOCK_RATE

Mask = npt.NDArray[np.bool_]


class Sources:
    """Decides for every row of `columns`; see the module."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._strangers: dict[int, Aside] = {}
        self._dead: dict[int, tuple[int, int, int]] = {}
        """By address: SSRC, RTP timestamp and arrival of the last packet of the stream that was there."""

    def begin(self, row: int, address: int, announced: int, since_ns: int, now_ns: int) -> None:
        """A new stream; `announced` is the key of its source or 0, `since_ns` when the address became its own."""
        c = self._columns
        c.announced[row], c.since_ns[row] = announced, since_ns
        ssrc, timestamp, at_ns = self._dead.pop(address, (0, 0, 0))
        c.barred[row] = bool(at_ns) and now_ns - at_ns < STALE_S * 1_000_000_000
        c.dead_ssrc[row], c.dead_ts[row], c.dead_ns[row] = ssrc, timestamp, at_ns

    def end(self, row: int, address: int, *, remember: bool) -> None:
        """The stream is over. Whoever waited was nobody; who sent is remembered, if wanted."""
        c = self._columns
        self._dismiss(row)
        if c.locked[row] and remember:
            while len(self._dead) >= MOST_DEAD:
                del self._dead[next(iter(self._dead))]
            self._dead[address] = (int(c.ssrc[row]), int(c.ref_ts[row]), int(c.last_ns[row]))
        elif c.barred[row]:
            self._dead[address] = (int(c.dead_ssrc[row]), int(c.dead_ts[row]), int(c.dead_ns[row]))

    def stale(self, row: Numbers, ssrc: Numbers, timestamp: Numbers, arrival_ns: Numbers) -> Mask | None:
        """Which packets belong to what was at their address before; None when none does."""
        c = self._columns
        early = arrival_ns < c.since_ns[row]
        barred = c.barred[row]
        if barred.any():
            ticks = signed32(timestamp - c.dead_ts[row])
            off = ticks - (arrival_ns - c.dead_ns[row]) // NS_PER_SAMPLE
            early |= barred & (ssrc == c.dead_ssrc[row]) & (np.abs(off) < STALE_SAMPLES)
        return early if early.any() else None

    def admit(self, block: PacketBlock, row: Numbers, strange: Mask, sound: Mask) -> tuple[Mask, list[PacketBlock]]:
        """Which of the packets `strange` (not of their row's source) are let in; and what has waited and is to be taken
        before them. `sound`: which are audio; the others are keys, of rows that have heard nothing yet."""
        admitted = np.zeros(len(row), np.bool_)
        waited: list[PacketBlock] = []
        chosen = np.flatnonzero(strange)
        pairs = np.stack([row[chosen], block.source[chosen]], axis=1)
        distinct, first = np.unique(pairs, axis=0, return_index=True)
        for one, source in distinct[np.argsort(first)].tolist():
            mine = chosen[(pairs[:, 0] == one) & (pairs[:, 1] == source)]
            heard_ns = self._last_heard(block, row, one)
            if self._is_it(one, source, int(block.arrival_ns[mine[0]]) - heard_ns):
                self._columns.source[one] = source
                self._dismiss(one)
                admitted[mine] = True
            elif (held := self._wait(one, source, block, mine, sound, heard_ns)) is not None:
                waited.append(held)
        return admitted, waited

    def _last_heard(self, block: PacketBlock, row: Numbers, one: int) -> int:
        """When the source of a row was heard last, this block included."""
        known = self._columns.source[one]
        arrivals = block.arrival_ns[(row == one) & (block.source == known)] if known else ()
        return max(int(self._columns.last_ns[one]), int(max(arrivals, default=0)))

    def _is_it(self, row: int, source: int, silence_ns: int) -> bool:
        c = self._columns
        known, announced = int(c.source[row]), int(c.announced[row])
        if source == announced or (not known and not announced):
            return True
        if known:
            return source >> PORT_BITS == known >> PORT_BITS and silence_ns > QUIET_NS
        return source >> PORT_BITS == announced >> PORT_BITS

    def _wait(
        self, row: int, source: int, block: PacketBlock, mine: Numbers, sound: Mask, heard_ns: int
    ) -> PacketBlock | None:
        """Keep a stranger's packets; all that was kept comes back once it has proved to be the stream."""
        c = self._columns
        first, last = int(block.arrival_ns[mine[0]]), int(block.arrival_ns[mine[-1]])
        stranger = self._strangers.get(row)
        if stranger is not None and heard_ns >= stranger.first_ns:
            self._dismiss(row)
            stranger = None
        if stranger is not None and stranger.source != source:
            if first - stranger.last_ns < PATIENCE_NS:
                c.foreign[row] += len(mine)
                return None
            self._dismiss(row)
            stranger = None
        if stranger is None:
            stranger = self._strangers[row] = Aside(source, first)
        c.foreign[row] += stranger.add(block, mine)
        stranger.sounding += int(np.count_nonzero(sound[mine]))
        if (
            heard_ns >= stranger.first_ns
            or stranger.sounding < PATIENCE_PACKETS
            or last - stranger.first_ns < PATIENCE_NS
        ):
            return None
        c.source[row] = source
        del self._strangers[row]
        return stranger.block(int(block.destination[mine[0]]))

    def _dismiss(self, row: int) -> None:
        if stranger := self._strangers.pop(row, None):
            self._columns.foreign[row] += len(stranger.packets)
