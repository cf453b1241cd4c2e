"""What the capture tests share: purposes, a sink that remembers, and stretches of media that know where they lie."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from agent.model.call import Codec
from agent.model.gate import GateMark
from agent.model.media import StreamChunk
from agent.model.purpose import ArtifactKind, Decision, KeepFrom, Purpose, Trigger

CALL = "00112233445566778899aabbccddeeff"


def purpose(
    name: str, trigger: Trigger, keep_from: KeepFrom, artifacts: tuple[ArtifactKind, ...], **more: object
) -> Purpose:
    return Purpose(name, trigger, artifacts, (), None, keep_from=keep_from, **more)


AUDIO = (ArtifactKind.AUDIO,)
PURPOSES = {
    "training": purpose("training", Trigger.ALL, KeepFrom.START, AUDIO),
    "analytics": purpose("analytics", Trigger.ALL, KeepFrom.START, AUDIO),
    "evidence": purpose("evidence", Trigger.ON_DEMAND, KeepFrom.START, AUDIO),
    "contract": purpose("contract", Trigger.ON_DEMAND, KeepFrom.PRESS, AUDIO),
    "asked": purpose("asked", Trigger.ALL, KeepFrom.START, AUDIO, consent=True),
    "binding": purpose("binding", Trigger.ON_DEMAND, KeepFrom.START, AUDIO, consent=True, withdrawable=False),
    "long": purpose("long", Trigger.ALL, KeepFrom.START, AUDIO, holdback_s=55 / 8000),
    "ears": purpose("ears", Trigger.ALL, KeepFrom.START, (), live=True),
    "late-ears": purpose("late-ears", Trigger.ALL, KeepFrom.START, (), live=True, holdback_s=80 / 8000),
    "agreed-ears": purpose("agreed-ears", Trigger.ALL, KeepFrom.START, (), live=True, consent=True),
    "assistance": purpose("assistance", Trigger.ALL, KeepFrom.START, ()),
}


@dataclass
class Memory:
    """A sink that remembers every sample, by stream and position, in the order given."""

    marks: list[GateMark] = field(default_factory=list)
    chunks: list[StreamChunk] = field(default_factory=list)

    def media(self, chunk: StreamChunk) -> None:
        assert len(chunk.payload) > 0
        expected = np.arange(chunk.position_samples, chunk.end_samples) % 251
        assert np.array_equal(chunk.payload, expected), "a sample was moved"
        self.chunks.append(chunk)

    def mark(self, mark: GateMark) -> None:
        self.marks.append(mark)

    def samples(self, stream: int = 0) -> list[int]:
        return [p for c in self.chunks if c.stream == stream for p in range(c.position_samples, c.end_samples)]


def stretch(start: int, end: int, stream: int = 0, lost: int = 0) -> StreamChunk:
    """Samples whose value says their position."""
    payload = (np.arange(start, end) % 251).astype(np.uint8)
    return StreamChunk(CALL, stream, Codec.PCMA, start, payload, lost)


@pytest.fixture
def purposes() -> dict[str, Purpose]:
    return dict(PURPOSES)


@pytest.fixture
def memory() -> type[Memory]:
    return Memory


@pytest.fixture
def media() -> Callable[..., StreamChunk]:
    return stretch


@pytest.fixture
def decide() -> Callable[..., tuple[Decision, ...]]:
    """All named purposes apply; with `waits` those that need consent wait for it, with `applies` false none applies."""

    def build(*names: str, waits: bool = False, applies: bool = True) -> tuple[Decision, ...]:
        asked = {name: waits and PURPOSES[name].consent for name in names}
        return tuple(
            Decision(name, applies and not asked[name], PURPOSES[name].trigger, "rule", asked[name]) for name in names
        )

    return build
