"""Listening in beside everything else: each packet of any codec once, in time, and nothing of it is moved."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import Packet, block_of, rtp

from agent.capture.aloud import later
from agent.media.engine import Engine
from agent.model.call import Codec, MediaFormat
from agent.model.media import StreamChunk

pytestmark = pytest.mark.usefixtures("either_core")

PORT, MS = 20000, 1_000_000
FORMATS = {Codec.PCMA: (8, 160), Codec.G722: (9, 160), Codec.GSM: (3, 33)}


def payload(number: int, size: int) -> bytes:
    return bytes([number % 200 + 1, number // 200 + 1]) + bytes((number + n) % 200 + 1 for n in range(size - 2))


class Ear:
    """Hears one stream as the live feed does: what the engine still holds, and what leaves it before it was heard."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.after = engine, 0
        self.heard: list[StreamChunk] = []

    def listen(self, now_ns: int) -> None:
        for _, chunk in self.engine.listen([PORT], [self.after], now_ns):
            self.take(chunk)

    def take(self, chunk: StreamChunk) -> None:
        if (rest := later(chunk, self.after)) is not None:
            assert rest.position_samples >= self.after
            self.after = rest.end_samples
            self.heard.append(rest)


def pieces(chunks: list[StreamChunk]) -> list[bytes]:
    """Of packets their bytes, of others each 20 ms."""
    found = []
    for chunk in chunks:
        if chunk.frames is None:
            data = chunk.payload.tobytes()
            found += [data[n : n + 160] for n in range(0, len(data), 160)]
            continue
        edges = np.concatenate([[0], np.cumsum(chunk.frames.size)])
        found += [chunk.payload[a:b].tobytes() for a, b in pairwise(edges)]
        assert (chunk.frames.begin >= 0).all() and (chunk.frames.begin + chunk.frames.duration <= chunk.samples).all()
    return found


@settings(max_examples=20, deadline=None)
@given(
    codec=st.sampled_from(list(FORMATS)),
    seed=st.integers(0, 2**32),
    bad=st.sampled_from([0.0, 0.0, 0.05, 0.3]),
    every=st.integers(1, 20),
)
def test_each_packet_is_heard_once(codec: Codec, seed: int, bad: float, every: int) -> None:
    engine = Engine(max_streams=2, reorder_ms=200, flush_interval_s=1.0)
    number_of, size = FORMATS[codec]
    engine.add(PORT, "c" * 32, 0, [MediaFormat(number_of, codec)], 0)
    ear, chance, left = Ear(engine), random.Random(seed), []
    delayed: list[list[Packet]] = [[], [], [], []]
    sent: dict[int, bytes] = {}
    for number in range(240):
        if number > 3 and chance.random() < bad:
            pass  # lost
        else:
            late = chance.randrange(1, 4) if number > 3 and chance.random() < bad else 0
            data = rtp(number, number * 160, payload(number, size), pt=number_of)
            delayed[late].append(Packet(data, PORT))
            sent[number] = payload(number, size)
        due, *delayed = [*delayed, []]
        now_ns = (number + 1) * 20 * MS
        if due:
            engine.process(block_of([Packet(p.data, PORT, (number + 1) * 20) for p in due]))
        for chunk in engine.flush(now_ns):
            ear.take(chunk)
            left.append(chunk)
        if number % every == 0:
            ear.listen(now_ns)
            if not bad:
                assert ear.after == (number + 1) * 160, "at once"
            elif number > 20:
                assert ear.after >= (number + 1) * 160 - 1600 - 13 * 160, "what is missing is waited for, not longer"
    for due in delayed:
        engine.process(block_of([Packet(p.data, PORT, 4820) for p in due])) if due else None
    for chunk in engine.finish(PORT):
        ear.take(chunk)
        left.append(chunk)
    number_of_piece = {piece: number for number, piece in sent.items()}
    heard, given_on = ([number_of_piece[p] for p in pieces(c) if p in number_of_piece] for c in (ear.heard, left))
    assert heard == sorted(sent), "each once, in order; none came later than is waited for"
    assert given_on == heard, "and the engine gives all of it to others as well"
