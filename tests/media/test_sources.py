"""Whose packets a stream takes: hard tests, since a packet of another call in a recording is a breach of privacy."""

import pytest

from agent.media.endpoint import key
from agent.media.engine import Engine
from agent.model.call import Codec, MediaFormat
from agent.model.media import StreamChunk

pytestmark = pytest.mark.usefixtures("either_core")

PORT = 20000
PCMA = [MediaFormat(8, Codec.PCMA)]
MS = 1_000_000
SBC, OTHER_PORT, STRANGER = key("10.0.0.9", 4000), key("10.0.0.9", 4002), key("10.0.0.66", 4000)


@pytest.fixture
def engine() -> Engine:
    return Engine(max_streams=4, reorder_ms=200, flush_interval_s=1.0)


def listen(engine: Engine, *, announced: int = SBC, origin_ms: int = 0, since_ms: int = 0) -> None:
    engine.add(PORT, "call", 0, PCMA, origin_ms * MS, announced=announced, since_ns=since_ms * MS)


@pytest.fixture
def talk(rtp, packet, block_of):
    """Packets from a source, one block each: `talk(engine, byte, count, at_ms, source, …)`."""

    def go(engine, byte, count, at_ms, source=SBC, ssrc=1, first=0, at_once=False):
        packets = [
            packet(
                rtp(100 + first + n, 160 * (first + n), bytes([byte]) * 160, ssrc=ssrc), PORT, at_ms + 20.0 * n, source
            )
            for n in range(count)
        ]
        for block in [packets] if at_once else [[p] for p in packets]:
            engine.process(block_of(block))

    return go


def heard(chunks: list[StreamChunk]) -> set[int]:
    return {byte for chunk in chunks for byte in set(chunk.payload.tolist())} - {0xD5}


@pytest.mark.parametrize("at_once", [False, True])
def test_a_stranger_beside_the_stream_is_never_heard(engine: Engine, talk, at_once: bool) -> None:
    listen(engine)
    for second in range(5):
        talk(engine, 1, 50, 20 + 1000 * second, first=50 * second, at_once=at_once)
        talk(engine, 2, 50, 25 + 1000 * second, source=STRANGER, ssrc=2, first=50 * second, at_once=at_once)
    assert heard(engine.finish(PORT)) == {1}
    counts = engine.remove(PORT)
    assert (counts.received, counts.foreign, counts.jumps, counts.lost) == (250, 250, 0, 0)


def test_a_stranger_mixed_with_the_stream_in_one_block_is_not_heard(engine: Engine, rtp, packet, block_of) -> None:
    listen(engine)
    for announced_first in (True, False):
        mixed = []
        for n in range(100):
            at = 20.0 * n + 2000 * announced_first
            seq = n + 100 * announced_first
            pair = [
                packet(rtp(seq, 160 * seq, b"\x01" * 160), PORT, at, SBC),
                packet(rtp(n, 160 * n, b"\x02" * 160, ssrc=2), PORT, at, STRANGER),
            ]
            mixed += pair if announced_first else pair[::-1]
        engine.process(block_of(mixed))
    assert heard(engine.finish(PORT)) == {1}


def test_a_stranger_with_the_same_ssrc_is_not_heard_either(engine: Engine, talk) -> None:
    listen(engine)
    for n in range(100):
        talk(engine, 1, 1, 20 * n, first=n)
        talk(engine, 2, 1, 20 * n + 5, source=STRANGER, first=n + 1)
    assert heard(engine.finish(PORT)) == {1} and engine.counts(PORT).duplicates == 0


def test_a_few_packets_of_a_stranger_before_the_stream_are_not_heard(engine: Engine, talk) -> None:
    listen(engine)
    talk(engine, 2, 10, 20, source=STRANGER, ssrc=2)
    talk(engine, 1, 50, 240)
    assert heard(engine.finish(PORT)) == {1} and engine.remove(PORT).foreign == 10


