"""From network frames to UDP and TCP payloads, by column: VLAN tags, IPv4, IPv6, and mirrors in GRE, ERSPAN or VXLAN.

802.1Q and 802.1ad tags; RFC 791 and RFC 8200; UDP RFC 768, TCP RFC 9293; GRE RFC 2784 and RFC 2890; ERSPAN types I, II
and III (draft-foschiano-erspan-03); VXLAN RFC 7348. Whatever is malformed, cut short or of no interest is left out and
counted; nothing raises on content.
"""

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.media.block import Frames, PacketBlock, gather
from agent.media.endpoint import keys_four, keys_six

Numbers = npt.NDArray[np.int64]
Memory = npt.NDArray[np.uint8]
Keys = Callable[[int, Numbers, Numbers], Numbers]
"""Keys of the address at a word of the IP header, for some rows of it and their ports."""

ETHERNET = -1
"""In place of an ethertype: an Ethernet header comes first."""
RAW_IP = -2
"""In place of an ethertype: the version of IP says which it is."""
IPV4, IPV6 = 0x0800, 0x86DD
TAGS = (0x8100, 0x88A8, 0x9100)
TCP, UDP, GRE = 6, 17, 47
VXLAN_PORT = 4789
ERSPAN_2, ERSPAN_3, BRIDGED = 0x88BE, 0x22EB, 0x6558
SKIPPED = (0, 43, 60)
"""IPv6 extension headers that are passed over (RFC 8200 §4); a fragment header (44) makes a fragment."""
MOST_TAGS, MOST_EXTENSIONS, MOST_TUNNELS = 3, 4, 2
MOST_PIECES = 1024
"""Fragments of one block that are looked at."""


@dataclass(frozen=True, slots=True)
class Payloads:
    """UDP datagrams and TCP segments found, in the order of their frames.

    `frame`: which frame; `start`, `length`: its payload in memory; `protocol`: UDP or TCP; `network`, `header`: offsets
    of the IP and of the UDP or TCP header; `destination`, `source`: keys of `agent.media.endpoint`. `fragments` and
    `malformed` count frames; `pieces` are the first MOST_PIECES fragments of IPv4: frame, and where it begins and ends.
    """

    frame: Numbers
    start: Numbers
    length: Numbers
    protocol: Numbers
    network: Numbers
    header: Numbers
    destination: Numbers
    source: Numbers
    fragments: int
    malformed: int
    pieces: tuple[tuple[int, int, int], ...] = ()

    def datagrams(self, frames: Frames) -> PacketBlock | None:
        """What is UDP of `frames`, the very ones that were parsed; None when nothing is."""
        if len(self.frame) == len(frames) and (self.protocol == UDP).all():
            return PacketBlock(frames.memory, self.start, self.length, self.destination, self.source, frames.arrival_ns)
        mine = self.protocol == UDP
        return self.chosen(frames, mine) if mine.any() else None

    def chosen(self, frames: Frames, rows: npt.NDArray[np.bool_] | Numbers) -> PacketBlock:
        """The payloads of these rows (a mask, or their numbers)."""
        arrival = frames.arrival_ns[self.frame[rows]]
        start, length, destination = self.start[rows], self.length[rows], self.destination[rows]
        return PacketBlock(frames.memory, start, length, destination, self.source[rows], arrival)

    def ends(self, memory: Memory, row: int) -> tuple[tuple[str, int], tuple[str, int]]:
        """Source and destination of one row, in words."""
        network, header = int(self.network[row]), int(self.header[row])
        at, size = (network + 12, 4) if memory[network] >> 4 == 4 else (network + 8, 16)
        hosts = (str(ipaddress.ip_address(memory[at + n : at + n + size].tobytes())) for n in (0, size))
        ports = struct.unpack(">2H", memory[header : header + 4].tobytes())
        source, destination = zip(hosts, ports, strict=True)
        return source, destination


def parse(memory: Memory, start: Numbers, stop: Numbers, kind: Numbers) -> Payloads:
    """Frames lie at `start`…`stop` of `memory` and begin with a header of `kind`: an ethertype, ETHERNET or RAW_IP."""
    heads = gather(memory, start, 28).view(">u4")
    first, third, ports = (heads[:, n].astype(np.int64) for n in (0, 2, 5))
    length = (heads[:, 6] >> 16).astype(np.int64) - 8
    plain = (kind == IPV4) & (first >> 24 == 0x45) & (third >> 16 & 0xFF == UDP) & (ports & 0xFFFF != VXLAN_PORT)
    plain &= (heads[:, 1] & 0x3FFF == 0) & (length >= 0) & (first & 0xFFFF >= length + 28)
    plain &= stop - start >= length + 28
    source, destination = keys_four(heads[:, 3], ports >> 16), keys_four(heads[:, 4], ports & 0xFFFF)
    if plain.all():
        count = len(start)
        return Payloads(
            np.arange(count), start + 28, length, np.full(count, UDP), start, start + 20, destination, source, 0, 0
        )
    found = _Found(len(start))
    chosen = np.flatnonzero(plain)
    at = start[chosen]
    found.put(chosen, UDP, at, at + 20, at + 28, length[chosen], destination[chosen], source[chosen])
    odd = np.flatnonzero(~plain)
    _Walk(memory, found).run(odd, start[odd], stop[odd], kind[odd])
    return found.payloads()


