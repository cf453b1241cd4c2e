"""The engine against a receiver that takes one packet after another, and against all that goes wrong with media."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.engine import Engine, EngineFull
from agent.model.call import Codec, MediaFormat
from agent.model.media import StreamChunk, StreamCounts

pytestmark = pytest.mark.usefixtures("either_core")

PORT = 20000
PCMA = [MediaFormat(8, Codec.PCMA)]
SILENCE = 0xD5
MS = 1_000_000


def new_engine(reorder_ms: int = 200, flush_s: float = 1.0) -> Engine:
    return Engine(max_streams=8, reorder_ms=reorder_ms, flush_interval_s=flush_s)


def listen(engine: Engine, port: int = PORT, stream: int = 0) -> None:
    engine.add(port, "call", stream, PCMA, 0)


def packets_of(counts: StreamCounts) -> StreamCounts:
    """The counts of packets alone, without what was measured of their timing."""
    return replace(counts, jitter_ms=0.0, jitter_max_ms=0.0, drift_ppm=0.0, packet_ms=0.0, formats=())


@dataclass
class Tape:
    """Chunks put one after the other: every sample at its position, none twice."""

    samples: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    end: int = 0

    def take(self, chunks: Iterable[StreamChunk]) -> None:
        for chunk in chunks:
            assert chunk.position_samples >= self.end, "chunks overlap or go back"
            self.end = chunk.end_samples
            self.lost += chunk.lost_samples
            self.samples.update(zip(range(chunk.position_samples, self.end), chunk.payload.tolist(), strict=True))

    @property
    def start(self) -> int:
        return min(self.samples)

    def bytes_from_start(self) -> bytes:
        return bytes(self.samples.get(p, SILENCE) for p in range(self.start, self.end))


def sound(first: int, count: int) -> bytes:
    """Bytes that tell their own place, none of them silence."""
    return bytes((p * 7 + p // 251) % 200 + 1 for p in range(first, first + count))


@dataclass
class Sent:
    """What a sender did: packets in order of arrival (index, copy?), and what a plain receiver must make of it."""

    sizes: list[int]
    arrivals: list[int]
    first_seq: int
    first_ts: int

    def offset(self, index: int) -> int:
        return sum(self.sizes[:index])


@st.composite
def transmissions(draw: st.DrawFn) -> Sent:
    """Loss, reordering by up to five packets, copies, any ptime changing in the middle, wraps of both counters."""
    count = draw(st.integers(2, 160))
    sizes = [draw(st.sampled_from([80, 160, 160, 160, 240, 320, 480]))] * (count // 2)
    sizes += [draw(st.sampled_from([80, 160, 240, 480]))] * (count - len(sizes))
    rng = random.Random(draw(st.integers(0, 2**32)))
    loss, copy, swap = (draw(st.sampled_from([0.0, 0.02, 0.2])) for _ in range(3))
    keyed = []
    for index in range(count):
        if index and rng.random() < loss:
            continue
        keyed.append((index + (rng.uniform(0, 5) if index and rng.random() < swap else 0), index))
        if rng.random() < copy:
            keyed.append((index + rng.uniform(0, 5), index))
    first_seq = draw(st.sampled_from([0, 1, 65530, 40000]))
    return Sent(sizes, [i for _, i in sorted(keyed)], first_seq, draw(st.sampled_from([0, 2**32 - 500, 77])))


def plain_receiver(sent: Sent) -> tuple[bytes, StreamCounts]:
    """One packet after the other: media from the first to the last that arrived, and the counts."""
    seen: set[int] = set()
    copies = reordered = 0
    for index in sent.arrivals:
        if index in seen:
            copies += 1
        else:
            reordered += bool(seen) and index < max(seen)
            seen.add(index)
    low, high = min(seen), max(seen)
    media = b"".join(
        sound(sent.offset(i), sent.sizes[i]) if i in seen else bytes([SILENCE]) * sent.sizes[i]
        for i in range(low, high + 1)
    )
    lost = high - low + 1 - len(seen)
    counts = StreamCounts(len(sent.arrivals), lost, 0, copies, reordered, ssrcs=(0x1234,))
    return media, counts


@settings(max_examples=250, deadline=None)
@given(sent=transmissions(), cut=st.integers(1, 60), look_back=st.none() | st.integers(0, 3 * 8000))
def test_it_hears_what_a_plain_receiver_hears(
    rtp, packet, block_of, sent: Sent, cut: int, look_back: int | None
) -> None:
    """Whether media is handed on as it comes, or waits in the buffer to be released later."""
    engine, tape = Engine(8, reorder_ms=1000, flush_interval_s=1.0, look_back_s=3.0), Tape()
    listen(engine)
    packets, at_ms, latest = [], 100.0, 0
    for index in sent.arrivals:
        latest = max(latest, index)
        at_ms = 100.0 + sent.offset(latest + 1) / 8
        data = rtp(
            sent.first_seq + index, sent.first_ts + sent.offset(index), sound(sent.offset(index), sent.sizes[index])
        )
        packets.append(packet(data, PORT, at_ms))
    for start in range(0, len(packets), cut):
        engine.process(block_of(packets[start : start + cut]))
        now_ms = packets[min(start + cut, len(packets)) - 1].at_ms
        tape.take(engine.flush(int(now_ms * MS)))
        if look_back is not None:
            for _, *stretch in engine.release([PORT], [0], [1 << 40], int(now_ms * MS), look_back):
                tape.take([StreamChunk("call", *stretch)])
    tape.take(engine.finish(PORT))
    media, counts = plain_receiver(sent)
    assert tape.bytes_from_start() == media
    assert packets_of(engine.counts(PORT)) == counts
    assert tape.lost == media.count(SILENCE)


def stream(rtp, packet, indices: Sequence[int], *, port: int = PORT, late_ms: float = 0.0, **fields) -> list:
    """20 ms packets, each arriving on time."""
    return [
        packet(rtp(1000 + i, 160 * i, sound(160 * i, 160), **fields), port, 20.0 * (i + 1) + late_ms) for i in indices
    ]


def test_many_streams_at_once_stay_apart(rtp, packet, block_of) -> None:
    engine = new_engine()
    tapes = {}
    for number in range(8):
        engine.add(PORT + 2 * number, f"call{number}", number, PCMA, 0)
        tapes[number] = Tape()
    for second in range(5):
        packets = [
            packet(rtp(i, 160 * i, sound(160 * i + n, 160), ssrc=n), PORT + 2 * n, 20.0 * (i + 1))
            for i in range(50 * second, 50 * second + 50)
            for n in range(8)
        ]
        engine.process(block_of(packets))
        for chunk in engine.flush(int((second + 1) * 1000 * MS)):
            tapes[chunk.stream].take([chunk])
    for number, tape in tapes.items():
        tape.take(engine.finish(PORT + 2 * number))
        assert tape.bytes_from_start() == sound(number, 250 * 160) and tape.start == 0


def test_what_comes_after_its_place_was_handed_on_is_late_and_lost(rtp, packet, block_of) -> None:
    engine, tape = new_engine(reorder_ms=100), Tape()
    listen(engine)
    engine.process(block_of(stream(rtp, packet, [i for i in range(100) if i != 20])))
    tape.take(engine.flush(2000 * MS))
    engine.process(block_of(stream(rtp, packet, [20, 20], late_ms=1700) + stream(rtp, packet, range(100, 120))))
    tape.take(engine.finish(PORT))
    counts = engine.counts(PORT)
    assert (counts.late, counts.lost, counts.duplicates, counts.received) == (1, 1, 1, 121)
    assert tape.bytes_from_start() == sound(0, 3200) + bytes([SILENCE]) * 160 + sound(3360, 120 * 160 - 3360)


def test_a_gap_is_waited_for_as_long_as_the_window_and_no_longer(rtp, packet, block_of) -> None:
    engine = new_engine(reorder_ms=200)
    listen(engine)
    engine.process(block_of(stream(rtp, packet, [i for i in range(55) if i != 50])))
    (chunk,) = engine.flush(1100 * MS)
    assert chunk.end_samples == 50 * 160, "up to the gap, which is 80 ms old"
    engine.process(block_of(stream(rtp, packet, range(55, 110))))
    (chunk,) = engine.flush(2200 * MS)
    assert chunk.lost_samples == 160 and chunk.end_samples >= 99 * 160, "the gap was given up"


def test_silence_suppression_becomes_a_gap_of_the_right_length(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    engine.process(block_of([packet(rtp(i, 160 * i, sound(160 * i, 160)), PORT, 20.0 * (i + 1)) for i in range(10)]))
    later = [packet(rtp(10 + i, 160 * (40 + i), sound(160 * (40 + i), 160)), PORT, 820.0 + 20 * i) for i in range(10)]
    engine.process(block_of(later))
    tape.take(engine.finish(PORT))
    assert tape.bytes_from_start() == sound(0, 1600) + bytes([SILENCE]) * 4800 + sound(6400, 1600)
    assert engine.counts(PORT).lost == 0 and engine.counts(PORT).jumps == 0 and tape.lost == 4800


def test_a_hold_of_a_minute_is_a_gap_not_a_minute_of_memory(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    engine.process(block_of(stream(rtp, packet, range(10))))
    tape.take(engine.flush(500 * MS))
    held = [packet(rtp(1010 + i, 160 * (3010 + i), sound(5, 160)), PORT, 20.0 * (3011 + i)) for i in range(10)]
    engine.process(block_of(held))
    tape.take(engine.finish(PORT))
    assert sorted(tape.samples)[1600] == 3010 * 160 and len(tape.samples) == 3200
    assert engine.counts(PORT).lost == 0 and engine.counts(PORT).jumps == 0


@pytest.mark.parametrize(
    ("seq", "ts", "ssrc"), [(9, 999_999, 0x9999), (30_000, 160 * 50, 0x1234), (1050, 2**31, 0x1234)]
)
def test_a_restart_goes_on_at_its_time_of_arrival(rtp, packet, block_of, seq: int, ts: int, ssrc: int) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    engine.process(block_of(stream(rtp, packet, range(50))))
    again = [
        packet(rtp(seq + i, ts + 160 * i, sound(160 * i, 160), ssrc=ssrc), PORT, 1220.0 + 20 * i) for i in range(20)
    ]
    engine.process(block_of(again))
    tape.take(engine.finish(PORT))
    counts = engine.counts(PORT)
    assert (counts.jumps, counts.lost, counts.received) == (1, 0, 70)
    assert counts.ssrcs == ((0x1234, ssrc) if ssrc != 0x1234 else (0x1234,))
    assert tape.end == 20 * 160 + 1200 * 8 and bytes(tape.samples[p] for p in range(9600, 9920)) == sound(0, 320)


def test_a_stranger_on_the_port_changes_nothing(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    mixed = []
    for own in stream(rtp, packet, range(50)):
        mixed += [own, packet(rtp(5, 5, b"\x01" * 160, ssrc=0x6666), PORT, own.at_ms)]
    engine.process(block_of(mixed[:-1]))
    tape.take(engine.finish(PORT))
    counts = engine.counts(PORT)
    assert tape.bytes_from_start() == sound(0, 50 * 160)
    assert (counts.foreign, counts.jumps, counts.lost, counts.ssrcs) == (49, 0, 0, (0x1234,))


def test_a_flood_of_strangers_is_counted_and_bounded(rtp, packet, block_of) -> None:
    engine = new_engine()
    listen(engine)
    engine.process(block_of([packet(rtp(n, n, b"\x01" * 160, ssrc=n), PORT, 20.0) for n in range(2000)]))
    engine.finish(PORT)
    counts = engine.counts(PORT)
    assert counts.foreign + counts.received == 2000 and counts.jumps < 10


def test_telephone_events_are_foreign_but_not_lost(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    packets = stream(rtp, packet, range(30))
    for n in range(10, 15):
        packets[n] = packet(rtp(1000 + n, 1600, b"\x01\x0a\x00\xa0", pt=101), PORT, 20.0 * (n + 1))
    engine.process(block_of(packets))
    tape.take(engine.finish(PORT))
    counts = engine.counts(PORT)
    assert (counts.foreign, counts.lost, counts.received) == (5, 0, 25)
    assert tape.bytes_from_start() == sound(0, 1600) + bytes([SILENCE]) * 800 + sound(2400, 2400)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x80",
        b"\x00" * 172,
        b"\x80\xc8" + b"\x00" * 40,
        b"\x80\x08" + b"\x00" * 12,
        b"\x80\x60" + b"\x00" * 170,
        b"\x8f\x08" + b"\x00" * 30,
        b"\x90\x08" + b"\xff" * 60,
        b"\xa0\x08" + b"\x00" * 170,
        b"\x80\x08" + b"\x00" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_audio_is_counted_and_nothing_else(block_of, packet, broken: bytes) -> None:
    engine = new_engine()
    listen(engine)
    engine.process(block_of([packet(broken, PORT, 20.0)]))
    assert engine.finish(PORT) == []
    assert engine.counts(PORT) == StreamCounts(foreign=1)


@settings(max_examples=100, deadline=None)
@given(datas=st.lists(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: b"\x80\x08" + b), max_size=60))
def test_no_datagram_can_break_it(packet, block_of, datas: list[bytes]) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    packets = [packet(data, PORT + 2 * (n % 2), 20.0 * n) for n, data in enumerate(datas)]
    if packets:
        engine.process(block_of(packets))
    tape.take(engine.flush(2000 * MS))
    tape.take(engine.finish(PORT))
    assert engine.stray == len(datas) // 2
    assert engine.counts(PORT).received + engine.counts(PORT).foreign == (len(datas) + 1) // 2


def test_header_extensions_csrc_lists_and_padding_are_no_media(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    dressed = [
        rtp(0, 0, sound(0, 160)),
        rtp(1, 160, sound(160, 160), bits=0x02, rest=b"CSRC" * 2),
        rtp(2, 320, sound(320, 160), bits=0x10, rest=b"\xbe\xde\x00\x02" + b"x" * 8),
        rtp(3, 480, sound(480, 160) + b"\x00\x00\x00\x04", bits=0x20),
        rtp(4, 640, sound(640, 160) + b"\x00\x02", bits=0x31, rest=b"CSRC" + b"\x10\x00\x00\x01" + b"y" * 4),
    ]
    engine.process(block_of([packet(d, PORT, 20.0 * (n + 1)) for n, d in enumerate(dressed)]))
    tape.take(engine.finish(PORT))
    assert tape.bytes_from_start() == sound(0, 800) and engine.counts(PORT).foreign == 0


def test_a_new_codec_begins_a_new_chunk(rtp, packet, block_of) -> None:
    engine = new_engine()
    listen(engine)
    engine.process(block_of(stream(rtp, packet, range(10))))
    assert engine.change(PORT, PCMA) == []
    (before,) = engine.change(PORT, [MediaFormat(0, Codec.PCMU)])
    engine.process(block_of(stream(rtp, packet, [10, 11, 13], pt=0) + stream(rtp, packet, [12], pt=8)))
    (after,) = engine.finish(PORT)
    assert (before.codec, before.end_samples, after.codec, after.position_samples) == (
        Codec.PCMA,
        1600,
        Codec.PCMU,
        1600,
    )
    assert after.payload[320:480].tolist() == [0xFF] * 160 and engine.counts(PORT).foreign == 1


def test_a_port_lent_again_begins_afresh_and_rows_run_out_loudly(rtp, packet, block_of) -> None:
    engine = new_engine()
    listen(engine)
    engine.process(block_of(stream(rtp, packet, range(10))))
    assert engine.remove(PORT).received == 10
    listen(engine)
    assert engine.counts(PORT) == StreamCounts() and engine.finish(PORT) == []
    with pytest.raises(ValueError, match="taken"):
        listen(engine)
    for number in range(1, 8):
        engine.add(PORT + number, "call", number, PCMA, 0)
    with pytest.raises(EngineFull):
        engine.add(PORT + 8, "call", 8, PCMA, 0)
    with pytest.raises(LookupError):
        engine.remove(1)


def test_two_streams_are_aligned_by_their_arrival(rtp, packet, block_of) -> None:
    engine, tapes = new_engine(), [Tape(), Tape()]
    for n in (0, 1):
        listen(engine, PORT + 2 * n, n)
    second = [packet(p.data, PORT + 2, p.at_ms + 340.0) for p in stream(rtp, packet, range(20))]
    engine.process(block_of(stream(rtp, packet, range(20)) + second))
    for n in (0, 1):
        tapes[n].take(engine.finish(PORT + 2 * n))
    assert tapes[1].start - tapes[0].start == 340 * 8


def test_media_begins_with_the_first_packet_and_early_ones_find_their_place(rtp, packet, block_of) -> None:
    engine, tape = new_engine(), Tape()
    listen(engine)
    first, second = stream(rtp, packet, [5, 4])
    engine.process(block_of([first]))
    engine.process(block_of([second]))
    tape.take(engine.finish(PORT))
    assert tape.bytes_from_start() == sound(640, 320) and tape.start == 640 and engine.counts(PORT).reordered == 1


def test_a_block_longer_than_the_buffer_is_heard_in_order(rtp, packet, block_of) -> None:
    engine, tape = new_engine(reorder_ms=1000), Tape()
    listen(engine)
    order = [n for n in range(100) if n != 50]
    order[70], order[71] = order[71], order[70]
    packets = [packet(rtp(n, 480 * n, sound(480 * n, 480)), PORT, 60.0 * (n + 1)) for n in order]
    engine.process(block_of(packets))
    tape.take(engine.finish(PORT))
    counts = engine.counts(PORT)
    assert (counts.late, counts.lost, counts.reordered) == (0, 1, 1)
    assert tape.bytes_from_start() == sound(0, 24000) + bytes([SILENCE]) * 480 + sound(24480, 23520)


def test_two_streams_that_exchange_their_names_do_not_overlap(rtp, packet, block_of) -> None:
    """What one left unsaid before it is no silence of the other's."""
    engine, tapes = new_engine(), {0: Tape(), 1: Tape()}
    for number in (0, 1):
        listen(engine, PORT + number, number)

    def take(chunks: Iterable[StreamChunk]) -> None:
        for chunk in chunks:
            tapes[chunk.stream].take([chunk])

    for n in range(200):
        if n == 150:
            take(engine.rename(PORT, 1) + engine.rename(PORT + 1, 0))
        talking = (0, 1) if n < 50 or n >= 150 else (0,)
        engine.process(block_of([packet(rtp(n, n * 160, b"\x11" * 160), PORT + p, 20 * (n + 1)) for p in talking]))
        if n % 10 == 0:
            take(engine.flush(20 * (n + 1) * MS))
    take(engine.finish(PORT) + engine.finish(PORT + 1))
    assert set(tapes[0].samples) == set(range(200 * 160))
    assert set(tapes[1].samples) == {*range(50 * 160), *range(150 * 160, 200 * 160)}
