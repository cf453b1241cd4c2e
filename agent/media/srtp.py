"""Secure RTP (RFC 3711) made plain before the engine sees it; what cannot be verified goes no further.

libsrtp checks and decrypts packet by packet: there is no way around one call each. Packets to addresses without a key
are neither looked at nor copied.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from agent.media.block import PacketBlock
from agent.media.endpoint import KeyTable, key
from agent.media.libsrtp import SUITES, Error, Session, is_known, policy_of, set_rollovers
from agent.media.local import LocalSource
from agent.media.rtp import FIRST_RTCP, FIXED_BYTES, LAST_RTCP
from agent.model.srtp import SrtpKey

__all__ = ["SUITES", "Opened", "SecureSource"]

REPLAY_WINDOW = 512
"""Packets. libsrtp's own default, 128, is less than what the engine can still place."""
OVERLAP_NS = 5_000_000_000
"""So long after a change of keys are packets under the old one still taken: they were under way."""
MOST_ROLLOVERS = 16
"""Rollover counts tried for a sender that was under way before we knew it. One stands for 22 minutes of a call at 20 ms
a packet; signalling does not carry the count (RFC 4568 §6.4)."""
MOST_SEARCHES = 64
"""Packets of a key in SEARCH_NS that such a search is made for: a wrong key must not cost a search each time."""
SEARCH_NS = 1_000_000_000


@dataclass(slots=True)
class Opened:
    """Packets of one address: verified and made plain; under no key we were told; come once more (RFC 3711 §3.3.2)."""

    opened: int = 0
    failed: int = 0
    replayed: int = 0


class _Stream:
    """All that comes to one address, under one key (for a while under two)."""

    def __init__(self, key: SrtpKey) -> None:
        self.key = key
        self.counts = Opened()
        self._session = Session(policy_of(key, None, REPLAY_WINDOW))
        self._before: Session | None = None
        self._before_until_ns = 0
        self._searches = self._searched_ns = 0

    def change(self, key: SrtpKey, now_ns: int) -> None:
        """From now on under another key; the same one changes nothing."""
        if key != self.key:
            self._before, self._before_until_ns = self._session, now_ns + OVERLAP_NS
            self.key, self._session, self._searches = key, Session(policy_of(key, None, REPLAY_WINDOW)), 0

    def open(self, packet: bytes, arrival_ns: int) -> bytes | None:
        """The packet in clear, or None."""
        try:
            plain = self._session.unprotect(packet)
        except (Error, ValueError) as error:
            return self._open_otherwise(packet, arrival_ns, str(error))
        self.counts.opened += 1
        return plain

    def _open_otherwise(self, packet: bytes, arrival_ns: int, problem: str) -> bytes | None:
        if len(packet) > FIXED_BYTES and FIRST_RTCP <= packet[1] <= LAST_RTCP:
            with suppress(Error, ValueError):
                return self._session.unprotect_rtcp(packet)
            return None
        if problem.startswith("replay check"):
            self.counts.replayed += 1
            return None
        plain = self._under_the_old_key(packet, arrival_ns) or self._further_on(packet, arrival_ns)
        if plain is None:
            self.counts.failed += 1
        else:
            self.counts.opened += 1
        return plain

    def _under_the_old_key(self, packet: bytes, arrival_ns: int) -> bytes | None:
        if self._before is None:
            return None
        if arrival_ns > self._before_until_ns:
            self._before = None
            return None
        with suppress(Error, ValueError):
            return self._before.unprotect(packet)
        return None

    def _further_on(self, packet: bytes, arrival_ns: int) -> bytes | None:
        """A sender whose sequence numbers have wrapped before we heard it: after our restart, or a change of keys."""
        ssrc = int.from_bytes(packet[8:12])
        if len(packet) <= FIXED_BYTES or is_known(self._session, ssrc):
            return None
        if arrival_ns - self._searched_ns > SEARCH_NS:
            self._searches, self._searched_ns = 0, arrival_ns
        if self._searches >= MOST_SEARCHES:
            return None
        self._searches += 1
        self._session.add_stream(policy_of(self.key, ssrc, REPLAY_WINDOW))
        for rollovers in range(1, MOST_ROLLOVERS + 1):
            set_rollovers(self._session, ssrc, rollovers)
            with suppress(Error, ValueError):
                return self._session.unprotect(packet)
        self._session.remove_stream(ssrc)
        return None


