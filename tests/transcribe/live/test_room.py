"""The room with its threads: every engine, real speech through G.711, and doors that never make anyone wait."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scripted_engine import LevelEngine, LoudVoice, name, say, talk

from agent.media import g711
from agent.model.call import Codec, Role
from agent.transcribe.device import Device
from agent.transcribe.engine import Engine, EngineError
from agent.transcribe.live.events import LiveEnded, LiveEvent, LiveText
from agent.transcribe.live.room import MOST_WAITING, LiveRoom
from agent.transcribe.live.voice import Silero
from agent.transcribe.models import add
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.whisper import WhisperEngine

PATIENCE_S = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@contextmanager
def listening(
    engine: Engine | None, voice=LoudVoice, language: str | None = "fr"
) -> Iterator[tuple[LiveRoom, list[LiveEvent]]]:
    told: list[LiveEvent] = []
    room = LiveRoom(lambda: engine, told.append, language, voice)
    room.start()
    if engine is not None:
        until(lambda: room.state.ready)
    try:
        yield room, told
    finally:
        room.stop()


def play(room: LiveRoom, sounds: dict[int, np.ndarray], stride: int = 4000) -> None:
    """A call of a customer (channel 0) and an agent (1), as fast as the room follows: a stride, then what is due."""
    for start in range(0, max(map(len, sounds.values())), stride):
        for channel, pcm in sounds.items():
            for at in range(start, min(start + stride, len(pcm)), 160):
                room.hear("c", channel, Role.AGENT if channel else Role.CUSTOMER, at, pcm[at : at + 160])
        until(lambda: settled(room))
    room.end("c")
    until(lambda: over(room))


def settled(room: LiveRoom) -> bool:
    with room._lock:
        return not (room._waiting or room._hand or room._schedule._running) and all(
            line.due_at is None for line in room._schedule._lines()
        )


def over(room: LiveRoom) -> bool:
    with room._door:
        queued = room._waiting or room._hand
    return not queued and room.state.live.calls == 0


def words(told: list[LiveEvent], channel: int = 0) -> list[str]:
    return [w.text for e in told if isinstance(e, LiveText) and e.stable and e.channel == channel for w in e.words]


def test_both_channels_are_told_apart() -> None:
    with listening(LevelEngine(2)) as (room, told):
        play(room, {0: say(talk(0.5, 4.1), 6.0), 1: say(talk(0.5, 2.1, first=20), 6.0)})
        assert words(told, 0) == [name(n) for n in range(9)] and words(told, 1) == [name(n) for n in range(20, 24)]
        assert {e.party for e in told if isinstance(e, LiveText) and e.channel == 1} == {Role.AGENT}
        assert not room.busy and room.state.dropped == 0


def test_without_an_engine_nothing_is_kept() -> None:
    with listening(None) as (room, told):
        play_now(room, say(talk(0.5, 4.1), 6.0))
        room.end("c")
        assert told == [LiveEnded("c")] and room._samples == 0 and not room.state.ready


def test_an_engine_that_breaks_ends_no_thread() -> None:
    class Breaks(LevelEngine):
        def transcribe_window(self, pcm16k, language, prefix):
            self.windows.append(1.0)
            if len(self.windows) == 1:
                raise EngineError("no memory")
            if len(self.windows) == 2:
                raise IndexError("a surprise")
            return super().transcribe_window(pcm16k, language, prefix)

    with listening(Breaks()) as (room, told):
        play(room, {0: say([*talk(0.5, 1.3), *talk(3.0, 3.8), *talk(6.0, 7.6, first=10)], 9.0)})
        assert room.state.live.failed == 2 and words(told)[-4:] == [name(n) for n in (10, 11, 12, 13)]


def test_a_door_never_waits_and_drops_what_is_too_much() -> None:
    """The engine's answer is held back: doors must not be."""
    go_on = threading.Event()

    class Stuck(LevelEngine):
        def transcribe_window(self, pcm16k, language, prefix):
            go_on.wait(PATIENCE_S)
            return super().transcribe_window(pcm16k, language, prefix)

    with listening(Stuck()) as (room, _):
        with room._lock:  # whoever tells or listens is at a standstill
            for n in range(3 * MOST_WAITING // 8000):
                room.hear("c", 0, Role.CUSTOMER, n * 8000, np.full(8000, 9000, np.int16))
        dropped = room.state.dropped
        assert MOST_WAITING <= dropped <= 2 * MOST_WAITING and room._samples <= MOST_WAITING
        go_on.set()
        room.end("c")
        until(lambda: over(room))


def test_what_waits_at_the_door_is_forgotten_too() -> None:
    with listening(LevelEngine()) as (room, told):
        pcm = say(talk(0.5, 8.1), 8.0)
        with room._lock:
            play_now(room, pcm)
            forget = threading.Thread(target=room.forget, args=("c", 16000))
            forget.start()
        forget.join()
        told.clear()  # what was told before counts as taken back
        room.end("c")
        until(lambda: over(room))
        assert all(w.end_s <= 2.0 for e in told if isinstance(e, LiveText) for w in e.words)


def play_now(room: LiveRoom, pcm: np.ndarray) -> None:
    for at in range(0, len(pcm), 160):
        room.hear("c", 0, Role.CUSTOMER, at, pcm[at : at + 160])


def test_real_words_from_a_telephone(speech) -> None:
    """PocketSphinx with real speech through G.711 and the real voice detector."""
    pcm = speech("jfk.flac")[: 8000 * 6]
    pcm = g711.decode(g711.encode(pcm, Codec.PCMU), Codec.PCMU)
    with listening(SphinxEngine(), Silero) as (room, told):
        play(room, {0: pcm}, stride=8000)
    heard = words(told)
    assert len({"and", "my", "fellow", "americans", "ask", "not", "what", "country"} & set(heard)) >= 3, heard
    spans = [(w.start_s, w.end_s) for e in told if isinstance(e, LiveText) and e.stable for w in e.words]
    assert spans == sorted(spans) and spans[-1][1] <= len(pcm) / 8000


def test_a_real_model_live(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    """Random weights: what they write is meaningless, but it must be told in order, within the sound, once stable."""
    engine = WhisperEngine(add(tiny_whisper, tmp_path), Device("cpu", "int8", 2, 1, ""), tokens_per_s=4.0)
    sounds = [speech("fleurs-fr-000.flac"), speech("ohf-fr-001.flac")]
    with listening(engine, Silero, language=None) as (room, told):
        play(room, dict(enumerate(sounds)))
        state = room.state
    assert state.live.windows >= 8 and state.live.failed == 0
    assert words(told, 0)
    for channel, pcm in enumerate(sounds):
        last: dict[int, LiveText] = {}
        for event in told:
            if isinstance(event, LiveText) and event.channel == channel:
                assert event.seq not in last or not last[event.seq].stable, "a stable word never changes"
                last[event.seq] = event
        spans = [(w.start_s, w.end_s) for e in last.values() if e.stable for w in e.words]
        assert spans == sorted(spans) and all(0 <= a <= b <= len(pcm) / 8000 + 0.5 for a, b in spans)
