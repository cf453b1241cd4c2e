"""Packets through memory shared with the kernel: an AF_PACKET socket with a TPACKET_V3 ring (packet_mmap.rst).

The kernel fills blocks of 256 KiB and hands each over when it is full or RETIRE_MS old: many small ones, because one
that holds a single packet is as occupied as a full one. Needs CAP_NET_RAW.
"""

import ctypes
import mmap
import os
import socket
import struct
import time
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from agent.media import bpf
from agent.media.block import Frames, PacketBlock, gather
from agent.media.core import Choice, open_walker
from agent.media.frames import IPV4, IPV6, TAGS, parse

BLOCK_BYTES = 1 << 18
FRAME_BYTES = 2048
RETIRE_MS = 8
BEHIND_S = 3 * RETIRE_MS / 1000
"""A block is handed over when two runs of the kernel's timer have found it the same; each is RETIRE_MS, and ticks come
to it."""
MOST_PACKETS = 1 << 15
"""Packets of one read; a single kernel block may bring it beyond."""
NS = 1_000_000_000

_SOL_PACKET, _ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 263, 1, 5, 6, 10, 23
_TPACKET_V3 = 2
_PROMISCUOUS = 1
_VLAN_VALID = 1 << 4  # TP_STATUS_VLAN_VALID
_ETH_P_ALL = 3
_USER = 1
_STATUS, _COUNT, _FIRST, _LENGTH = 2, 3, 4, 5  # 32-bit words of struct tpacket_block_desc
_SECONDS = (8, 10)  # first and last packet
_HEADER_BYTES = 52  # struct tpacket3_hdr, and of the sockaddr_ll behind it family and protocol
_libc = ctypes.CDLL(None, use_errno=True)
_ALL = np.arange(1 << 16, dtype=np.int64)

Numbers = npt.NDArray[np.int64]


