"""The compiled core against numpy: of the same traffic, every column and all that is said are the same to the bit."""

import random
import re
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import INNER, MS, PLAIN, Packet, block_of, ipv4, ipv6, rtp, tcp, udp
from twins import Twins, held, read_by_either, why_no_core

from agent.media import columns, compiling, core, endpoint, engine, frames, placing, returns, ring, timing
from agent.media import rtp as headers
from agent.media.core import CoreMissing
from agent.media.engine import Engine
from agent.media.frames import IPV4, IPV6, TCP, UDP
from agent.media.ring import BLOCK_BYTES, NS
from agent.model.call import CLOCK_RATE, Codec, MediaFormat

FIRST_PORT = 20000
EVENTS = MediaFormat(101, Codec.TELEPHONE_EVENT)
FORMATS = [
    MediaFormat(8, Codec.PCMA),
    MediaFormat(9, Codec.G722),
    MediaFormat(98, Codec.PCMU, 16000),
    MediaFormat(77, Codec.PCMU),  # with the marker bit it is RTCP
    MediaFormat(111, Codec.OPUS, 48000, 2),
    EVENTS,
]
TROUBLES = [
    "sequence",
    "timestamp",
    "ssrc",
    "source",
    "format",
    "size",
    "header",
    "copy",
    "lost",
    "late",
    "burst",
    "lent",
    "changed",
]
SOUND = bytes(range(1, 252)) * 5


@pytest.fixture(scope="module", autouse=True)
def compiled_core() -> None:
    if missing := why_no_core():
        pytest.skip(missing)


class Sender:
    """One stream: mostly in order and in time, now and then in one of these troubles."""

    def __init__(self, port: int, dice: random.Random, rate: float, troubles: Sequence[str]) -> None:
        self.port, self._dice, self._rate, self._troubles = port, dice, rate, troubles
        self._sequence, self._timestamp = dice.choice([0, 65500, 40000]), dice.choice([0, 2**32 - 4000, 2**31 - 4000])
        self._ssrc, self._source, self._kind, self._size, self._late_ms = dice.choice([7, 1 << 31]), 1, 8, 160, 0.0

    def next(self, now_ms: float, pace_ms: int) -> list[Packet]:
        dice, bits, rest, count, copies = self._dice, 0, b"", 1, 1
        match dice.choice(self._troubles) if dice.random() < self._rate else "":
            case "sequence":
                self._sequence += dice.choice([1, 2, 300, -1, -5])
            case "timestamp":
                self._timestamp += dice.choice([160, 8000, 1 << 20, -80, -3000, 1])
            case "ssrc":
                self._ssrc += 1
            case "source":
                self._source = dice.choice([1, 2, 1 << 16])
            case "format":
                self._kind = dice.choice([8, 8, 9, 98, 77, 111, 101, 78])
            case "size":
                self._size = dice.choice([0, 4, 39, 40, 80, 160, 240, 960, 961])
            case "header":
                bits, rest = dice.choice([(0x10, b"\xbe\xde\0\1abcd"), (1, b"CSRC"), (0x20, b""), (0x40, b"")])
            case "copy":
                copies = 2
            case "lost":
                copies = 0
            case "late":
                self._late_ms = dice.choice([0, 50, 300, 1500, 11_000, -500, -3000])
            case "burst":
                count = dice.choice([30, 80])
        kind = self._kind | 0x80 * (dice.random() < 0.1)  # the marker bit says nothing here
        packets = []
        for n in range(count):
            sound = SOUND[self._sequence % 251 :][: self._size]
            data = rtp(self._sequence, self._timestamp, sound, ssrc=self._ssrc, pt=kind, bits=bits, rest=rest)
            packets += [Packet(data, self.port, max(0.0, now_ms + self._late_ms), self._source)] * copies
            self._sequence += 1
            self._timestamp += self._size if n < count - 1 else pace_ms * 8 - 160 + self._size
        return packets