class _Found:
    """What was found for each of `count` frames."""

    def __init__(self, count: int) -> None:
        columns = np.zeros((7, count), np.int64)
        self._protocol, self._network, self._header, self._start, self._length, self._destination, self._source = (
            columns
        )
        self.fragments = self.malformed = 0
        self.pieces: list[tuple[int, int, int]] = []

    def put(
        self,
        frame: Numbers,
        protocol: int,
        network: Numbers,
        header: Numbers,
        start: Numbers,
        length: Numbers,
        destination: Numbers,
        source: Numbers,
    ) -> None:
        """Payloads of these frames."""
        self._protocol[frame], self._network[frame] = protocol, network
        self._header[frame], self._start[frame], self._length[frame] = header, start, length
        self._destination[frame], self._source[frame] = destination, source

    def payloads(self) -> Payloads:
        """All of them, in order."""
        frame = np.flatnonzero(self._protocol)
        return Payloads(
            frame,
            self._start[frame],
            self._length[frame],
            self._protocol[frame],
            self._network[frame],
            self._header[frame],
            self._destination[frame],
            self._source[frame],
            self.fragments,
            self.malformed,
            tuple(self.pieces[:MOST_PIECES]),
        )


class _Walk:
    """Frames that are not plain, layer by layer, all of them together."""

    def __init__(self, memory: Memory, found: _Found) -> None:
        self._memory = memory
        self._last = len(memory) - 1
        self._found = found

    def run(self, frame: Numbers, at: Numbers, stop: Numbers, kind: Numbers) -> None:
        """Walk from the first header of each frame to its payload, through at most MOST_TUNNELS mirrors."""
        for _ in range(MOST_TUNNELS + 1):
            if not len(frame):
                return
            frame, at, stop, kind = self._links(frame, at, stop, kind)
            frame, at, stop, kind = self._packets(frame, at, stop, kind)
        self._found.malformed += len(frame)

    def _links(self, frame: Numbers, at: Numbers, stop: Numbers, kind: Numbers) -> tuple[Numbers, ...]:
        """Past Ethernet headers and tags."""
        ethernet = kind == ETHERNET
        kind = np.where(ethernet, self._two(at + 12), kind)
        at = np.where(ethernet, at + 14, at)
        for _ in range(MOST_TAGS):
            tagged = np.isin(kind, TAGS)
            if not tagged.any():
                break
            kind = np.where(tagged, self._two(at + 2), kind)
            at = np.where(tagged, at + 4, at)
        raw = kind == RAW_IP
        version = self._one(at) >> 4
        kind = np.where(raw, np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0)), kind)
        whole = at < stop
        self._found.malformed += len(at) - int(np.count_nonzero(whole))
        return frame[whole], at[whole], stop[whole], kind[whole]

    def _packets(self, frame: Numbers, at: Numbers, stop: Numbers, kind: Numbers) -> tuple[Numbers, ...]:
        """Past IP headers; what is UDP or TCP is found, and what a tunnel carries comes back to be walked."""
        inner: list[tuple[Numbers, ...]] = []
        for version, read in ((IPV4, self._four), (IPV6, self._six)):
            mine = kind == version
            if mine.any():
                inner += read(frame[mine], at[mine], stop[mine])
        if not inner:
            return (np.empty(0, np.int64),) * 4
        return tuple(np.concatenate(column) for column in zip(*inner, strict=True))

    def _four(self, frame: Numbers, at: Numbers, stop: Numbers) -> list[tuple[Numbers, ...]]:
        heads = gather(self._memory, at, 20).view(">u4").astype(np.int64)
        header, total = (heads[:, 0] >> 24 & 0x0F) * 4, heads[:, 0] & 0xFFFF
        good = (heads[:, 0] >> 28 == 4) & (header >= 20) & (total >= header) & (at + 20 <= stop)
        good &= at + header <= stop
        fragment = good & (heads[:, 1] & 0x3FFF != 0)
        self._count(good, fragment)
        if fragment.any():
            ends = np.minimum(stop, at + total)
            pieces = (column[fragment].tolist() for column in (frame, at, ends))
            self._found.pieces += zip(*pieces, strict=True)
        good &= ~fragment
        frame, at, stop, header, total, heads = (c[good] for c in (frame, at, stop, header, total, heads))
        stop = np.minimum(stop, at + total)

        def keys(word: int, rows: Numbers, port: Numbers) -> Numbers:
            return keys_four(heads[rows, word], port)

        return self._transport(frame, at, at + header, stop, heads[:, 2] >> 16 & 0xFF, keys, (3, 4))

    def _six(self, frame: Numbers, at: Numbers, stop: Numbers) -> list[tuple[Numbers, ...]]:
        heads = gather(self._memory, at, 40)
        words = heads.view(">u8").astype(np.uint64)
        following, size = heads[:, 6].astype(np.int64), heads[:, 4].astype(np.int64) << 8 | heads[:, 5]
        good = (heads[:, 0] >> 4 == 6) & (at + 40 <= stop)
        stop = np.minimum(stop, at + 40 + size)
        network, at = at, at + 40
        for _ in range(MOST_EXTENSIONS):
            more = good & np.isin(following, SKIPPED)
            if not more.any():
                break
            good &= ~more | (at + 8 <= stop)
            step = np.where(more, (self._one(at + 1) + 1) * 8, 0)
            following = np.where(more, self._one(at), following)
            at = at + step
        fragment = good & (following == 44)
        self._count(good, fragment)
        good &= ~fragment
        frame, network, at, stop, following, words = (c[good] for c in (frame, network, at, stop, following, words))

        def keys(word: int, rows: Numbers, port: Numbers) -> Numbers:
            return keys_six(words[rows, word : word + 2], port)

        return self._transport(frame, network, at, stop, following, keys, (1, 3))

    def _transport(
        self,
        frame: Numbers,
        network: Numbers,
        at: Numbers,
        stop: Numbers,
        protocol: Numbers,
        keys: Keys,
        words: tuple[int, int],
    ) -> list[tuple[Numbers, ...]]:
        inner: list[tuple[Numbers, ...]] = []
        for which, least in ((UDP, 8), (TCP, 20)):
            rows = np.flatnonzero(protocol == which)
            if not len(rows):
                continue
            header = at[rows]
            if which == UDP:
                start, length = header + 8, self._two(header + 4) - 8
            else:
                start = header + (self._one(header + 12) >> 4) * 4
                length = stop[rows] - start
            good = (header + least <= stop[rows]) & (length >= 0) & (start + length <= stop[rows])
            good &= start - header >= least
            self._found.malformed += len(rows) - int(np.count_nonzero(good))
            rows, header, start, length = rows[good], header[good], start[good], length[good]
            from_port, to_port = self._two(header), self._two(header + 2)
            if which == UDP and (tunnel := to_port == VXLAN_PORT).any():
                t = rows[tunnel]
                inner.append((frame[t], start[tunnel] + 8, stop[t], np.full(len(t), ETHERNET)))
                keep = ~tunnel
                rows, header, start, length = rows[keep], header[keep], start[keep], length[keep]
                from_port, to_port = from_port[keep], to_port[keep]
            source, destination = keys(words[0], rows, from_port), keys(words[1], rows, to_port)
            self._found.put(frame[rows], which, network[rows], header, start, length, destination, source)
        gre = np.flatnonzero(protocol == GRE)
        if len(gre):
            inner.append(self._mirrored(frame[gre], at[gre], stop[gre]))
        return inner

    def _mirrored(self, frame: Numbers, at: Numbers, stop: Numbers) -> tuple[Numbers, ...]:
        """What GRE carries: checksum, key and sequence number are passed over as its flags say."""
        flags, kind = self._two(at), self._two(at + 2)
        sequence = flags & 0x1000 != 0
        start = at + 4 + 4 * ((flags & 0x8000 != 0).astype(np.int64) + (flags & 0x2000 != 0) + sequence)
        third = kind == ERSPAN_3
        start = np.where((kind == ERSPAN_2) & sequence, start + 8, start)  # without a number it is type I: no header
        start = np.where(third, start + 12 + 8 * (self._one(start + 11) & 1), start)
        kind = np.where(third | (kind == ERSPAN_2) | (kind == BRIDGED), ETHERNET, kind)
        good = (at + 4 <= stop) & (start <= stop) & (flags & 0x07 == 0)  # version 0
        self._found.malformed += len(at) - int(np.count_nonzero(good))
        return frame[good], start[good], stop[good], kind[good]

    def _count(self, good: npt.NDArray[np.bool_], fragment: npt.NDArray[np.bool_]) -> None:
        self._found.malformed += len(good) - int(np.count_nonzero(good))
        self._found.fragments += int(np.count_nonzero(fragment))

    def _one(self, at: Numbers) -> Numbers:
        return self._memory[np.minimum(at, self._last)].astype(np.int64)

    def _two(self, at: Numbers) -> Numbers:
        return self._one(at) << 8 | self._one(at + 1)
