"""Codecs without a byte a sample, several formats in one stream, keys pressed, and the timing of packets."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.media.engine import Engine
from agent.model.call import Codec, MediaFormat
from agent.model.media import StreamChunk

pytestmark = pytest.mark.usefixtures("either_core")

PORT, MS = 20000, 1_000_000
PCMA = MediaFormat(8, Codec.PCMA)
GSM = MediaFormat(3, Codec.GSM)
RAW = MediaFormat(96, Codec.OTHER, 16000, name="EVS")
OPUS = MediaFormat(111, Codec.OPUS, 48000, 2)
WIDE = MediaFormat(97, Codec.L16, 16000)
EVENTS = MediaFormat(101, Codec.TELEPHONE_EVENT)
NOISE = MediaFormat(13, Codec.COMFORT_NOISE)

Heard = list[tuple[int, int, bytes]]


def listening(*formats: MediaFormat, origin_ns: int = 0) -> Engine:
    engine = Engine(max_streams=4, reorder_ms=200, flush_interval_s=1.0)
    engine.add(PORT, "call", 0, formats, origin_ns)
    return engine


def heard(chunks: list[StreamChunk]) -> Heard:
    """Position, samples and bytes of every packet; a byte a sample counts as one packet a chunk."""
    found: Heard = []
    for chunk in chunks:
        if chunk.frames is None:
            found.append((chunk.position_samples, chunk.samples, chunk.payload.tobytes()))
            continue
        stop = np.cumsum(chunk.frames.size)
        assert int(chunk.frames.size.sum()) == len(chunk.payload)
        assert (chunk.frames.begin >= 0).all() and (chunk.frames.begin + chunk.frames.duration <= chunk.samples).all()
        found += [
            (chunk.position_samples + int(b), int(d), chunk.payload[int(e - s) : int(e)].tobytes())
            for b, d, s, e in zip(chunk.frames.begin, chunk.frames.duration, chunk.frames.size, stop, strict=True)
        ]
    return found


def frame(n: int) -> bytes:
    """33 bytes that tell which they are."""
    return struct.pack(">I", n) + bytes([0xD0 | n % 16]) * 29


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 200),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0, 1, 5]),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_packets_come_out_as_a_plain_receiver_has_them(
    rtp, block_of, packet, count, loss, copies, shuffle, seq, ts, cut, wide, rng: random.Random
) -> None:
    what, step = (WIDE, 320) if wide else (GSM, 160)
    sizes = [640 if wide else 33] * count
    sent = [(n, frame(n).ljust(sizes[n], b"x")) for n in range(count)]
    arriving = [(n + rng.uniform(0, shuffle), n) for n, _ in sent if n == 0 or rng.random() >= loss]
    arriving += [(key + rng.uniform(0, shuffle), n) for key, n in arriving if rng.random() < copies]
    first = min(arriving)
    arriving = [first, *sorted(a for a in arriving if a != first)]
    newest = np.maximum.accumulate([n for _, n in arriving]).tolist()
    packets = [
        packet(rtp(seq + n, ts + n * step, sent[n][1], pt=what.payload_type), at_ms=20 * (now + 1))
        for now, (_, n) in zip(newest, arriving, strict=True)
    ]
    engine = listening(what)
    chunks: list[StreamChunk] = []
    for at in range(0, len(packets), cut):
        block = packets[at : at + cut]
        engine.process(block_of(block))
        chunks += engine.flush(int(block[-1].at_ms * MS))
    chunks += engine.finish(PORT)
    got = {n for _, n in arriving}
    counts = engine.remove(PORT)
    found = heard(chunks)
    assert [p[2] for p in found] == [sent[n][1] for n in sorted(got) if n >= min(got)]
    begin = found[0][0] - 160 * min(got)
    assert [p[0] for p in found] == [begin + 160 * n for n in sorted(got)]
    assert {p[1] for p in found} == {160}
    assert counts.duplicates == len(arriving) - len(got) and counts.late == 0 and counts.jumps == 0
    assert counts.lost == max(got) - min(got) + 1 - len(got) and counts.formats == (what.codec.value,)
    assert sum(c.lost_samples for c in chunks) <= 160 * counts.lost, "a gap beyond the buffer is in no stretch"


def test_a_pause_in_sending_costs_nothing_and_packets_lie_behind_it(rtp, block_of, packet) -> None:
    engine, chunks = listening(GSM), []
    for n in [*range(5), *range(3000, 3005)]:
        seq = n if n < 5 else n - 2995
        engine.process(block_of([packet(rtp(seq, n * 160, frame(n), pt=3), at_ms=20 * (n + 1))]))
        chunks += engine.flush(20 * (n + 1) * MS)
    chunks += engine.finish(PORT)
    assert [p[0] for p in heard(chunks)] == [160 * n for n in [*range(5), *range(3000, 3005)]]
    assert engine.remove(PORT).lost == 0


def test_a_sender_changes_its_codec_without_a_word(rtp, block_of, packet) -> None:
    """Same clock: positions go on; another clock: they go on by the time of arrival. Nothing is lost."""
    engine = listening(PCMA, GSM, OPUS)
    packets, expected = [], []
    for n in range(60):
        if n < 20:
            what, data, ts = 8, bytes([n + 1]) * 160, n * 160
        elif n < 40:
            what, data, ts = 3, frame(n), n * 160
        else:
            what, data, ts = 111, b"\x08" + frame(n), 777 + n * 960
        packets.append(packet(rtp(n, ts, data, pt=what), at_ms=20 * (n + 1)))
        expected.append((160 * n, data))
    chunks = []
    for at in range(0, 60, 7):
        engine.process(block_of(packets[at : at + 7]))
        chunks += engine.flush(int(packets[min(59, at + 6)].at_ms * MS))
    chunks += engine.finish(PORT)
    assert [c.codec for c in chunks if c.samples] == sorted(
        [c.codec for c in chunks], key=[Codec.PCMA, Codec.GSM, Codec.OPUS].index
    )
    found = heard(chunks)
    assert b"".join(p[2] for p in found if len(p[2]) > 100 and p[0] < 3200) == b"".join(d for _, d in expected[:20])
    assert [(p[0], p[2]) for p in found if p[0] >= 3200] == expected[20:]
    counts = engine.remove(PORT)
    assert counts.received == 60 and counts.lost == 0 and counts.formats == ("PCMA", "GSM", "OPUS")


def test_a_sender_that_changes_its_codec_all_the_time_costs_little(rtp, block_of, packet) -> None:
    engine = listening(PCMA, GSM)
    packets = [
        packet(rtp(n, n * 160, b"\1" * 160 if n % 2 else frame(n), pt=8 if n % 2 else 3), at_ms=20 * (n + 1))
        for n in range(400)
    ]
    engine.process(block_of(packets))
    counts = engine.counts(PORT)
    assert counts.received + counts.foreign == 400 and counts.foreign > 150, "eight changes a block are believed"


def test_what_nobody_knows_is_kept_as_it_came_and_said(rtp, block_of, packet) -> None:
    engine = listening(RAW)
    engine.process(block_of([packet(rtp(n, n * 320, b"raw%d" % n, pt=96), at_ms=20 * (n + 1)) for n in range(10)]))
    found = heard(engine.finish(PORT))
    assert [p[2] for p in found] == [b"raw%d" % n for n in range(10)]
    assert [p[0] for p in found] == [160 * n for n in range(10)]
    assert engine.remove(PORT).formats == ("EVS",)


def test_a_timestamp_that_has_no_whole_sample_does_not_drift(rtp, block_of, packet) -> None:
    odd = MediaFormat(96, Codec.OTHER, 11025, name="X")
    engine, chunks = listening(odd), []
    for n in range(2000):
        engine.process(block_of([packet(rtp(n, n * 220, b"12345678", pt=96), at_ms=(n + 1) * 220 / 11.025)]))
        chunks += engine.flush(int((n + 1) * 220 / 11.025 * MS))
    chunks += engine.finish(PORT)
    assert [p[0] for p in heard(chunks)] == pytest.approx([n * 220 * 8000 / 11025 for n in range(2000)], abs=2)


def test_each_key_is_told_once_and_never_recorded(rtp, block_of, packet) -> None:
    """RFC 4733 §2.5: updates, the end three times, one packet lost, one key twice in a row."""
    engine = listening(PCMA, EVENTS)
    packets, seq, at = [], 0, 0
    for n in range(100):
        at = n * 160
        if n in (20, 50, 80):  # keys 5, 5 and # begin here
            key = {20: 5, 50: 5, 80: 11}[n]
            for k in range(8):
                end = k >= 5
                data = struct.pack(">BBH", key, 0x80 | 10 if end else 10, min(k + 1, 6) * 160)
                if (n, k) != (50, 0):
                    packets.append(packet(rtp(seq, at, data, pt=101), at_ms=20 * (n + k + 1)))
                seq += 1
        elif not any(b <= n < b + 8 for b in (20, 50, 80)):
            packets.append(packet(rtp(seq, at, b"\1" * 160), at_ms=20 * (n + 1)))
            seq += 1
    for start in range(0, len(packets), 9):
        engine.process(block_of(packets[start : start + 9]))
    keys = engine.take_keys()
    assert [(k.event, k.position_samples) for k in keys] == [(5, 3200), (5, 8000), (11, 12800)]
    assert engine.take_keys() == [] and {k.call_id for k in keys} == {"call"}
    (chunk,) = engine.finish(PORT)
    counts = engine.remove(PORT)
    assert counts.keys == 3 and counts.lost == 1 and counts.foreign == 0
    assert set(chunk.payload.tolist()) == {1, 0xD5} and chunk.samples == 16000


def test_comfort_noise_is_counted_and_is_silence(rtp, block_of, packet) -> None:
    engine = listening(PCMA, NOISE)
    packets = [packet(rtp(n, n * 160, b"\1" * 160), at_ms=20 * (n + 1)) for n in range(5)]
    packets += [packet(rtp(5, 800, b"\x40", pt=13), at_ms=120)]
    packets += [packet(rtp(6 + n, 8000 + n * 160, b"\1" * 160), at_ms=1020 + 20 * n) for n in range(5)]
    engine.process(block_of(packets))
    (chunk,) = engine.finish(PORT)
    assert chunk.samples == 8800 and set(chunk.payload[800:8000].tolist()) == {0xD5}
    counts = engine.remove(PORT)
    assert (counts.noise, counts.lost, counts.foreign) == (1, 0, 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=120), st.integers(1, 50))
def test_jitter_is_that_of_the_standard(rtp, block_of, packet, delays: list[int], cut: int) -> None:
    """RFC 3550 appendix A.8, one packet after the other."""
    engine = listening(PCMA)
    arrivals, at = [], 0.0
    for n, delay in enumerate(delays):
        at = max(at, 20 * (n + 1) + delay)
        arrivals.append(at)
    packets = [packet(rtp(n, n * 160, b"\1" * 160), at_ms=at) for n, at in enumerate(arrivals)]
    for start in range(0, len(packets), cut):
        engine.process(block_of(packets[start : start + cut]))
    jitter, before = 0.0, None
    for n, at in enumerate(arrivals):
        transit = at - 20 * n
        if before is not None:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
    assert engine.counts(PORT).jitter_ms == pytest.approx(jitter, abs=0.01)


@pytest.mark.parametrize("ppm", [-200, 0, 150])
def test_a_clock_that_runs_off_is_measured(rtp, block_of, packet, ppm: int) -> None:
    rng, engine = random.Random(7), listening(PCMA)
    packets = [
        packet(rtp(n, n * 160, b"\1" * 160), at_ms=20 * (n + 1) / (1 + ppm * 1e-6) + rng.expovariate(0.3))
        for n in range(9000)
    ]
    packets.sort(key=lambda p: p.at_ms)
    for start in range(0, len(packets), 50):
        engine.process(block_of(packets[start : start + 50]))
        engine.flush(int(packets[start].at_ms * MS))
    assert engine.counts(PORT).drift_ppm == pytest.approx(ppm, abs=10)
    assert engine.counts(PORT).jitter_ms > 1 and engine.counts(PORT).packet_ms == 20


def test_the_voice_at_an_address_may_become_another_stream(rtp, block_of, packet) -> None:
    engine = listening(PCMA)
    packets = [packet(rtp(n, n * 160, bytes([n + 1]) * 160), at_ms=20 * (n + 1)) for n in range(20)]
    engine.process(block_of(packets[:10]))
    (before,) = engine.rename(PORT, 5)
    engine.process(block_of(packets[10:]))
    (after,) = engine.finish(PORT)
    assert (before.stream, before.samples, after.stream, after.position_samples) == (0, 1600, 5, 1600)
    assert engine.remove(PORT).received == 20