def traffic(seed: int, rate: float, troubles: Sequence[str], cut: int, pace_ms: int, ticks: int) -> None:
    """Five streams and a stray, in blocks of `cut` packets at least, told to both engines."""
    dice = random.Random(seed)
    twins = Twins(max_streams=6, reorder_ms=100, flush_interval_s=0.5)
    ports = [FIRST_PORT + 2 * n for n in range(5)]
    for number, port in enumerate(ports):
        twins.add(port, "call", number, FORMATS, dice.choice([0, 1500 * MS + 77]), since_ns=dice.choice([0, 140 * MS]))
    senders = [Sender(port, dice, rate, troubles) for port in [*ports, FIRST_PORT - 2]]
    waiting: list[Packet] = []
    for tick in range(ticks):
        now_ms = 100.0 + pace_ms * tick
        for sender in senders:
            waiting += sender.next(now_ms + dice.choice([0, 10, dice.uniform(0, 15)]), pace_ms)
        if len(waiting) < cut:
            continue
        twins.process(block_of(waiting))
        twins.take_keys()
        waiting.clear()
        if dice.random() < 0.5:
            twins.flush(int(now_ms * MS))
        else:
            twins.release(ports[:3], [0] * 3, [1 << 40] * 3, int(now_ms * MS), 800)
        port = dice.choice(ports)
        if "lent" in troubles and dice.random() < rate:  # its last sender goes on
            twins.finish(port)
            twins.remove(port)
            twins.add(port, "next", 9, FORMATS, int(now_ms * MS))
        if "changed" in troubles and dice.random() < rate:
            twins.change(port, dice.choice([FORMATS, FORMATS[::-1], [EVENTS], [FORMATS[0], EVENTS]]))
    for port in ports:
        twins.finish(port)
        twins.counts(port)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.0, 0.003, 0.02, 0.2]),
    cut=st.sampled_from([1, 7, 40, 400]),
    pace_ms=st.sampled_from([20, 20, 500]),
    ticks=st.integers(5, 120),
)
def test_both_do_the_same(seed: int, rate: float, cut: int, pace_ms: int, ticks: int) -> None:
    traffic(seed, rate, TROUBLES, cut, pace_ms, ticks)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_both_do_the_same_in_trouble_of_one_kind(trouble: str) -> None:
    for seed in range(12):
        traffic(seed, [0.01, 0.03, 0.1][seed % 3], [trouble], [1, 7, 40][seed % 3], [20, 20, 20, 500][seed % 4], 70)


def test_a_sender_of_before_that_goes_on_with_its_clock_is_known_by_either() -> None:
    """It was taken for the new stream while it was off its clock, and comes back to it."""
    twins = Twins(max_streams=1, reorder_ms=200, flush_interval_s=1.0)
    twins.add(FIRST_PORT, "call", 0, FORMATS, 0)
    twins.process(block_of(steady(FIRST_PORT, 0, 50)))
    twins.remove(FIRST_PORT)
    twins.add(FIRST_PORT, "next", 1, FORMATS, 1000 * MS)
    behind, back = 50 * 160 - 41_000, 1500
    for n in range(20):
        data = rtp(n, behind + n * 160 + (back if n > 10 else 0), SOUND[:160])
        twins.process(block_of([Packet(data, FIRST_PORT, 1020.0 + 20 * n)]))
    counts = twins.counts(FIRST_PORT)
    assert counts.received == 11 and counts.stale == 9


def steady(port: int, first: int, count: int) -> list[Packet]:
    return [Packet(rtp(n, n * 160, bytes([n]) * 160), port, 20.0 * (n + 1)) for n in range(first, first + count)]


def in_c() -> Engine:
    one = Engine(max_streams=4, reorder_ms=200, flush_interval_s=1.0, core="c")
    for number in range(3):
        one.add(FIRST_PORT + 2 * number, "call", number, FORMATS, 0)
    one.process(block_of([packet for n in range(3) for packet in steady(FIRST_PORT + 2 * n, 0, 5)]))
    return one


def test_what_is_just_the_next_is_not_left() -> None:
    one = in_c()
    assert one.core == Engine(1, 200, 1.0).core == "c" and one._core is not None
    left = one._core.place(block_of([p for n in range(3) for p in steady(FIRST_PORT + 2 * n, 5, 10)]))
    assert len(left) == 0
    assert [one.counts(FIRST_PORT + 2 * n).received for n in range(3)] == [15, 15, 15]


