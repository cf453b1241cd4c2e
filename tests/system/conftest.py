"""Whole agents under test, real calls placed at them, and what their readers can open afterwards."""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from running_site import RunningSite, running_site, wait_for

from agent.config import Endpoint
from agent.media.g711 import SILENCE, decode
from agent.model.artifact import Artifact, Delivery
from agent.model.call import CLOCK_RATE, Codec
from agent.probe.sent import SentStream


def edited(text: str, section: str, **values: str | None) -> str:
    """The configuration with these keys of a section set (TOML text) or, with None, removed."""
    lines = text.splitlines()
    start = lines.index(f"[{section}]") + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("[")), len(lines))
    kept = [line for line in lines[start:end] if line.split("=")[0].strip() not in values]
    kept = [f"{key} = {value}" for key, value in values.items() if value is not None] + kept
    return "\n".join([*lines[:start], *kept, *lines[end:]]) + "\n"


@pytest.fixture(scope="session")
def edit() -> Callable[..., str]:
    """`edit(text, "purpose.evidence", trigger='"all"')`."""
    return edited


@dataclass
class Seen:
    """A site seen by those who hold the keys."""

    site: RunningSite

    def target(self, transport: str) -> Endpoint:
        """Where a gateway sends its calls."""
        return Endpoint(transport=transport, host="127.0.0.1", port=self.site.sip_port)

    def artifact(self, call_id: str, purpose: str, kind: str) -> Artifact:
        """The one artifact of this kind."""
        (found,) = [a for a in self.site.catalog().artifacts(call_id=call_id, purpose=purpose) if a.kind.value == kind]
        return found

    def opened(self, call_id: str, purpose: str, kind: str) -> bytes:
        """What `age` reads at the centre with the purpose's key, once it is delivered."""
        path = self.site.centre / self.artifact(call_id, purpose, kind).path
        wait_for(f"the {kind} at the centre", path.exists)
        plain = self.site.age_opens(purpose, path)
        assert plain is not None
        return plain

    def manifest(self, call_id: str, purpose: str) -> dict[str, Any]:
        """The signed part of a manifest."""
        body: dict[str, Any] = json.loads(self.opened(call_id, purpose, "manifest"))["body"]
        return body

    def audio(self, call_id: str, purpose: str) -> np.ndarray:
        """int16[channels, samples] at 8 kHz."""
        return self.opened_at(self.artifact(call_id, purpose, "audio").path, purpose)

    def opened_at(self, path: Path | str, purpose: str) -> np.ndarray:
        """The same of audio at this path, of the centre's folder if it is relative."""
        plain = self.site.age_opens(purpose, self.site.centre / path)
        assert plain is not None
        with av.open(io.BytesIO(plain)) as container:
            assert container.streams.audio[0].rate == CLOCK_RATE
            resampler = av.AudioResampler("s16p", container.streams.audio[0].layout.name, CLOCK_RATE)
            frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
            frames += resampler.resample(None)
        return np.concatenate([f.to_ndarray() for f in frames], axis=1)

    def wait_audio(self, call_id: str, purpose: str) -> None:
        """Until the audio of a purpose is at the centre."""

        def there() -> bool:
            found = self.site.catalog().artifacts(call_id=call_id, purpose=purpose)
            return any(a.kind.value == "audio" and (self.site.centre / a.path).exists() for a in found)

        wait_for(f"the audio of {purpose}", there, 60)

    def wait_delivered(self, call_id: str, patience_s: float = 90) -> None:
        """Until the call is finalised and nothing of it waits to be delivered."""
        self.site.wait_state(call_id, "finalised", patience_s)

        def done() -> bool:
            waiting = self.site.catalog().artifacts(call_id=call_id, delivery=Delivery.WAITING)
            return not [a for a in waiting if a.destination]

        wait_for("everything to be delivered", done, patience_s)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Seen]]:
    """`make_site(lambda text: …)`: a running agent; `name` tells several apart."""
    with ExitStack() as stack:

        def make(change: Callable[[str], str] = lambda text: text, name: str = "site") -> Seen:
            folder = tmp_path / name
            folder.mkdir()
            site = stack.enter_context(running_site(folder, edit=change))
            stack.callback(lambda: print(site.log.read_text(errors="replace")[-8000:]))  # shown when the test fails
            return Seen(site)

        yield make


def placed_at(audio: np.ndarray, sent: SentStream, codec: Codec) -> int:
    """The sample at which a sent stream begins in a channel; the test fails unless every sample of it is there."""
    whole = np.frombuffer(sent.in_order(SILENCE[codec]), np.uint8)
    expected = decode(whole, codec)
    head = expected[: CLOCK_RATE // 2].tobytes()
    at = audio.tobytes().find(head)
    while at >= 0 and at % 2:
        at = audio.tobytes().find(head, at + 1)
    assert at >= 0, "the beginning of what was sent is not in the channel"
    got = audio[at // 2 : at // 2 + len(expected)]
    assert np.array_equal(got, expected[: len(got)]) and len(got) == len(expected)
    return at // 2


@pytest.fixture(scope="session")
def find_sent() -> Callable[..., int]:
    """`find_sent(channel, sent_stream, codec)` → sample position; every byte that was sent must be there."""
    return placed_at


def every_byte_under(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every regular file's bytes below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.fixture(scope="session")
def files_under() -> Callable[[Path], Iterator[tuple[Path, bytes]]]:
    """Every file below a folder, with its bytes."""
    return every_byte_under


@pytest.fixture(scope="session")
def told() -> Callable[[str], str]:
    """Command output on one line, as a person reads it."""
    return lambda text: re.sub(r"\s+", " ", text)


@pytest.fixture(scope="session")
def run_story() -> Callable[..., Any]:
    """Run a coroutine with a limit of two minutes."""
    return lambda story: asyncio.run(asyncio.wait_for(story, 120))
