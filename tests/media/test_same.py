"""One traffic, seen by sockets, by the ring and by tcpdump: the engine makes the same of all three."""

import itertools
import os
import signal
import socket
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.media import bpf
from agent.media.block import PacketBlock
from agent.media.endpoint import key
from agent.media.engine import Engine
from agent.media.frames import parse
from agent.media.pcapfile import CaptureFile
from agent.media.ring import PacketRing
from agent.media.udp import UdpSweep
from agent.model.call import Codec, MediaFormat
from agent.model.media import StreamChunk, StreamCounts
from agent.probe.impairment import Impairment, schedule

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an AF_PACKET socket needs root"),
    pytest.mark.usefixtures("either_core"),
]

COUNT, PTIME_S = 150, 0.02
PATIENCE_MS = 2000
"""Longer than a busy machine may keep the sender from sending."""
Heard = dict[int, tuple[bytes, StreamCounts]]


class Listener:
    """An engine for the streams of two ports, and what came out of it."""

    def __init__(self, ports: list[int], origin_ns: int) -> None:
        self.engine = Engine(8, PATIENCE_MS, 1.0)
        self.addresses = [key("127.0.0.1", port) for port in ports]
        self.chunks: list[StreamChunk] = []
        for number, address in enumerate(self.addresses):
            self.engine.add(address, "call", number, [MediaFormat(8, Codec.PCMA)], origin_ns)

    def take(self, block: PacketBlock | None) -> None:
        """The time is that of the last packet: how busy this machine is makes no difference."""
        if block is not None:
            self.engine.process(block)
            self.chunks += self.engine.flush(int(block.arrival_ns.max()))

    def heard(self) -> Heard:
        """By stream: its media, and what was counted."""
        for address in self.addresses:
            self.chunks += self.engine.finish(address)
        found: dict[int, list[StreamChunk]] = defaultdict(list)
        for chunk in self.chunks:
            found[chunk.stream].append(chunk)
        for chunks in found.values():
            for one, next_one in itertools.pairwise(chunks):
                assert next_one.position_samples == one.position_samples + len(one.payload)
        return {
            number: (b"".join(bytes(chunk.payload) for chunk in found[number]), untimed(self.engine.counts(address)))
            for number, address in enumerate(self.addresses)
        }


def untimed(counts: StreamCounts) -> StreamCounts:
    """Without what is measured of the clock of whoever saw the packets."""
    return replace(counts, jitter_ms=0.0, jitter_max_ms=0.0, drift_ppm=0.0)


def streams(ports: list[int]) -> list[tuple[float, int, bytes]]:
    """Two streams on a bad line: when (s), to which port, what."""
    packets = []
    for number, port in enumerate(ports):
        bad = Impairment(loss_percent=5, reorder_percent=10, reorder_depth=4, duplicate_percent=5)
        plan = schedule(COUNT, bad, number)
        for packet, tick in zip(plan.packet.tolist(), plan.tick.tolist(), strict=True):
            head = struct.pack(">BBHII", 0x80, 8, (65450 + packet) & 0xFFFF, packet * 160, 0x1000 + number)
            packets.append((tick * PTIME_S, port, head + bytes((packet + n) % 251 for n in range(160))))
    return sorted(packets, key=lambda one: one[0])


def test_ring_sockets_and_file_give_the_same(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> None:
    ports = free_ports(2)
    path = tmp_path / "seen.pcap"
    wanted = f"udp and (port {ports[0]} or port {ports[1]})"
    command = ["tcpdump", "-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w", path, wanted]
    writing = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert writing.stderr is not None
    assert b"listening on" in writing.stderr.readline()
    ring, sweep = PacketRing("lo", bpf.own_udp(min(ports), max(ports)), 4), UdpSweep()
    for port in ports:
        sweep.open_port("127.0.0.1", port)
    offset_ns = time.time_ns() - time.monotonic_ns()
    begun = time.monotonic()
    origin_ns = time.monotonic_ns()
    by_ring, by_sockets = Listener(ports, origin_ns), Listener(ports, origin_ns)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for at, port, data in streams(ports):
            while time.monotonic() < begun + at:
                by_ring.take(ring.read())
                by_sockets.take(sweep.read())
                time.sleep(0.004)
            sender.sendto(data, ("127.0.0.1", port))
    time.sleep(0.3)
    for _ in range(4):
        by_ring.take(ring.read())
        by_sockets.take(sweep.read())
    ring.close()
    sweep.close()
    writing.send_signal(signal.SIGTERM)
    writing.wait(10)

    by_file = Listener(ports, origin_ns + offset_ns)
    with path.open("rb") as file:
        for frames in CaptureFile(file).frames():
            found = parse(frames.memory, frames.start, frames.stop, frames.kind)
            by_file.take(found.datagrams(frames))

    heard = by_ring.heard()
    assert heard == by_sockets.heard() == by_file.heard()
    for number in (0, 1):
        media, counts = heard[number]
        assert len(media) == COUNT * 160
        assert counts.lost > 0 and counts.duplicates > 0 and counts.reordered > 0 and counts.late == 0