def test_a_row_is_placed_whole_or_left_whole_and_strays_are_left() -> None:
    one, packets = in_c(), []
    for number, lacking in enumerate((None, 7, None)):
        packets += [p for n, p in enumerate(steady(FIRST_PORT + 2 * number, 5, 10)) if n != lacking]
    packets += steady(FIRST_PORT + 77, 0, 1)
    assert one._core is not None
    left = one._core.place(block_of(packets))
    assert left.destination.tolist() == [FIRST_PORT + 2] * 9 + [FIRST_PORT + 77]
    assert [one.counts(FIRST_PORT + 2 * n).received for n in range(3)] == [15, 5, 15]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda block: block.start.__iadd__(len(block.memory)),
        lambda block: block.start.__isub__(1 << 40),
        lambda block: block.length.__iadd__(1 << 40),
        lambda block: block.length.__isub__(block.length + 1),
        lambda block: block.length.__isub__(block.length - 11),
        lambda block: block.start.__iadd__((1 << 62) + (1 << 61)),
    ],
)
def test_what_lies_outside_of_the_memory_is_not_read(spoil: Callable[..., object]) -> None:
    one = in_c()
    block = block_of(steady(FIRST_PORT, 5, 3))
    spoil(block)
    before = {name: array.copy() for name, array in held(one).items()}
    assert one._core is not None and len(one._core.place(block)) == 3
    assert all(np.array_equal(before[name], array) for name, array in held(one).items())


def test_a_table_that_grew_is_asked_where_it_is_now() -> None:
    one = Engine(max_streams=3000, reorder_ms=200, flush_interval_s=0.1, core="c")
    for number in range(3000):
        one.add(FIRST_PORT + number, "call", number, FORMATS, 0)
        if number % 500 == 0:
            one.process(block_of(steady(FIRST_PORT + number, 0, 1)))
    one.remove(FIRST_PORT + 500)
    assert one._core is not None
    left = one._core.place(block_of([p for n in range(0, 3000, 500) for p in steady(FIRST_PORT + n, 1, 2)]))
    assert left.destination.tolist() == [FIRST_PORT + 500] * 2


CLOCKS = (1_700_000_000 * NS, 5000 * NS)
"""Of a ring: see `ring._clocks`."""
TAGGED = ring._VLAN_VALID
PACKETS = {
    "media": (IPV4, PLAIN, 0),
    "empty": (IPV4, ipv4(udp(1, 2, b""), UDP), 0),
    "not to be fragmented": (
        IPV4,
        ipv4(udp(65535, 65534, b"x"), UDP, "255.255.255.255", "224.0.0.1", fragment=0x4000),
        0,
    ),
    "padded by Ethernet": (IPV4, ipv4(udp(1, 4788, b"x"), UDP) + bytes(17), 0),
    "padded by IP": (IPV4, ipv4(udp(1, 2, b"x") + bytes(3), UDP), 0),
}
ODD_PACKETS = {
    "another kind": (0x0806, PLAIN, 0),
    "options": (IPV4, ipv4(udp(1, 2, b"xyz"), UDP, options=udp(1, 2, b"")), 0),
    "fragment": (IPV4, ipv4(udp(1, 2, b"xyz"), UDP, fragment=0x2000), 0),
    "last fragment": (IPV4, ipv4(udp(1, 2, b"xyz"), UDP, fragment=100), 0),
    "six": (IPV6, ipv6(udp(4000, 20000, b"six"), UDP), 0),
    "six called four": (IPV4, ipv6(udp(4000, 20000, b"six"), UDP), 0),
    "another protocol": (IPV4, ipv4(udp(1, 2, b"xyz"), 136), 0),
    "tcp": (IPV4, ipv4(tcp(1, 2, b"INVITE"), TCP), 0),
    "vxlan": (IPV4, ipv4(udp(5555, 4789, b"\x08\0\0\0\0\0\x63\0" + INNER), UDP), 0),
    "cut in its media": (IPV4, PLAIN[:-1], 0),
    "cut in its header": (IPV4, PLAIN[:27], 0),
    "longer than IP says": (IPV4, ipv4(udp(1, 2, bytes(9))[:-1], UDP) + b"x", 0),
    "shorter than its header": (IPV4, ipv4(b"\0\1\0\2\0\7\0\0", UDP), 0),
    "tagged": (IPV4, PLAIN, TAGGED),
    "tagged, called four": (IPV4, struct.pack(">HH", 42, IPV4) + PLAIN, TAGGED),
    "tagged twice": (0x8100, struct.pack(">HH", 42, IPV4) + PLAIN, TAGGED),
}