class SecureSource:
    """A LocalSource in which some ports have a key: what comes out of `read` is plain, or was so from the first.

    `monotonic_ns` is the clock of the blocks' arrival times.
    """

    def __init__(self, source: LocalSource, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._source = source
        self._now_ns = monotonic_ns
        self._address: dict[int, int] = {}
        self._streams: dict[int, _Stream] = {}
        self._secured = KeyTable()
        self._waiting: PacketBlock | None = None
        self._failed_before = 0
        self.name, self.interval_s, self.behind_s = source.name, source.interval_s, source.behind_s

    # ---- keys

    def secure(self, port: int, secret: SrtpKey | None) -> None:
        """From now on what comes to an open port is secure RTP under this key; None: plain RTP.

        A port that is not open is ignored. Raises ValueError for a suite that is none of SUITES.
        """
        address = self._address.get(port)
        if address is None:
            return
        if secret is None:
            self._forget(address)
        elif address in self._streams:
            self._streams[address].change(secret, self._now_ns())
        else:
            self._streams[address] = _Stream(secret)
            self._secured.add(address, 0)

    def _forget(self, address: int) -> None:
        if (stream := self._streams.pop(address, None)) is not None:
            self._secured.remove(address)
            self._failed_before += stream.counts.failed

    def counts(self) -> Mapping[int, Opened]:
        """What became of the packets to each address that has a key, since it has one."""
        return {address: stream.counts for address, stream in self._streams.items()}

    @property
    def failed(self) -> int:
        """How many packets no key opened since the start."""
        return self._failed_before + sum(stream.counts.failed for stream in list(self._streams.values()))

    # ---- LocalSource

    def open_port(self, host: str, port: int) -> None:
        """See LocalSource."""
        self._source.open_port(host, port)
        self._address[port] = key(host, port)

    def close_port(self, port: int) -> None:
        """See LocalSource. The port loses its key."""
        self._source.close_port(port)
        self._forget(self._address.pop(port, 0))

    def read(self) -> PacketBlock | None:
        """See LocalSource. A block with packets of both kinds comes as two, one for each."""
        if (waiting := self._waiting) is not None:
            self._waiting = None
            return waiting
        while (block := self._source.read()) is not None:
            if not self._streams:
                return block
            secured = self._secured.find(block.destination) >= 0
            if not secured.any():
                return block
            opened = self._open(block, np.flatnonzero(secured))
            plain = None if secured.all() else _part(block, np.flatnonzero(~secured))
            if plain is not None:
                self._waiting = opened
                return plain
            if opened is not None:
                return opened
        return None

    def count_drops(self) -> int:
        """See LocalSource."""
        return self._source.count_drops()

    def close(self) -> None:
        """See LocalSource."""
        self._source.close()
        self._streams.clear()

    def _open(self, block: PacketBlock, chosen: np.ndarray) -> PacketBlock | None:
        """The packets `chosen` as far as they could be opened, in memory of their own."""
        plains: list[bytes] = []
        kept: list[int] = []
        of = _part(block, chosen)
        columns = (chosen, of.start, of.length, of.destination, of.arrival_ns)
        for number, start, length, address, arrival_ns in zip(*(c.tolist() for c in columns), strict=True):
            plain = self._streams[address].open(block.memory[start : start + length].tobytes(), arrival_ns)
            if plain is not None:
                plains.append(plain)
                kept.append(number)
        if not kept:
            return None
        length = np.array([len(plain) for plain in plains], np.int64)
        memory = np.frombuffer(b"".join(plains), np.uint8)
        part = _part(block, np.array(kept))
        return PacketBlock(memory, np.cumsum(length) - length, length, part.destination, part.source, part.arrival_ns)


def _part(block: PacketBlock, chosen: np.ndarray) -> PacketBlock:
    """The packets `chosen`, where they are."""
    return PacketBlock(
        block.memory,
        block.start[chosen],
        block.length[chosen],
        block.destination[chosen],
        block.source[chosen],
        block.arrival_ns[chosen],
    )
