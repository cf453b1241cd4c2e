"""One channel: what is said is told once, in order, with times; stable words stay; what is forgotten is not told."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import CUT_OFF, LevelEngine, LoudVoice, name, say, talk

from agent.model.text import Word
from agent.transcribe.engine import ENGINE_RATE, Heard
from agent.transcribe.live.channel import MOST, WINDOW, Channel, Due, Text

PACKET = 160


class Drive:
    """Plays sound into a channel and answers its windows at once."""

    def __init__(self, engine: LevelEngine | None = None, step_s: float = 0.5, language: str | None = "fr") -> None:
        self.engine = engine or LevelEngine()
        self.step_s = step_s
        self.voice = LoudVoice()
        self.channel = Channel(self.voice, language)
        self.texts: list[Text] = []

    def play(self, pcm: np.ndarray, position: int = 0, packet: int = PACKET, serve: bool = True) -> None:
        for at in range(0, len(pcm), packet):
            piece = pcm[at : at + packet]
            self.channel.hear(position + at, piece, (position + at + len(piece)) / 8000)
            if serve:
                self.serve()

    def serve(self) -> None:
        while self.channel.due(self.step_s) is not Due.NOT:
            window = self.channel.take()
            heard = self.engine.transcribe_window(window.pcm16k, window.language or "", window.prefix)
            self.texts.append(self.channel.give(window, heard))

    @property
    def decided(self) -> list[Word]:
        return [word for text in self.texts for word in text.decided]


def texts(words) -> list[str]:
    return [word.text for word in words]


def test_what_is_said_is_told_once_with_its_times() -> None:
    drive, said = Drive(), [*talk(1.0, 5.0), *talk(7.0, 9.0, first=10)]
    drive.play(say(said, 11.0))
    assert texts(drive.decided) == [name(n) for n, _, _ in said]
    for word, (_, start, end) in zip(drive.decided, said, strict=True):
        assert abs(word.start_s - start) < 0.02 and abs(word.end_s - end) < 0.02


def test_words_are_guessed_first_and_stable_before_the_turn_is_over() -> None:
    drive = Drive()
    drive.play(say(talk(0.5, 4.1), 4.1))  # still speaking
    guesses = [texts(t.guess) for t in drive.texts if t.guess]
    assert guesses and CUT_OFF in {g[-1] for g in guesses}, "a cut-off word is guessed at"
    assert CUT_OFF not in texts(drive.decided) and len(drive.decided) >= 5
    assert texts(drive.decided) == [name(n) for n in range(len(drive.decided))]


def test_silence_makes_no_window_and_holds_no_sound() -> None:
    drive = Drive()
    drive.play(np.zeros(8000 * 60, np.int16), packet=1600)
    assert drive.engine.windows == [] and drive.channel.idle
    assert drive.channel._held.end - drive.channel._held.start < ENGINE_RATE


def test_windows_are_never_longer_than_ten_seconds_in_an_endless_turn() -> None:
    drive, said = Drive(), talk(0.5, 60.1)
    drive.play(say(said, 62.0))
    assert max(drive.engine.windows) <= 10.0 and texts(drive.decided) == [name(n) for n, _, _ in said]


def test_an_engine_that_never_agrees_with_itself_still_gets_on() -> None:
    class Fickle(LevelEngine):
        count = 0

        def transcribe_window(self, pcm16k, language, prefix):
            Fickle.count += 1
            heard = super().transcribe_window(pcm16k, language, prefix)
            odd = [zlib.crc32(f"{w.text} {Fickle.count}".encode()) for w in heard.words]
            return replace(
                heard, words=tuple(replace(w, text=f"{w.text}-{o:x}") for w, o in zip(heard.words, odd, strict=True))
            )

    drive, said = Drive(Fickle()), talk(0.5, 40.1)
    drive.play(say(said, 42.0))
    assert [w.text.split("-")[0] for w in drive.decided] == [name(n) for n, _, _ in said]
    assert max(drive.engine.windows) <= 10.0 and drive.channel.skipped == 0


def test_an_engine_that_hears_nothing_gets_on_too() -> None:
    class Deaf(LevelEngine):
        def transcribe_window(self, pcm16k, language, prefix):
            self.windows.append(len(pcm16k) / ENGINE_RATE)
            return Heard(())

    drive = Drive(Deaf())
    drive.play(say(talk(0.5, 40.1), 42.0))
    assert drive.decided == [] and drive.channel.idle and max(drive.engine.windows) <= 10.0


def test_small_losses_keep_time_and_long_gaps_end_a_turn() -> None:
    drive, said = Drive(), talk(1.0, 3.0)
    pcm = say(said, 4.0)
    drive.play(pcm[: 8000 * 2])
    drive.play(pcm[8000 * 2 + 480 :], 8000 * 2 + 480)  # 60 ms are missing
    drive.play(say(talk(0.5, 1.3, first=20), 2.0), 8000 * 3600)
    late = [w for w in drive.decided if w.start_s > 1000]
    assert texts(late) == [name(20), name(21)] and abs(late[0].start_s - 3600.5) < 0.02
    assert {name(0), name(1), name(4)} <= set(texts(drive.decided))
    assert drive.channel.skipped == 0


def test_sound_that_comes_twice_or_late_counts_once() -> None:
    drive, pcm = Drive(), say(talk(0.5, 2.5), 4.0)
    for at in range(0, len(pcm), PACKET):
        drive.play(pcm[max(0, at - 480) : at + PACKET], max(0, at - 480), packet=8000)
    assert texts(drive.decided) == [name(n) for n in range(5)]


def test_a_box_that_never_answers_holds_thirty_seconds_at_most() -> None:
    drive = Drive()
    drive.play(say(talk(0.5, 60.1), 61.0), serve=False)
    held = drive.channel._held
    assert held.end - held.start <= MOST and drive.channel.skipped >= 25 * ENGINE_RATE
    drive.serve()
    assert drive.decided[0].start_s > 25 and drive.channel.idle


def test_a_language_is_detected_in_three_seconds_of_a_turn() -> None:
    drive = Drive(language=None)
    drive.play(say(talk(0.5, 2.5), 2.7))
    assert drive.engine.windows == []
    drive.play(say(talk(0.1, 1.0), 1.0), 8000 * 27 // 10)
    assert len(drive.engine.windows) == 1 and drive.engine.windows[0] >= 3.0


def test_a_word_that_begins_softly_is_heard_from_its_beginning() -> None:
    """The detector says voice only where it is loud."""
    pcm = say(talk(1.0, 3.0), 4.0)
    pcm[4000:8000] = 600  # from 0.5 s on, too soft for the detector
    drive = Drive(step_s=30.0)
    heard: list[tuple[float, float]] = []
    hear = drive.engine.transcribe_window

    def soft(pcm16k, language, prefix):
        loud = np.flatnonzero(np.abs(pcm16k) > 0.01)
        heard.append((loud[0] / ENGINE_RATE, len(pcm16k) / ENGINE_RATE))
        begins = Word("soft", loud[0] / ENGINE_RATE, loud[0] / ENGINE_RATE + 0.1, 0.9)
        return replace(said := hear(pcm16k, language, prefix), words=(begins, *said.words[1:]))

    drive.engine.transcribe_window = soft
    drive.play(pcm)
    assert len(heard) == 1 and drive.decided[0].text == "soft" and abs(drive.decided[0].start_s - 0.5) < 0.05


@pytest.mark.parametrize("due", [Due.STEP, Due.END])
def test_a_window_that_broke_is_not_asked_for_again(due: Due) -> None:
    drive = Drive()
    drive.play(say(talk(0.5, 2.1), 2.0 if due is Due.STEP else 4.0), serve=False)
    assert drive.channel.due(0.5) is due
    drive.channel.fail(drive.channel.take())
    assert drive.channel.due(0.5) is Due.NOT and drive.channel.idle is (due is Due.END)
    assert (drive.channel.skipped > 0) is (due is Due.END)


def test_a_turn_that_is_cut_off_is_told_when_the_call_ends() -> None:
    drive = Drive()
    drive.play(say(talk(0.5, 1.3), 1.25))
    drive.channel.close()
    drive.serve()
    assert texts(drive.decided) == [name(0), name(1)] and drive.channel.idle


# ---- forgetting ------------------------------------------------------------------------------------------------------


def test_forgotten_sound_is_wiped_and_nothing_is_told_of_it() -> None:
    drive = Drive(step_s=30.0)
    drive.play(say(talk(1.0, 4.2), 4.5))
    held = drive.channel._held.copy(1 << 40)
    pieces = list(drive.channel._held._pieces)
    assert np.abs(held).max() > 0.1
    drive.channel.forget(8000 * 2)
    wall = int((2.0 - drive.channel._held.start / ENGINE_RATE) * ENGINE_RATE)
    assert all(np.abs(piece).max() == 0.0 for piece in pieces) and drive.voice.resets == 1
    assert drive.channel._held.end <= 2 * ENGINE_RATE and wall > 0
    drive.serve()
    assert texts(drive.decided)[:2] == [name(0), name(1)] and all(w.end_s <= 2.0 for w in drive.decided)
    drive.play(say(talk(0.5, 1.3, first=30), 3.0), 8000 * 10)
    assert texts(drive.decided)[-2:] == [name(30), name(31)]


def test_a_window_under_way_when_its_sound_is_forgotten_tells_nothing() -> None:
    drive = Drive()
    drive.play(say(talk(0.5, 3.3), 3.0), serve=False)
    window = drive.channel.take()
    heard = drive.engine.transcribe_window(window.pcm16k, "fr", window.prefix)
    drive.channel.forget(8000)
    assert np.abs(window.pcm16k).max() == 0.0
    assert drive.channel.give(window, heard) == Text((), None)
    drive.serve()
    assert all(w.end_s <= 1.0 for w in drive.decided)


def test_forgetting_what_has_not_come_yet_changes_nothing() -> None:
    drive, said = Drive(), talk(0.5, 2.5)
    drive.play(say(said, 2.0))
    drive.channel.forget(8000 * 2)
    drive.play(say(said, 4.0)[16000:], 16000)
    assert texts(drive.decided) == [name(n) for n, _, _ in said] and drive.voice.resets == 0


# ---- whatever an engine says -----------------------------------------------------------------------------------------

WORDS = st.lists(
    st.builds(
        Word,
        st.sampled_from(["a", "b", "c", "A.", "", "la", "…"]),
        st.floats(-1, 4),
        st.floats(-1, 12),
        st.floats(0, 1),
    ),
    max_size=6,
)


HEAR = st.tuples(st.just("hear"), st.booleans(), st.integers(1, 20000), st.sampled_from([0, 0, 0, 500, 90000]))
SPEAK = st.tuples(st.just("hear"), st.just(True), st.integers(4500, 20000), st.just(0))
TAKE, FAIL = st.tuples(st.just("take")), st.tuples(st.just("fail"))
GIVE = st.tuples(st.just("give"), WORDS)
FORGET = st.tuples(st.just("forget"), st.integers(0, 30000))
ROUND = st.tuples(SPEAK, TAKE, GIVE).map(list)
INTERRUPTED = st.tuples(SPEAK, TAKE, FORGET, GIVE).map(list)
STEPS = st.one_of(HEAR, TAKE, GIVE, FAIL, FORGET).map(lambda step: [step])
SCRIPTS = st.lists(st.one_of(ROUND, INTERRUPTED, STEPS), max_size=20).map(
    lambda parts: [s for part in parts for s in part]
)


@given(script=SCRIPTS)
@settings(max_examples=300, deadline=None)
def test_stable_words_only_grow_in_time_and_forgotten_sound_is_never_told(script) -> None:
    channel, now, window = Channel(LoudVoice(), "fr"), 0, None
    since_s, wall = 0.0, float("inf")
    for what, *given_ in script:
        text = Text((), None)
        if what == "hear":
            loud, length, gap = given_
            now += gap
            channel.hear(now, np.full(length, 8000 if loud else 0, np.int16), now / 8000)
            wall = float("inf") if wall <= now else wall
            now += length
        elif what == "take" and window is None and channel.due(0.5) is not Due.NOT:
            window = channel.take()
            assert window.end - window.start == len(window.pcm16k) <= WINDOW
        elif what == "give" and window is not None:
            text, window = channel.give(window, Heard(tuple(given_[0]))), None
        elif what == "fail" and window is not None:
            text, window = channel.fail(window), None
        elif what == "forget":
            back = given_[0]
            channel.forget(max(0, now - back))
            wall = max(0, now - back)
            since_s = min(since_s, wall / 8000)
        for word in (*text.decided, *(text.guess or ())):
            assert since_s - 0.001 <= word.start_s <= word.end_s
            assert word.end_s <= now / 8000 + 0.001
            before_s = text.decided[-1].end_s if text.decided else since_s
            assert word.end_s <= wall / 8000 + 0.001
        if text.decided:
            since_s = before_s