class PacketRing:
    """Everything that `program` lets through, of one interface (a name) or of all (""). One thread at a time."""

    def __init__(
        self,
        interface: str,
        program: bpf.Program,
        size_mib: int,
        *,
        promiscuous: bool = False,
        core: Choice = "auto",
    ) -> None:
        """`promiscuous`: also what is addressed to other machines, which is all that a mirror port has. `core`: which
        one `read` has the headers read by.

        Raises PermissionError without the capability, OSError when there is no such interface, CoreMissing.
        """
        self.dropped = self.fragments = self.malformed = 0
        self._walker = open_walker(core, MOST_PACKETS + BLOCK_BYTES // _HEADER_BYTES)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            bpf.attach(self._socket, program)
            count = (size_mib << 20) // BLOCK_BYTES
            frames = count * BLOCK_BYTES // FRAME_BYTES
            ring = struct.pack("7I", BLOCK_BYTES, count, FRAME_BYTES, frames, RETIRE_MS, 0, 0)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._map = mmap.mmap(self._socket.fileno(), count * BLOCK_BYTES, flags)
            number = socket.if_nametoindex(interface) if interface else 0
            _bind(self._socket, number)
            if promiscuous:  # switched off again by the kernel when the socket is closed (packet(7))
                self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8x", number, _PROMISCUOUS, 0))
        except OSError:
            self._socket.close()
            raise
        self._memory = np.frombuffer(self._map, np.uint8)
        self._blocks = self._memory.view(np.uint32).reshape(count, -1)
        self._next = 0
        self._held: list[int] = []

    def read(self) -> PacketBlock | None:
        """UDP packets of the blocks that the kernel has handed over since; None when there are none. Never waits.

        The memory of a block belongs to the kernel again from the next `read` on.
        """
        blocks = self._take_blocks()
        if not blocks:
            return None
        if self._walker is not None:
            ends = [(self._first(n) + n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES, self._count(n)) for n in blocks]
            plain = self._walker.read(self._memory, ends, *_clocks())
            if plain is not None:
                return plain
        seen = self._walked(blocks)
        found = parse(seen.memory, seen.start, seen.stop, seen.kind)
        self.fragments += found.fragments
        self.malformed += found.malformed
        return found.datagrams(seen)

    def read_frames(self) -> Frames | None:
        """As `read`, but everything that came, from the network header on; times are monotonic."""
        blocks = self._take_blocks()
        return self._walked(blocks) if blocks else None

    def _take_blocks(self) -> list[int]:
        """Give back those read before; the numbers of those that the kernel has handed over since and are not empty."""
        for block in self._held:
            self._blocks[block, _STATUS] = 0
        self._held.clear()
        taken: list[int] = []
        packets = 0
        while packets < MOST_PACKETS and len(self._held) < len(self._blocks) // 2:
            if not int(self._blocks[self._next, _STATUS]) & _USER:
                break
            if count := self._count(self._next):
                taken.append(self._next)
                packets += count
            self._held.append(self._next)
            self._next = (self._next + 1) % len(self._blocks)
        return taken

    def _count(self, block: int) -> int:
        return int(self._blocks[block, _COUNT])

    def _first(self, block: int) -> int:
        return int(self._blocks[block, _FIRST])

    def _walked(self, blocks: list[int]) -> Frames:
        frames = [walk(self._blocks[n], self._first(n), self._count(n)) + n * BLOCK_BYTES for n in blocks]
        return self._described(frames[0] if len(frames) == 1 else np.concatenate(frames))

    def _described(self, frame: Numbers) -> Frames:
        heads = gather(self._memory, frame, _HEADER_BYTES)
        words = heads.view(np.uint32)
        network = words[:, 6].astype(np.int64) >> 16
        start = frame + network
        stop = start + words[:, 3].astype(np.int64)
        kind = heads[:, 50:52].copy().view(">u2")[:, 0].astype(np.int64)
        one_tag_off = np.flatnonzero(words[:, 5] & _VLAN_VALID)
        if len(one_tag_off):
            more = still_tagged(self._memory, start[one_tag_off], stop[one_tag_off], kind[one_tag_off])
            kind[one_tag_off[more]] = TAGS[0]
        clock_ns, now_ns = _clocks()
        arrival = np.minimum(words[:, 1].astype(np.int64) * NS + words[:, 2] - clock_ns, now_ns)
        return Frames(self._memory, start, stop, kind, arrival)

    def count_drops(self) -> int:
        """Packets the kernel had no room for in the ring, since the start."""
        raw = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        self.dropped += struct.unpack("3I", raw)[1]
        return self.dropped

    def close(self) -> None:
        """Give the ring back to the kernel. No block read before may be used any more."""
        self._socket.close()
        self._memory, self._blocks = np.empty(0, np.uint8), np.empty((0, 0), np.uint32)
        with suppress(BufferError):  # somebody still holds a block: the kernel keeps the ring until that is gone
            self._map.close()


def _clocks() -> tuple[int, int]:
    """What the system's clock is ahead of the monotonic one, and the time by that (ns), which no packet came after: the
    system's clock may have been set back since."""
    clock_ns = time.time_ns() - time.monotonic_ns()
    return clock_ns, time.monotonic_ns()


def _bind(sock: socket.socket, interface: int) -> None:
    """bind(2) with a struct sockaddr_ll (packet(7)); `socket.bind` cannot say "all interfaces"."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), interface, 0, 0, 0, b"")
    if _libc.bind(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def still_tagged(memory: npt.NDArray[np.uint8], start: Numbers, stop: Numbers, kind: Numbers) -> npt.NDArray[np.bool_]:
    """Which frames begin with another tag though their `kind` says IP.

    Of a frame with several tags the kernel takes one off, and newer kernels (vlan_get_protocol_dgram) name the
    protocol behind all of them. What begins with an IP header whose length fits is IP; a tag is followed by a protocol.
    """
    heads = gather(memory, start, 6).astype(np.int64)
    behind, length = heads[:, 2] << 8 | heads[:, 3], heads[:, 4] << 8 | heads[:, 5]
    four = kind == IPV4
    sound = (heads[:, 0] >> 4 == np.where(four, 4, 6)) & (np.where(four, behind, length + 40) <= stop - start)
    tagged: npt.NDArray[np.bool_] = (four | (kind == IPV6)) & ~sound & (np.isin(behind, TAGS) | (behind == kind))
    return tagged


def walk(words: npt.NDArray[np.uint32], first: int, count: int) -> Numbers:
    """Byte offsets of the packets of one block (32-bit words), which are a chain: each says how far it is to the next.

    Mostly all steps are equal, or else the seconds that each header repeats betray where headers are; either guess is
    taken only when the chain itself proves it. If not, the chain is followed one by one.
    """
    step = int(words[first >> 2])
    end = int(words[_LENGTH])
    offsets = _ALL[:count] * step + first
    if step and offsets[-1] < end and (words[offsets[:-1] >> 2] == step).all():
        return offsets
    seconds = words[(first >> 2) + 1 : end >> 2 : 2]
    low, high = (words[n] for n in _SECONDS)
    offsets = (np.flatnonzero((seconds == low) | (seconds == high)) << 3) + first
    if len(offsets) == count and offsets[0] == first and (words[offsets[:-1] >> 2] == np.diff(offsets)).all():
        return offsets
    view, at, chain = words.data, first, []
    for _ in range(count):
        chain.append(at)
        at += view[at >> 2]
    return np.array(chain, np.int64)
