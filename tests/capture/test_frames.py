"""Packets in the capture log and in the gate: their bytes on disk, and that no part of one slips through a pause."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.format import Malformed
from agent.capture.frames import pack, unpack
from agent.capture.holdback import Holdback, joined, keep, split_at
from agent.model.call import Codec, MediaFormat
from agent.model.media import Frames, StreamChunk
from agent.model.spans import Span

VECTOR = (
    "600000bb80020000000e000001e000000002757365696e62616e646665633d31"  # format and how much
    "0000000000a00003 0000014000a00001"  # where the packets lie
    "a1a2a3b1"
)


def packets(codec: Codec, position: int, packets: Iterable[tuple[int, int, bytes]], samples: int) -> StreamChunk:
    """A stretch of packets: (begin, duration, bytes)."""
    listed = list(packets)
    columns = [np.array(c, np.int64) for c in ([p[0] for p in listed], [p[1] for p in listed])]
    size = np.array([len(p[2]) for p in listed], np.int64)
    what = MediaFormat(96, codec, 48000, 2, "useinbandfec=1")
    payload = np.frombuffer(b"".join(p[2] for p in listed), np.uint8)
    return StreamChunk("call", 2, codec, position, payload, 160, Frames(what, samples, *columns, size))


def listed(chunk: StreamChunk) -> list[tuple[int, int, bytes]]:
    """Position, duration and bytes of each packet."""
    assert chunk.frames is not None
    stop = np.cumsum(chunk.frames.size)
    return [
        (chunk.position_samples + int(b), int(d), chunk.payload[int(e - s) : int(e)].tobytes())
        for b, d, s, e in zip(chunk.frames.begin, chunk.frames.duration, chunk.frames.size, stop, strict=True)
    ]


def test_the_vector_of_the_documentation() -> None:
    chunk = packets(Codec.OPUS, 16000, [(0, 160, b"\xa1\xa2\xa3"), (320, 160, b"\xb1")], 480)
    assert bytes(pack(chunk)) == bytes.fromhex(VECTOR)
    frames, payload = unpack(Codec.OPUS, bytes.fromhex(VECTOR))
    assert frames.format == chunk.frames.format and frames.samples == 480
    assert payload.tobytes() == b"\xa1\xa2\xa3\xb1" and frames.begin.tolist() == [0, 320]


@given(st.binary(max_size=60) | st.tuples(st.integers(0, 43), st.integers(0, 255)).map(lambda c: _spoilt(*c)))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    try:
        frames, payload = unpack(Codec.OPUS, data)
    except Malformed:
        return
    assert int(frames.size.sum()) == len(payload)
    assert (frames.begin + frames.duration <= frames.samples).all()


def _spoilt(at: int, value: int) -> bytes:
    data = bytes.fromhex(VECTOR)
    return data[:at] + bytes([value]) + data[at + 1 :]


RUN = [(160 * n, 160, bytes([n + 1]) * (n % 3 + 1)) for n in range(10)]


@given(st.integers(0, 1700), st.sampled_from([Codec.GSM, Codec.OPUS]))
def test_a_split_takes_no_packet_apart_and_loses_none(at: int, codec: Codec) -> None:
    chunk = packets(codec, 1000, RUN, 1600)
    early, late = split_at(chunk, 1000 + at)
    parts = [part for part in (early, late) if part is not None]
    assert [p for part in parts for p in listed(part)] == listed(chunk)
    assert sum(part.samples for part in parts) == 1600 and sum(part.lost_samples for part in parts) == 160
    assert early is None or early.end_samples <= 1000 + at
    (again,) = joined(parts)
    assert listed(again) == listed(chunk) and again.samples == 1600


@given(st.lists(st.integers(0, 3000), min_size=2, max_size=8), st.sampled_from([Codec.GSM, Codec.OPUS]))
def test_no_packet_stays_that_touches_what_may_not(edges: list[int], codec: Codec) -> None:
    edges = sorted(set(edges))[: len(set(edges)) // 2 * 2]
    spans = list(zip(edges[::2], edges[1::2], strict=True))

    def parts(start: int, end: int) -> list[Span]:
        return [(max(a, start), min(b, end)) for a, b in spans if a < end and b > start]

    stay = {p for chunk in keep(packets(codec, 1000, RUN, 1600), parts) for p in listed(chunk)}
    repeats = 160 if codec is Codec.OPUS else 0  # a packet of Opus may hold the frame before it once more
    allowed = {
        p
        for p in listed(packets(codec, 1000, RUN, 1600))
        if any(a <= p[0] - repeats and p[0] + p[1] <= b for a, b in spans)
    }
    assert stay == allowed


def test_the_look_back_lets_go_of_whole_packets_and_counts_them() -> None:
    held = Holdback()
    held.add(packets(Codec.GSM, 0, RUN[:5], 800))
    held.add(packets(Codec.GSM, 800, RUN[:5], 800))
    (first,) = held.take(850)
    assert (first.position_samples, first.samples, len(listed(first))) == (0, 800, 5)
    (second,) = held.take(961)
    assert (second.position_samples, second.samples) == (800, 160) and len(held) == 640
    assert [len(listed(c)) for c in held.take(5000)] == [4]


def test_codecs_are_not_joined() -> None:
    chunks = [packets(Codec.GSM, 0, RUN, 1600), packets(Codec.G729, 1600, RUN, 1600)]
    assert len(list(joined(chunks))) == 2


def test_a_format_of_no_clock_is_refused() -> None:
    data = bytearray.fromhex(VECTOR)
    data[1:5] = bytes(4)
    with pytest.raises(Malformed):
        unpack(Codec.OPUS, bytes(data))


def test_overlapping_packets_are_split_without_losing_one() -> None:
    overlapping = [(80 * n, 160, bytes([n])) for n in range(50)]
    chunk = packets(Codec.OTHER, 0, overlapping, 80 * 49 + 160)
    for at in range(0, 4200, 37):
        parts = [part for part in split_at(chunk, at) if part is not None]
        assert sorted(p for part in parts for p in listed(part)) == listed(chunk)


def test_what_is_put_together_never_grows_beyond_a_record() -> None:
    chunks = [packets(Codec.L16, n * 160, [(0, 160, bytes(200_000))], 160) for n in range(20)]
    parts = list(joined(chunks))
    assert max(len(part.payload) for part in parts) <= 1 << 20 and sum(len(p.payload) for p in parts) == 4_000_000