def ring_memory(packets: Sequence[str], steps: Sequence[tuple[int, int]], later_ns: int, stale: int) -> np.ndarray:
    """Four blocks, two of them handed over: `packets` by name, each so far behind its header and so far from the next
    as its step says; what the kernel has not written is `stale`."""
    memory = np.full(4 * BLOCK_BYTES, stale, np.uint8)
    words = memory.view(np.uint32).reshape(4, -1)
    words[:, 2] = 0
    for block, names in enumerate((packets[::2], packets[1::2])):
        at = first = 48
        for number, name in enumerate(names):
            network, gap = steps[number % len(steps)]
            kind, data, status = {**PACKETS, **ODD_PACKETS}[name]
            step = -(-(network + len(data)) // 8) * 8 + gap
            seconds, rest = divmod(CLOCKS[0] + CLOCKS[1] - NS + number * later_ns, NS)
            last = number == len(names) - 1
            head = (0 if last else step, seconds, rest, len(data), len(data), status, 82 | network << 16)
            frame = struct.pack("7I20xH", *head, 17) + struct.pack(">H", kind)
            memory[block * BLOCK_BYTES + at :][: len(frame)] = np.frombuffer(frame, np.uint8)
            memory[block * BLOCK_BYTES + at + network :][: len(data)] = np.frombuffer(data, np.uint8)
            at += step
        words[block, [2, 3, 4, 5]] = 1, len(names), first, at
        words[block, [8, 10]] = (CLOCKS[0] + CLOCKS[1]) // NS - 1
    return memory


@settings(max_examples=200, deadline=None)
@given(
    packets=st.lists(st.sampled_from(list(PACKETS) + ["media"] * 9), min_size=1, max_size=60),
    odd=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(ODD_PACKETS))), max_size=2),
    steps=st.lists(
        st.tuples(st.sampled_from([96, 80, 53, 200]), st.sampled_from([0, 0, 8, 4096])), min_size=1, max_size=3
    ),
    later_ns=st.sampled_from([0, 1, NS // 3]),
    stale=st.sampled_from([0, 0x45, 0xFF]),
    spoilt=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 130), st.integers(0, 255)), max_size=2),
)
def test_a_ring_is_read_the_same(
    packets: list[str],
    odd: list[tuple[int, str]],
    steps: list[tuple[int, int]],
    later_ns: int,
    stale: int,
    spoilt: list[tuple[int, int, int]],
) -> None:
    for place, name in odd:
        packets.insert(place, name)
    memory = ring_memory(packets, steps, later_ns, stale)
    for packet, byte, value in spoilt:
        network, gap = steps[0]
        memory[48 + packet * (network + len(PLAIN) + gap) + byte] = value
    try:
        block, whole = read_by_either(memory, CLOCKS)
    except (IndexError, ValueError):
        assert spoilt
    else:
        assert spoilt or (whole == (not odd) and (odd or len(block) == len(packets)))


@pytest.mark.parametrize("name", [*PACKETS, *ODD_PACKETS])
def test_only_what_is_plain_is_read_from_a_ring_in_c(name: str) -> None:
    names = ["media"] * 8
    names[5] = name
    block, whole = read_by_either(ring_memory(names, [(96, 0)], NS // 2, 0), CLOCKS)
    assert whole == (name in PACKETS) and block is not None and len(block) >= 7
    assert len(set(block.arrival_ns.tolist())) == 3 and block.arrival_ns.max() == CLOCKS[1]


MOST_BYTES = BLOCK_BYTES - 48 - 304 - 96
"""Of the second packet, to the end of the block."""


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[(0, step) for step in (0, 7, 8, 51, 291, 302, 303, 305, BLOCK_BYTES - 8, BLOCK_BYTES, (1 << 32) - 8)],
        *[(3, size) for size in (0, 27, MOST_BYTES + 1, 1 << 31, (1 << 32) - 1)],
        *[(6, 82 | network << 16) for network in (0, 65535)],
    ],
)
@pytest.mark.parametrize("block", [0, 3])
def test_a_chain_that_leaves_its_block_is_not_followed_in_c(word: int, value: int, block: int) -> None:
    memory = np.roll(ring_memory(["media"] * 8, [(96, 8)], 1, 0), block * BLOCK_BYTES)
    second = memory[block * BLOCK_BYTES + 48 + 304 :].view(np.uint32)
    whole = [(block * BLOCK_BYTES + 48, (block + 1) * BLOCK_BYTES, 4)]
    walker = core.Walker(4096)
    second[3] = MOST_BYTES
    assert walker.read(memory, whole, *CLOCKS) is not None
    second[word] = value
    assert walker.read(memory, whole, *CLOCKS) is None


