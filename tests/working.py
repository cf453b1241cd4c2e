"""A scribe at work under test: run until idle, killed at any write, and what its readers open afterwards."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.model.artifact import Delivery
from agent.model.text import Segment, Word
from agent.scribe import keyring, outbox
from agent.scribe.kept import Kept
from agent.scribe.loop import Scribe
from agent.store.catalog import Catalog
from agent.store.corrections import Corrections
from agent.store.journal import Journal, read
from agent.store.rewrites import Rewrites
from agent.transcribe.engine import Spoken
from agent.vault import age

CALL = "0192f0a0" + "0" * 23 + "1"
OTHER = "0192f0a0" + "0" * 23 + "2"


def run(site, rounds: int = 50) -> Scribe:
    """Start a scribe on the site and let it work until it is idle."""
    scribe = Scribe(site.settings, threading.Event())
    settle(scribe, rounds)
    return scribe


def settle(scribe: Scribe, rounds: int = 50) -> None:
    for _ in range(rounds):
        if not scribe.step():
            return
    raise AssertionError("the scribe never came to rest")


def opened(site, name: str, reader: str | None = None) -> bytes:
    """An artifact opened with its reader's key by pyrage."""
    return age.decrypt(site.outbox()[name].read_bytes(), site.readers[reader or name.split("/", maxsplit=1)[0]].secret)


def channels(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.audio[0].rate == 8000
        frames = [f.to_ndarray().reshape(-1, f.layout.nb_channels).T for f in container.decode(audio=0)]
    return np.concatenate(frames, axis=1)


def manifest(site, name: str) -> dict:
    document = json.loads(opened(site, name))
    return document.get("body", document)


def tones(seconds: float, channels: int = 2) -> list[np.ndarray]:
    time = np.arange(int(seconds * 8000)) / 8000
    return [(9000 * np.sin(2 * np.pi * (300 + 200 * n) * time)).astype(np.int16) for n in range(channels)]


def lines(site, kind: str) -> list:
    return [line for line in read(site.settings.journal_dir) if line.kind == kind]


class Reader:
    """An engine that reads what it is told to from any stretch it is given, a word every half second."""

    test_only, only_language, digest = False, None, "ab" * 32

    def __init__(self, name: str, text: str) -> None:
        self.name, self.model, self.text = name, f"{name}-model", text

    def detect_language(self, pcm16k: np.ndarray) -> Spoken | None:
        return Spoken("fr", 0.9, len(pcm16k) / 16000)

    def transcribe(self, pcm16k: np.ndarray, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        length = len(pcm16k) / 16000
        starts = [(n, offset_s + n / 2) for n in range(len(self.text.split())) if n / 2 + 0.4 <= length]
        words = tuple(Word(self.text.split()[n], at, at + 0.4, 0.9) for n, at in starts)
        if not words:
            return ()
        said = " ".join(w.text for w in words)
        return (Segment(channel, words[0].start_s, words[-1].end_s, said, words),)


class Killed(BaseException):
    """Stands for the death of the process: nothing in the code may catch it."""


WRITES: list[tuple[object, str]] = [
    (outbox, "write"),
    (Journal, "append"),
    (Catalog, "add_artifact"),
    (Catalog, "defer"),
    (Catalog, "clear_deferred"),
    (Catalog, "set_state"),
    (Catalog, "set_cursor"),
    (keyring.keys, "destroy"),
    (Kept, "copy"),
    (Corrections, "keep"),
    (Corrections, "turn"),
    (Corrections, "withdraw"),
    (Catalog, "mark_local_deleted"),
    (Rewrites, "turn"),
    (Rewrites, "note_written"),
]


@contextmanager
def dying_at(moment: int, *, after: bool) -> Iterator[list[int]]:
    """Every durable step counted; the one numbered `moment` dies just before or just after its effect."""
    count = [0]

    def wrap(real: Callable[..., object]) -> Callable[..., object]:
        def step(*a: object, **k: object) -> object:
            count[0] += 1
            if count[0] == moment and not after:
                raise Killed
            result = real(*a, **k)
            if count[0] == moment:
                raise Killed
            return result

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in WRITES:
            patch.setattr(owner, name, wrap(getattr(owner, name)))
        yield count


CARD = (12000, 20000)
"""The masked span, in samples; it holds a marked signal."""


def marked() -> list[np.ndarray]:
    """Two channels; the first has noise in the span that is nowhere else."""
    pcm = tones(4)
    pcm[0][13600:14400] = np.random.default_rng(9).integers(-9000, 9000, 800)
    return pcm


def greffier(site, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(site.config)], env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def mask(site, *more: str, status: int = 0) -> str:
    return greffier(site, "mask", CALL, "--from", "1.5", "--to", "0:02.5", "--reason", "card", *more, status=status)


def sent(site, *endings: str, purpose: str = "evidence") -> None:
    """As if the courier had delivered these artifacts of a purpose."""
    catalog = Catalog(site.settings.catalog_path)
    for a in catalog.artifacts(call_id=CALL, purpose=purpose):
        if any(a.path.endswith(f"{e}.age") for e in endings):
            assert catalog.corrections.claim(a.artifact_id, 1)
            catalog.set_delivery(a.artifact_id, Delivery.SENT, time.time_ns())


def recorded(make_site, window: str = "1 h", **how: object):
    site = make_site("pocketsphinx", window=window)
    taped = site.tape(CALL, marked(), keep_at=0, **how)
    return site, taped, run(site)
