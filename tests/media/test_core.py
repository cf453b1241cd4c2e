"""The compiled core against numpy: of the same traffic, every column and all that is said are the same to the bit."""

import random
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import MS, Packet, block_of, rtp
from twins import Twins, held, why_no_core

from agent.media import columns, compiling, core, endpoint, engine, placing, timing
from agent.media import rtp as headers
from agent.media.core import CoreMissing
from agent.media.engine import Engine
from agent.model.call import CLOCK_RATE, Codec, MediaFormat

FIRST_PORT = 20000
FORMATS = [
    MediaFormat(8, Codec.PCMA),
    MediaFormat(9, Codec.G722),
    MediaFormat(111, Codec.OPUS, 48000, 2),
    MediaFormat(101, Codec.TELEPHONE_EVENT),
]


@pytest.fixture(scope="module", autouse=True)
def compiled_core() -> None:
    if missing := why_no_core():
        pytest.skip(missing)


KINDS = range(12)
SOUND = bytes(range(1, 252)) * 5


class Sender:
    """One stream: mostly in order and in time, now and then in trouble of one of these kinds."""

    def __init__(self, port: int, dice: random.Random, trouble: float, kinds: Sequence[int]) -> None:
        self.port, self._dice, self._trouble, self._kinds = port, dice, trouble, kinds
        self._sequence, self._timestamp = dice.choice([0, 65500, 40000]), dice.choice([0, 2**32 - 4000, 2**31 - 4000])
        self._ssrc, self._source, self._kind, self._size = dice.choice([7, 1 << 31]), 1, 8, 160
        self._late_ms = 0.0

    def next(self, now_ms: float) -> list[Packet]:
        dice, bits, rest, marker = self._dice, 0, b"", 0
        first, sent = self._sequence, 1
        if dice.random() < self._trouble:
            match dice.choice(self._kinds):
                case 0:
                    self._sequence += dice.choice([1, 2, 300, -1, -5])
                case 1:
                    self._timestamp += dice.choice([160, 8000, 1 << 20, -160, -3000, 1])
                case 2:
                    self._ssrc += 1
                case 3:
                    self._source = dice.choice([1, 2, 1 << 16])
                case 4:
                    self._kind = dice.choice([8, 8, 9, 111, 101, 77])
                case 5:
                    self._size = dice.choice([0, 4, 39, 40, 80, 160, 240, 960, 961])
                case 6:
                    bits, rest = dice.choice([(0x10, b"\xbe\xde\0\1abcd"), (1, b"CSRC"), (0x20, b""), (0x40, b"")])
                case 7:
                    sent = 2
                case 8:
                    sent = 0
                case 9:
                    self._late_ms = dice.choice([0, 50, 300, 1500, 11_000, -500, -3000])
                case 10:
                    sent = dice.choice([30, 70])  # a burst
                case _:
                    marker = 0x80
        packets = []
        for n in range(max(sent, 1)):
            if n and sent > 2:
                first, self._timestamp = first + 1, self._timestamp + self._size
            payload = SOUND[first % 251 :][: self._size]
            data = rtp(first, self._timestamp, payload, ssrc=self._ssrc, pt=self._kind | marker, bits=bits, rest=rest)
            packets.append(Packet(data, self.port, max(0.0, now_ms + self._late_ms), self._source))
        self._sequence = (max(first, self._sequence) if sent > 2 else self._sequence) + 1
        self._timestamp += self._size
        return packets[:sent]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    trouble=st.sampled_from([0.0, 0.003, 0.02, 0.2]),
    kinds=st.sampled_from([KINDS, *([kind] for kind in KINDS)]),
    ticks=st.integers(5, 120),
    cut=st.sampled_from([1, 7, 40, 400]),
)
def test_both_do_the_same(seed: int, trouble: float, kinds: Sequence[int], ticks: int, cut: int) -> None:
    dice = random.Random(seed)
    twins = Twins(max_streams=6, reorder_ms=100, flush_interval_s=0.5)
    ports = [FIRST_PORT + 2 * n for n in range(5)]
    for number, port in enumerate(ports):
        twins.add(port, "call", number, FORMATS, dice.choice([0, 1500 * MS + 77]), since_ns=dice.choice([0, 140 * MS]))
    senders = [Sender(port, dice, trouble, kinds) for port in [*ports, FIRST_PORT - 2]]
    waiting: list[Packet] = []
    for tick in range(ticks):
        now_ms = 100.0 + 20 * tick
        waiting += [packet for sender in senders for packet in sender.next(now_ms + dice.uniform(0, 15))]
        if len(waiting) >= cut:
            twins.process(block_of(waiting))
            twins.flush(int(now_ms * MS))
            waiting.clear()
        if trouble and dice.random() < 0.02:  # the same address is lent again, its last sender goes on
            port = dice.choice(ports)
            twins.finish(port)
            twins.remove(port)
            twins.add(port, "next", 9, FORMATS, int(now_ms * MS))
        twins.take_keys()
    for port in ports:
        twins.finish(port)
        twins.counts(port)


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


def test_its_constants_are_those_of_numpy() -> None:
    source = compiling.SOURCE.read_text(encoding="utf-8")
    defined = dict(re.findall(r"^#define (\w+) (.+)$", source, re.MULTILINE))
    parts = (columns, endpoint, engine, placing, headers, timing)
    known = {name: value for part in parts for name, value in vars(part).items()}
    alike = {"NONE_YET": timing._NONE_YET, "SPREAD": endpoint._SPREAD}
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
