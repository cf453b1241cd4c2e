"""Many calls on a virtual clock: what is given up in which order, and given back; a scripted engine, no real time."""

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from scripted_engine import LevelEngine, LoudVoice, name, say, talk

from agent.model.call import Role
from agent.transcribe.engine import ENGINE_RATE, Capabilities
from agent.transcribe.live.events import LiveEnded, LiveEvent, LiveForgotten, LiveSwitched, LiveText, Why
from agent.transcribe.live.ladder import RUNGS
from agent.transcribe.live.schedule import LiveState, Schedule

TICK_S = 0.1
PACKET = int(TICK_S * 8000)


@dataclass
class Box:
    """A box whose workers take `cost` seconds for a window of so many seconds."""

    cost: Callable[[float], float]
    workers: int = 2
    language: str | None = "fr"
    now: float = 0.0
    told: list[tuple[float, LiveEvent]] = field(default_factory=list)
    states: list[LiveState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = LevelEngine(self.workers)
        self.schedule = Schedule(LoudVoice, self.language)
        self.schedule.use(Capabilities("cpu", "none", self.workers), None)
        self.running: list = []
        self.number = itertools.count()
        self.order: list[tuple[str, int]] = []

    def tick(self, sounds: Iterable[tuple[str, int, Role, int, np.ndarray]]) -> None:
        """A tenth of a second: sound comes, windows are finished and begun."""
        self.now += TICK_S
        while self.running and self.running[0][0] <= self.now:
            at, _, job = heapq.heappop(self.running)
            spoken = None if job.window.language else self.engine.detect_language(job.window.pcm16k)
            language = spoken.language if spoken else job.window.language
            heard = self.engine.transcribe_window(job.window.pcm16k, language, job.window.prefix)
            self.tell(self.schedule.done(job, heard, spoken, at))
            self.begin(at)
        for call, channel, party, position, pcm in sounds:
            self.tell(self.schedule.hear(call, channel, party, position, pcm, self.now))
        self.tell(self.schedule.look(self.now))
        self.begin(self.now)
        self.states.append(self.schedule.state(self.now))

    def begin(self, at: float) -> None:
        while len(self.running) < self.workers and (job := self.schedule.next(at)) is not None:
            self.order.append((job.call, job.channel))
            done = at + self.cost(len(job.window.pcm16k) / ENGINE_RATE)
            heapq.heappush(self.running, (done, next(self.number), job))

    def tell(self, events: list[LiveEvent]) -> None:
        self.told += ((self.now, event) for event in events)

    def play(self, calls: dict[str, dict[int, tuple[Role, np.ndarray]]], seconds: float) -> None:
        """Calls in real time, all from the present on; `calls[call][channel]` is who it is and what is said."""
        start = round(self.now / TICK_S)
        for n in range(round(seconds / TICK_S)):
            at = (start + n) * PACKET
            sounds = []
            for call, channels in calls.items():
                for channel, (party, pcm) in channels.items():
                    piece = pcm[n * PACKET : (n + 1) * PACKET]
                    sounds.append((call, channel, party, at, piece if len(piece) else np.zeros(PACKET, np.int16)))
            self.tick(sounds)

    @property
    def state(self) -> LiveState:
        return self.states[-1]

    def texts(self, call: str, channel: int = 0, stable: bool = True) -> list[LiveText]:
        mine = (e for _, e in self.told if isinstance(e, LiveText) and (e.call, e.channel) == (call, channel))
        return [e for e in mine if e.stable == stable]

    def words(self, call: str, channel: int = 0) -> list[str]:
        return [w.text for e in self.texts(call, channel) for w in e.words]

    def lags(self, since: float = 0.0) -> list[float]:
        stable = ((at, e) for at, e in self.told if isinstance(e, LiveText) and e.stable and at >= since)
        return sorted(at - w.end_s for at, e in stable for w in e.words)


def cheap(_: float) -> float:
    return 0.05


def dialogue(seconds: float, calls: int, shift_s: float = 0.7) -> dict[str, dict[int, tuple[Role, np.ndarray]]]:
    """Calls of a customer and an agent who take turns of 4 s, with a second between, each call a little later."""
    return {
        f"call{n:02}": {
            channel: (party, say([w for t in turns(seconds, 0.5 + n * shift_s + channel * 5) for w in t], seconds))
            for channel, party in enumerate((Role.CUSTOMER, Role.AGENT))
        }
        for n in range(calls)
    }


def turns(seconds: float, first_s: float) -> list[list[tuple[int, float, float]]]:
    starts = np.arange(first_s % 10, seconds - 5, 10)
    return [talk(float(at), float(at) + 4.0, first=int(at) % 40) for at in starts]


def calls_of_everyone(seconds: float, calls: int) -> dict[str, dict[int, tuple[Role, np.ndarray]]]:
    """Everyone speaks all the time."""
    pcm = say(talk(0.2, seconds), seconds)
    return {f"call{n:02}": {0: (Role.CUSTOMER, pcm), 1: (Role.AGENT, pcm)} for n in range(calls)}


# ---- all is well -----------------------------------------------------------------------------------------------------


def test_a_word_is_stable_within_two_steps_while_there_is_room() -> None:
    box = Box(cheap)
    box.play(dialogue(60, 2), 62)
    said = [name(n) for turn in turns(60, 0.5) for n, _, _ in turn]
    assert box.words("call00") == said and len(said) >= 50
    assert box.lags()[int(0.95 * len(box.lags()))] < 2.0
    assert {s.rung for s in box.states} == {"full"} and not box.schedule.strained
    assert not [e for _, e in box.told if isinstance(e, LiveSwitched)]


def test_events_are_numbered_so_that_the_last_revision_counts() -> None:
    box = Box(cheap)
    box.play(dialogue(40, 1), 42)
    shown: dict[int, LiveText] = {}
    for _, event in box.told:
        if isinstance(event, LiveText) and event.channel == 0:
            before = shown.get(event.seq)
            assert before is None or (not before.stable and event.rev == before.rev + 1)
            assert before is not None or event.rev == 0
            assert event.seq in (max(shown, default=-1), max(shown, default=-1) + 1)
            assert not event.words or (event.start, event.end) == (
                int(event.words[0].start_s * 8000), int(event.words[-1].end_s * 8000),
            )  # fmt: skip
            shown[event.seq] = event
    assert all(e.stable or not e.words for e in shown.values()), "no guess is left standing"
    assert any(e.rev > 0 for e in shown.values())


def test_silence_is_no_work() -> None:
    box = Box(cheap)
    box.play({"quiet": {0: (Role.CUSTOMER, np.zeros(8000 * 60, np.int16))}}, 60)
    assert box.engine.windows == [] and box.state.windows == 0 and box.state.use == 0.0


def test_a_language_is_detected_once_a_channel_where_none_is_said() -> None:
    box = Box(cheap, language=None)
    asked: list[int] = []
    detect = box.engine.detect_language
    box.engine.detect_language = lambda pcm: asked.append(len(pcm)) or detect(pcm)  # type: ignore[func-returns-value]
    box.schedule.speaks("call01", "en")
    box.play(dialogue(40, 2), 42)
    assert len(asked) == 2 and min(asked) >= 2 * ENGINE_RATE, "once for each channel of the other call"


# ---- ends, pauses, failures ------------------------------------------------------------------------------------------


def test_a_call_s_last_words_are_told_and_then_it_is_gone() -> None:
    box = Box(cheap)
    box.play({"short": {0: (Role.CUSTOMER, say(talk(0.5, 2.1), 2.1))}}, 2.1)
    box.schedule.end("short", box.now)
    assert not box.schedule.empty
    for _ in range(10):
        box.tick([])
    assert box.words("short") == [name(n) for n in range(4)] and box.schedule.empty
    assert [event for _, event in box.told if isinstance(event, LiveEnded)] == [LiveEnded("short")]
    assert isinstance(box.told[-1][1], LiveEnded), "after its last words"
    assert box.schedule.end("short", box.now) == [LiveEnded("short")]
    assert box.schedule.end("never heard of", box.now) == [LiveEnded("never heard of")]


def test_of_a_forgotten_stretch_nothing_is_told_and_what_was_told_is_taken_back() -> None:
    box = Box(lambda _: 0.35)
    box.play({"paused": {0: (Role.CUSTOMER, say(talk(0.5, 8.1), 4.0))}}, 4.0)
    before = len(box.told)
    box.tell(box.schedule.forget("paused", int(1.7 * 8000)))
    assert box.told[-1][1] == LiveForgotten("paused", int(1.7 * 8000))
    box.play({"other": {0: (Role.CUSTOMER, np.zeros(80, np.int16))}}, 3.0)
    later = [e for _, e in box.told[before:] if isinstance(e, LiveText)]
    assert all(w.end_s <= 1.7 for e in later for w in e.words)
    assert box.words("paused")[:3] == [name(0), name(1), name(2)]
    assert box.schedule.forget("never heard of", 0) == []


def test_a_window_that_breaks_ends_nothing() -> None:
    box = Box(lambda _: 10.0)
    box.play({"call": {0: (Role.CUSTOMER, say(talk(0.5, 2.1), 2.0))}}, 2.0)
    ((_, _, job),) = box.running
    box.running, box.cost = [], cheap
    box.tell(box.schedule.fail(job, box.now))
    box.play({"call": {0: (Role.CUSTOMER, say(talk(0.1, 2.1, first=10), 4.0))}}, 4.0)
    assert box.state.failed == 1 and set(box.words("call")) >= {name(11), name(12)}


# ---- too many calls (S22) --------------------------------------------------------------------------------------------


def rungs(box: Box) -> list[str]:
    return [key for key, _ in itertools.groupby(s.rung for s in box.states)]


def test_steps_are_taken_in_the_documented_order_and_back_again() -> None:
    """Four times what the box can do for a minute and a half; then one call for as long as it takes to recover."""
    box = Box(lambda window_s: 0.15 + 0.03 * window_s)
    box.play(calls_of_everyone(90, 24), 90)
    down = rungs(box)
    assert down == ["full", "step_1s", "step_2s", "customers_first", "turns_only", "calls_off"]
    assert box.schedule.strained
    off = box.state.off
    assert 0 < len(off) < 24 and off == tuple(f"call{n:02}" for n in range(24 - len(off), 24)), "the newest are off"
    switched = [e for _, e in box.told if isinstance(e, LiveSwitched)]
    assert {e.call for e in switched if not e.on and e.why is Why.OVERLOAD} >= set(off)
    before = len(box.states)
    for call in [f"call{n:02}" for n in range(1, 24)]:
        box.schedule.end(call, box.now)
    box.play(calls_of_everyone(120, 1), 120)
    box.states = box.states[before:]
    assert rungs(box)[-5:] == ["turns_only", "customers_first", "step_2s", "step_1s", "full"]
    assert not box.schedule.strained and box.state.off == ()


def test_live_text_stays_within_five_seconds_at_four_times_the_load() -> None:
    box = Box(lambda window_s: 0.1 + 0.02 * window_s)
    box.play(dialogue(120, 48, shift_s=0.31), 122)
    late = box.lags(since=60.0)
    assert box.schedule.strained and len(late) > 200
    turn_s = 5.0  # at turns_only a word waits for the end of its turn
    assert late[int(0.95 * len(late))] <= 5.0 + turn_s
    assert box.state.late_p95_s <= 5.0


def test_one_window_a_channel_at_most_however_late_the_box() -> None:
    box = Box(lambda _: 3.0, workers=1)
    box.play(calls_of_everyone(30, 3), 30)
    assert len(box.running) <= 1 and box.state.coalesced > 10
    assert len(box.schedule._running) <= 1


def test_the_customer_goes_first_once_that_rung_is_reached() -> None:
    """An agent has waited longer than the customer, who is on the second channel."""
    first: dict[str, str] = {}
    for rung in RUNGS:
        box = Box(cheap, workers=0)
        box.schedule._ladder.level = RUNGS.index(rung)
        speech = say(talk(0.2, 4.0), 4.0)
        for at, channel, party in ((0, 0, Role.AGENT), (800, 1, Role.CUSTOMER)):
            box.schedule.hear("call", channel, party, 0, speech, at / 8000)
            box.schedule.hear("call", channel, party, len(speech), np.zeros(8000, np.int16), at / 8000)
        job = box.schedule.next(1.0)
        assert job is not None
        first[rung.name] = "customer" if job.channel == 1 else "agent"
    assert first == {
        "full": "agent", "step_1s": "agent", "step_2s": "agent",
        "customers_first": "customer", "turns_only": "customer",
    }  # fmt: skip


def test_no_guess_is_made_when_turns_are_all_there_is_room_for() -> None:
    box = Box(cheap)
    box.schedule._ladder.level = len(RUNGS) - 1
    box.play({"call": {0: (Role.CUSTOMER, say(talk(0.2, 6.0), 6.0))}}, 5.0)
    assert box.engine.windows == []
    box.play({"call": {0: (Role.CUSTOMER, np.zeros(8000, np.int16))}}, 1.0)
    assert len(box.engine.windows) == 1 and box.words("call") and not box.texts("call", stable=False)


def test_a_call_that_begins_while_others_are_off_is_off_too_and_says_so() -> None:
    box = Box(lambda window_s: 0.15 + 0.03 * window_s)
    box.play(calls_of_everyone(60, 24), 60)
    assert box.state.off
    box.tick([("late", 0, Role.CUSTOMER, 0, np.zeros(800, np.int16))])
    assert box.told[-1][1] == LiveSwitched("late", False, Why.OVERLOAD) and "late" in box.state.off
    box.schedule.end("late", box.now)
    box.tick([])
    assert "late" not in box.state.off


def test_a_guess_of_a_call_that_is_switched_off_is_taken_back() -> None:
    box = Box(lambda window_s: 0.15 + 0.03 * window_s)
    box.play(calls_of_everyone(60, 24), 60)
    for call in box.state.off:
        for channel in (0, 1):
            mine = [e for _, e in box.told if isinstance(e, LiveText) and (e.call, e.channel) == (call, channel)]
            assert not mine or mine[-1].stable or not mine[-1].words


def test_final_texts_do_not_wait_once_there_is_no_call_any_more() -> None:
    """Nobody looks at the clock then: what was strained must not stay so."""
    box = Box(lambda window_s: 0.15 + 0.03 * window_s)
    box.play(calls_of_everyone(30, 24), 30)
    assert box.schedule.strained
    for n in range(24):
        box.schedule.end(f"call{n:02}", box.now)
    for _ in range(100):
        if not box.schedule.empty:
            box.tick([])
    assert box.schedule.empty and not box.schedule.strained


def test_a_call_that_is_abandoned_begins_anew_and_is_not_ended_by_what_was_under_way() -> None:
    box = Box(lambda _: 3.0, workers=1)
    box.play({"again": {0: (Role.CUSTOMER, say(talk(0.5, 8.1), 8.1))}}, 3.0)
    box.tell(box.schedule.abandon("again"))
    assert isinstance(box.told[-1][1], LiveEnded) and box.schedule.empty
    before = len(box.told)
    box.play({"again": {0: (Role.CUSTOMER, say(talk(0.5, 2.1, first=20), 9.0))}}, 9.0)
    after = [event for _, event in box.told[before:]]
    assert not [event for event in after if isinstance(event, LiveEnded)]
    assert [w.text for e in after if isinstance(e, LiveText) and e.stable for w in e.words] == [
        name(n) for n in range(20, 24)
    ]