def test_a_sender_that_announced_another_address_is_taken_once_it_goes_on_and_from_its_first_packet(engine, talk):
    listen(engine)
    talk(engine, 2, 15, 20, source=STRANGER, ssrc=2)
    assert engine.finish(PORT) == []
    talk(engine, 2, 35, 320, source=STRANGER, ssrc=2, first=15)
    (chunk,) = engine.finish(PORT)
    assert len(chunk.payload) == 8000 and set(chunk.payload.tolist()) == {2} and chunk.position_samples == 0
    talk(engine, 1, 5, 1020)
    assert heard(engine.finish(PORT)) == {1}, "the announced one comes after all: it is the stream"


def test_a_stream_that_moved_is_followed_and_nothing_of_it_is_lost(engine: Engine, talk) -> None:
    listen(engine)
    talk(engine, 1, 50, 20)
    talk(engine, 3, 50, 1020, source=STRANGER, first=50)
    chunks = engine.finish(PORT)
    assert b"".join(c.payload.tobytes() for c in chunks) == b"\x01" * 8000 + b"\x03" * 8000
    assert engine.remove(PORT).lost == 0


def test_another_port_of_the_same_host_is_followed_at_once_after_a_silence(engine: Engine, talk) -> None:
    listen(engine)
    talk(engine, 1, 50, 20)
    talk(engine, 3, 5, 1320, source=OTHER_PORT, ssrc=9)
    assert heard(engine.finish(PORT)) == {1, 3}


def test_with_nothing_announced_the_first_is_the_stream(engine: Engine, talk) -> None:
    listen(engine, announced=0)
    talk(engine, 3, 10, 20, source=STRANGER)
    talk(engine, 1, 10, 25)
    assert heard(engine.finish(PORT)) == {3}


def test_what_came_before_the_port_was_lent_is_nobodys(engine: Engine, talk) -> None:
    listen(engine, since_ms=500, origin_ms=500)
    talk(engine, 9, 20, 20, ssrc=7)
    talk(engine, 1, 20, 520)
    assert heard(engine.finish(PORT)) == {1} and engine.remove(PORT).stale == 20


@pytest.mark.parametrize("pause_ms", [0, 40, 3000, 600_000])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("source", [SBC, OTHER_PORT, STRANGER])
def test_a_sender_that_does_not_stop_never_leaks_into_the_next_call(engine, talk, pause_ms, at_once, source):
    listen(engine)
    talk(engine, 9, 100, 20, ssrc=7, at_once=at_once)
    engine.remove(PORT)
    again = 2020 + pause_ms
    went_on = 100 + pause_ms // 20
    listen(engine, origin_ms=again, since_ms=again, announced=source)
    talk(engine, 9, 100, again, ssrc=7, first=went_on, at_once=at_once)
    talk(engine, 1, 100, again + 1, source=source, ssrc=8, at_once=at_once)
    talk(engine, 9, 100, again + 2020, ssrc=7, first=went_on + 100, at_once=at_once)
    assert heard(engine.finish(PORT)) == {1}
    assert engine.remove(PORT).stale == 200
    listen(engine, origin_ms=again + 5000, since_ms=again + 5000)
    talk(engine, 1, 50, again + 5000, ssrc=8, first=250)
    assert heard(engine.finish(PORT)) == set(), "the second call's sender does not stop either"


def test_a_gateway_that_always_uses_one_ssrc_is_heard_in_every_call(engine: Engine, talk) -> None:
    for call in range(5):
        at = call * 10_000
        listen(engine, origin_ms=at, since_ms=at)
        talk(engine, 1 + call, 50, at + 20, ssrc=0, first=call * 1_000_000)
        assert heard(engine.finish(PORT)) == {1 + call}
        engine.remove(PORT)