@pytest.mark.parametrize("gap", [1, 2, 4])
def test_headers_that_are_not_where_the_kernel_would_put_them_are_not_read_in_c(gap: int) -> None:
    memory = ring_memory(["media"] * 8, [(96, gap)], 1, 0)
    assert core.Walker(4096).read(memory, [(48, BLOCK_BYTES, 4)], *CLOCKS) is None


def test_nothing_is_read_beyond_the_end_of_a_block_in_c() -> None:
    """Which a sanitizer sees, wherever the end is, also when the packet is said to end there."""
    whole, walker = ring_memory(["media", "empty", "empty"], [(56, 0)], 1, 0), core.Walker(4096)
    second = 48 + 56 + len(PLAIN)
    end = second + 56 + 28
    for cut in range(48, end):
        memory = whole[:cut].copy()
        assert walker.read(memory, [(48, cut, 2)], *CLOCKS) is None
        if cut > second + 56:
            memory[second + 12] = cut - second - 56
            assert walker.read(memory, [(48, cut, 2)], *CLOCKS) is None
    assert walker.read(whole[:end].copy(), [(48, end, 2)], *CLOCKS) is not None


def test_a_block_with_more_than_there_is_room_for_is_not_read_in_c() -> None:
    memory = ring_memory(["media"] * 16, [(96, 0)], 1, 0)
    blocks = [(n * BLOCK_BYTES + 48, (n + 1) * BLOCK_BYTES, 8) for n in (0, 1)]
    read = core.Walker(16).read(memory, blocks, *CLOCKS)
    assert read is not None and len(read) == 16
    assert core.Walker(15).read(memory, blocks, *CLOCKS) is None


def test_its_constants_are_those_of_numpy() -> None:
    source = compiling.SOURCE.read_text(encoding="utf-8")
    defined = dict(re.findall(r"^#define (\w+) (.+)$", source, re.MULTILINE))
    parts = (columns, endpoint, engine, frames, placing, returns, ring, headers, timing)
    known = {name: value for part in parts for name, value in vars(part).items()}
    alike = {
        "NONE_YET": timing._NONE_YET,
        "SPREAD": endpoint._SPREAD,
        "HEADER_BYTES": ring._HEADER_BYTES,
        "VLAN_VALID": ring._VLAN_VALID,
    }
    for name, written in defined.items():
        if name != "FETCH_AHEAD":
            value = eval(re.sub(r"U?INT64_C", "", written))
            assert value == int(alike.get(name, known.get(name))), name
    assert {"CLOCK_RATE", "WINDOW_NS", "LONGEST", "SPREAD"} <= set(defined) and defined["CLOCK_RATE"] == str(CLOCK_RATE)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Source and library in a folder of their own, where they may be spoilt."""
    for name in ("SOURCE", "LIBRARY"):
        path = shutil.copy(getattr(compiling, name), tmp_path)
        monkeypatch.setattr(compiling, name, Path(path))
    monkeypatch.setattr(core, "LIBRARY", tmp_path / compiling.LIBRARY.name)
    monkeypatch.setattr(core, "load", core.load.__wrapped__)
    return tmp_path


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "libcore.so").unlink(), "not compiled"),
        (lambda folder: shutil.copy(folder / "core.c", folder / "libcore.so"), "cannot be used"),
        (lambda folder: (folder / "core.c").write_text("another"), "of another core.c"),
    ],
)
def test_a_library_that_is_not_of_this_source_is_not_used(
    elsewhere: Path, spoil: Callable[[Path], object], told: str
) -> None:
    wanted = {"max_streams": 1, "reorder_ms": 200, "flush_interval_s": 1.0}
    spoil(elsewhere)
    assert Engine(**wanted, core="auto").core == Engine(**wanted, core="numpy").core == "numpy"
    with pytest.raises(CoreMissing, match=told):
        Engine(**wanted, core="c")


def _needs_a_compiler() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    _needs_a_compiler()
    one, two = tmp_path / "one.so", tmp_path / "two.so"
    for library in (one, two):
        compiling.compile_core(library, ["-Werror"])
    assert one.read_bytes() == two.read_bytes(), "the same source makes the same library"
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_it_says_so_in_one_line_and_leaves_no_library(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    monkeypatch.setenv("CC", compiler)
    told = compiling.try_to_compile()
    assert "numpy" in told and "\n" not in told and not compiling.LIBRARY.exists()
