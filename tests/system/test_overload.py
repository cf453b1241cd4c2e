"""More live calls than the box can transcribe (S22): live text goes in the documented order, the recording does not."""

import asyncio
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from alone import Alone
from running_site import wait_for
from scripted_engine import LevelEngine, LoudVoice, say, talk
from working import Reader, settle

from agent.capture.format import RecordKind
from agent.config import Endpoint
from agent.control.client import watch
from agent.media.g711 import encode
from agent.model.call import Codec
from agent.model.purpose import ArtifactKind
from agent.model.text import Word
from agent.probe import ProbeCall
from agent.scribe.engineroom import EngineRoom
from agent.scribe.live import Live
from agent.scribe.loop import Scribe
from agent.store.journal import Journal, read
from agent.transcribe.engine import Heard

CALLS, SECONDS = 12, 24.0
WORDS = tuple(a + b + "k" for a in "bdfglmnp" for b in "aeiou")
"""None of them is a number: the guard is to hear nothing."""
WINDOW_S = 1.0
"""What one window takes: one worker could do one call."""


class SlowEngine(LevelEngine):
    """Takes its time."""

    def transcribe_window(self, pcm16k: np.ndarray, language: str, prefix: Sequence[Word]) -> Heard:
        time.sleep(WINDOW_S)
        return super().transcribe_window(pcm16k, language, prefix)


def transcripts(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many texts of evidence a scribe that comes to these calls makes."""
    folder = alone.settings.identities_dir
    folder.mkdir(parents=True, exist_ok=True)
    identity = folder / f"{time.time_ns()}.age-identity"
    identity.write_text(alone.identity.secret + "\n")
    identity.chmod(0o600)
    monkeypatch.setattr(EngineRoom, "engine", lambda _: Reader("reader", "bonjour madame"))
    monkeypatch.setattr(Live, "follow", lambda *_: None)
    scribe = Scribe(alone.settings, threading.Event())
    settle(scribe, 40 * CALLS)
    made = [a for a in scribe.catalog.artifacts(purpose="evidence") if a.kind is ArtifactKind.TRANSCRIPT]
    return len({a.call_id for a in made})


@pytest.mark.slow
def test_s22_live_text_is_given_up_in_order_no_audio_is_lost_and_every_call_gets_its_text(
    tmp_path, run_story, monkeypatch
) -> None:
    alone = Alone(tmp_path / "site")
    alone.site.config.write_text(alone.site.config.read_text() + "\n[guard]\nenabled = true\n")
    settings = alone.site.settings
    engine = SlowEngine(1, WORDS)
    live = Live(settings, lambda: engine, bytes(32), LoudVoice, Journal(settings.journal_dir, "scribe", time.time_ns))
    turns = [word for start in np.arange(1.0, SECONDS - 4, 4.0) for word in talk(start, start + 3.0)]
    said = say(turns, SECONDS)
    rungs: list[str] = []
    switched: list[bool] = []
    unguarded: set[str] = set()

    async def follow() -> None:
        async for news in watch(settings.scribe_socket, of="scribe"):
            if news["news"] == "live":
                switched.append(news["on"])

    async def look() -> None:
        while True:
            rung = live.room.state.live.rung
            rungs.extend([rung] if rungs[-1:] != [rung] else [])
            unguarded.update(live._stats()["guard"]["off"])
            await asyncio.sleep(0.1)

    async def call(target: Endpoint) -> None:
        async with ProbeCall(target) as one:
            await one.invite()
            await one.speak((said, np.roll(said, 16000)))
            await one.bye()

    async def story() -> None:
        target = Endpoint(transport="udp", host="127.0.0.1", port=alone.site.sip_port)
        beside = [asyncio.create_task(follow()), asyncio.create_task(look())]
        await asyncio.gather(*(call(target) for _ in range(CALLS)))
        for task in beside:
            task.cancel()

    with alone.running():
        live.start()
        try:
            live.follow(settings.purposes())
            wait_for("the recorder to have a listener", lambda: alone.site.events("live.connected"))
            run_story(story())
            wait_for("all calls to end", lambda: len(alone.site.events("call.ended")) == CALLS)
        finally:
            live.stop()
    order = ["full", "step_1s", "step_2s", "customers_first", "turns_only", "calls_off"]
    assert rungs[: len(order)] == order
    assert False in switched, "which calls lost their live text is told"
    said_so = [line.call_id for line in read(settings.journal_dir) if line.kind == "guard.off"]
    assert unguarded and unguarded <= set(said_so), "and who is not guarded meanwhile"
    assert transcripts(alone, monkeypatch) == CALLS, "every call gets its final text"
    records = alone.said()
    assert len(records) == CALLS
    whole = encode(said, Codec.PCMA).tobytes()
    for mine in records.values():
        streams = sorted({stream for kind, stream, _, _ in mine if kind is RecordKind.MEDIA})
        kept = [b"".join(c for k, s, _, c in mine if k is RecordKind.MEDIA and s == stream) for stream in streams]
        assert any(whole in sound for sound in kept), "every sample of what the customer said"