def test_strangers_cannot_fill_memory(engine: Engine, rtp, packet, block_of) -> None:
    listen(engine)
    flood = [packet(rtp(n, 160 * n, b"\x02" * 160, ssrc=2), PORT, 20 + n * 0.01, STRANGER + n % 7) for n in range(5000)]
    engine.process(block_of(flood))
    waiting = engine._sources._strangers[engine._row_of.get(PORT)]
    assert len(waiting.packets) <= 150
    assert engine.finish(PORT) == [] and engine.remove(PORT).foreign == 5000


KEYED = [*PCMA, MediaFormat(101, Codec.TELEPHONE_EVENT)]


@pytest.fixture
def press(rtp, packet, block_of):
    """One key, told of thrice, 20 ms apart: `press(engine, key, at_ms, source)`."""

    def go(engine, number, at_ms, source=SBC, ssrc=1, ticks=0):
        for n in range(3):
            data = rtp(90 + n, ticks, bytes([number, 10, 0, 80 * n]), ssrc=ssrc, pt=101)
            engine.process(block_of([packet(data, PORT, at_ms + 20.0 * n, source)]))

    return go


def pressed(engine: Engine) -> list[tuple[int, int]]:
    """Which keys, and at which ms of the call."""
    return [(one.event, one.position_samples // 8) for one in engine.take_keys()]


@pytest.mark.parametrize(("announced", "source"), [(SBC, SBC), (SBC, OTHER_PORT), (0, STRANGER)])
def test_a_key_before_the_first_sound_counts_once_and_where_it_arrived(engine, talk, press, announced, source) -> None:
    engine.add(PORT, "call", 0, KEYED, 0, announced=announced)
    press(engine, 5, 400, source)
    assert pressed(engine) == [(5, 400)]
    talk(engine, 1, 50, 460, source, first=2)
    press(engine, 5, 1460, source)
    press(engine, 6, 1500, source, ticks=50 * 160)
    assert [key for key, _ in pressed(engine)] == [6], "the first is known, though its last packet came late"
    assert heard(engine.finish(PORT)) == {1}
    counts = engine.remove(PORT)
    assert (counts.received, counts.foreign, counts.keys) == (50, 0, 2)


def test_a_strangers_key_before_the_first_sound_counts_only_once_it_has_proved_to_be_the_stream(engine, talk, press):
    engine.add(PORT, "call", 0, KEYED, 0, announced=SBC)
    press(engine, 5, 400, STRANGER, ssrc=2)
    assert pressed(engine) == []
    talk(engine, 2, 15, 460, STRANGER, ssrc=2, first=2)
    assert pressed(engine) == []
    talk(engine, 2, 35, 760, STRANGER, ssrc=2, first=17)
    assert [key for key, _ in pressed(engine)] == [5]
    assert heard(engine.finish(PORT)) == {2}


def test_a_strangers_keys_prove_nothing_and_are_not_pressed_when_the_stream_comes(engine, talk, press) -> None:
    engine.add(PORT, "call", 0, KEYED, 0, announced=SBC)
    for n in range(20):
        press(engine, n % 10, 100 + 80 * n, STRANGER, ssrc=2, ticks=640 * n)
    talk(engine, 2, 1, 1800, STRANGER, ssrc=2, first=100)
    assert pressed(engine) == [] and engine.finish(PORT) == []
    talk(engine, 1, 50, 1820)
    assert pressed(engine) == [] and heard(engine.finish(PORT)) == {1}
    assert engine.remove(PORT).foreign == 61


def test_a_key_of_a_sender_that_did_not_stop_is_not_pressed_in_the_next_call(engine, talk, press) -> None:
    engine.add(PORT, "call", 0, KEYED, 0, announced=SBC)
    talk(engine, 9, 100, 20, ssrc=7)
    engine.remove(PORT)
    engine.add(PORT, "next", 0, KEYED, 3000 * MS, announced=SBC, since_ns=3000 * MS)
    press(engine, 5, 3100, ssrc=7, ticks=8 * 3080)
    assert pressed(engine) == []
