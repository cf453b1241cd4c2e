"""What follows from what, exhaustively: the light never shows *paused* unless the desk's newest answer says so."""

from dataclasses import replace
from itertools import product

import pytest
from greffier_desk.state import (
    LOOKS,
    Failure,
    Light,
    Note,
    Press,
    Reason,
    Sound,
    Standing,
    State,
    Verb,
    Wish,
    call_light,
    parse_standing,
    shown_light,
)
from greffier_desk.step import (
    ALARM_S,
    ANSWER_S,
    DOUBLE_S,
    NOTE_S,
    PRESS_S,
    RECHECK_S,
    RETRY_S,
    SLEPT_S,
    Acknowledged,
    Alerted,
    Answered,
    Ask,
    Away,
    Connected,
    Done,
    Input,
    Lost,
    News,
    PedalGone,
    Play,
    Pressed,
    Refused,
    Send,
    Tick,
    Unanswered,
    resolve,
    step,
)
from greffier_desk.words import ENGLISH, FRENCH, view_of, words_of
from hypothesis import given, settings
from hypothesis import strategies as st

SAID = [Light.NO_CALL, Light.NOT_RECORDING, Light.RECORDING, Light.PAUSED, Light.WARNING]
OWN, OTHER = frozenset({"agent"}), frozenset({"context:payment"})


def standing(light: Light, causes: frozenset[str] | None = None, call_id: str = "c1") -> Standing:
    own = OWN if light.is_closed else frozenset()
    return Standing(light, None if light is Light.NO_CALL else call_id, own if causes is None else causes)


def known(light: Light, causes: frozenset[str] | None = None) -> State:
    """Connected, and this is what the desk said last."""
    return State(connected=True, known=standing(light, causes), asked=5, numbered=5, heard=light, known_at=100.0)


def after(state: State, *happened: Input, at: float = 100.0) -> tuple[State, list[object]]:
    done: list[object] = []
    for one in happened:
        state, effects = step(state, one, at)
        done += effects
    return state, done


def verbs(done: list[object]) -> list[Verb]:
    return [effect.verb for effect in done if isinstance(effect, Send)]


def sounds(done: list[object]) -> list[Sound]:
    return [effect.sound for effect in done if isinstance(effect, Play)]


def test_every_light_has_a_look_of_its_own_and_words_in_both_languages() -> None:
    assert set(LOOKS) == set(Light)
    assert len({look.ground for look in LOOKS.values()}) == len(LOOKS)
    closed = {LOOKS[light].shape for light in Light if light.is_closed}
    assert not closed & {LOOKS[light].shape for light in Light if not light.is_closed}, "told apart without colour"
    for words in (ENGLISH, FRENCH):
        assert set(words.lights) == set(Light) and len(set(words.lights.values())) == len(Light)
        assert set(words.failed) == set(Verb) and set(words.reasons) == set(Reason) and set(words.notes) == set(Note)


def test_the_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (words_of("fr"), words_of("en")) == (FRENCH, ENGLISH)
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    assert words_of("auto") is FRENCH
    monkeypatch.setenv("LC_ALL", "C")
    assert words_of("auto") is ENGLISH


# ---- what is shown


@pytest.mark.parametrize(
    ("connected", "light", "rumour", "resuming"),
    list(product([True, False], [None, *SAID], [None, *SAID], [True, False])),
)
def test_paused_is_shown_only_when_nothing_says_otherwise(
    connected: bool, light: Light | None, rumour: Light | None, resuming: bool
) -> None:
    state = State(
        connected=connected,
        known=standing(light) if light else None,
        rumour=standing(rumour) if rumour else None,
        presses=(Press(1, Verb.RESUME, 0.0),) if resuming else (),
    )
    shown = call_light(state)
    if not connected or light is None:
        assert shown is Light.OFFLINE
    elif not light.is_closed:
        assert shown is light, "news of a pause is not shown before the desk is asked"
    elif resuming:
        assert shown is Light.RECORDING
    elif rumour is not None and not rumour.is_closed:
        assert shown is rumour
    else:
        assert shown is light
    failed = replace(state, failure=Failure(Verb.PAUSE, Reason.SILENT, None))
    assert shown_light(failed) is Light.FAILED
    if shown is Light.OFFLINE:
        assert "OFFLINE" in view_of(failed, ENGLISH, "F9", 0.0).detail, "a failure does not hide that we are offline"


@pytest.mark.parametrize("light", SAID)
@pytest.mark.parametrize("news", SAID)
def test_news_is_asked_about_and_older_answers_do_not_count(light: Light, news: Light) -> None:
    state, done = after(known(light), News(standing(news)))
    (ask,) = [effect for effect in done if isinstance(effect, Ask)]
    assert not sounds(done), "nothing is heard of what is not certain"
    stale, done = after(state, Answered(ask.number - 1, standing(Light.PAUSED)))
    assert stale == state and not done
    state, done = after(state, Answered(ask.number, standing(news)))
    assert shown_light(state) is news
    assert sounds(done) == ([LOOKS[news].sound] if news is not light and LOOKS[news].sound is not Sound.NONE else [])


@pytest.mark.parametrize("light", SAID)
@pytest.mark.parametrize(
    "lost", [Lost(Reason.UNREACHABLE), Unanswered(5, Reason.SILENT)], ids=lambda lost: type(lost).__name__
)
def test_offline_is_shown_as_nothing_else(light: Light, lost: Input) -> None:
    state, done = after(known(light), lost)
    assert (shown_light(state), sounds(done)) == (Light.OFFLINE, [Sound.OFFLINE])
    state, _ = after(state, Answered(5, standing(Light.PAUSED)), Answered(state.asked, standing(Light.PAUSED)))
    if isinstance(lost, Lost):
        assert shown_light(state) is Light.OFFLINE, "without a stream nothing is known for longer than a moment"


def test_a_question_without_an_answer_is_offline() -> None:
    state, _ = after(known(Light.PAUSED), News(standing(Light.PAUSED)))
    state, _ = after(state, Tick(), at=100 + ANSWER_S - 0.1)
    assert shown_light(state) is Light.PAUSED
    state, _ = after(state, News(standing(Light.PAUSED)), Tick(), at=100 + ANSWER_S)
    assert shown_light(state) is Light.OFFLINE, "asking again and again does not lengthen it"
    state, done = after(state, Tick(), at=100 + ANSWER_S + RETRY_S)
    assert [type(effect) for effect in done] == [Ask], "and it is asked again"


def test_a_pause_is_asked_about_again_and_a_sleep_is_noticed() -> None:
    state, done = after(known(Light.PAUSED), Tick(), at=100 + RECHECK_S - 0.1)
    assert not done
    state, done = after(state, Tick(), at=100 + RECHECK_S)
    assert [type(effect) for effect in done] == [Ask]
    state, done = after(known(Light.RECORDING), Tick(), at=100 + RECHECK_S)
    assert not done, "only a pause may mislead"
    state, _ = after(replace(known(Light.PAUSED), ticked=100.0), Tick(), at=100 + SLEPT_S + 0.1)
    assert (shown_light(state), state.why) == (Light.OFFLINE, Reason.SLEPT)


# ---- what a press means


def test_what_a_toggle_asks_for() -> None:
    wanted = {
        (Light.NO_CALL, "none"): Verb.PAUSE,
        (Light.NOT_RECORDING, "none"): Verb.PAUSE,
        (Light.RECORDING, "none"): Verb.PAUSE,
        (Light.PAUSED, "none"): Verb.RESUME,
        (Light.PAUSED, "own"): Verb.RESUME,
        (Light.PAUSED, "other"): Note.HELD_BY_OTHER,
        (Light.PAUSED, "both"): Verb.RESUME,
        (Light.WARNING, "none"): Verb.RESUME,
        (Light.WARNING, "own"): Verb.RESUME,
        (Light.WARNING, "other"): Note.HELD_BY_OTHER,
        (Light.WARNING, "both"): Verb.RESUME,
    }
    causes = {"none": frozenset(), "own": OWN, "other": OTHER, "both": OWN | OTHER}
    for (light, cause), verb in wanted.items():
        state = known(light, causes[cause])
        assert resolve(state, Wish.TOGGLE) is verb, (light, cause)
        assert resolve(state, Wish.PAUSE) is Verb.PAUSE and resolve(state, Wish.KEEP) is Verb.KEEP
        assert resolve(state, Wish.RESUME) is (verb if light.is_closed else Verb.RESUME)
        for under_way in (Verb.PAUSE, Verb.RESUME):
            waiting = replace(state, presses=(Press(1, under_way, 0.0),))
            assert resolve(waiting, Wish.TOGGLE) is Verb.PAUSE, "in doubt a pause"
    assert resolve(State(), Wish.TOGGLE) is Verb.PAUSE


def test_two_presses_in_a_moment_are_one_and_later_ones_queue() -> None:
    state, done = after(known(Light.RECORDING), Pressed(Wish.TOGGLE), Pressed(Wish.TOGGLE))
    state, more = after(state, Pressed(Wish.TOGGLE), at=100 + DOUBLE_S - 0.01)
    assert (verbs(done), more) == ([Verb.PAUSE], [])
    state, done = after(state, Pressed(Wish.TOGGLE), at=100 + 2 * DOUBLE_S)
    assert verbs(done) == [Verb.PAUSE] and len(state.presses) == 2, "what the light showed when it was pressed"
    state, done = after(state, Pressed(Wish.KEEP), at=100 + 2 * DOUBLE_S)
    assert verbs(done) == [Verb.KEEP]


def test_what_others_paused_is_said_and_not_resumed() -> None:
    state, done = after(known(Light.PAUSED, OTHER), Pressed(Wish.TOGGLE))
    assert not verbs(done) and sounds(done) == [Sound.WARNING]
    view = view_of(state, ENGLISH, "F9", 100.0)
    assert (view.light, view.detail) == (Light.PAUSED, ENGLISH.notes[Note.HELD_BY_OTHER])
    state, _ = after(state, Tick(), at=100 + NOTE_S)
    assert view_of(state, ENGLISH, "F9", 100.0).detail == "also paused by: payment"


# ---- what becomes of a press


def test_a_pause_is_shown_when_the_desk_says_so_not_before() -> None:
    state, done = after(known(Light.RECORDING), Pressed(Wish.TOGGLE))
    assert shown_light(state) is Light.RECORDING
    state, done = after(state, Done(state.numbered))
    assert shown_light(state) is Light.RECORDING and [type(effect) for effect in done] == [Ask]
    state, done = after(state, Answered(state.asked, standing(Light.PAUSED)))
    assert (shown_light(state), sounds(done), state.presses) == (Light.PAUSED, [Sound.PAUSED], ())


def test_a_resume_takes_the_pause_off_the_light_before_it_can_be_true() -> None:
    state, done = after(known(Light.PAUSED), Pressed(Wish.TOGGLE))
    assert (verbs(done), sounds(done), shown_light(state)) == ([Verb.RESUME], [], Light.RECORDING)
    state, _ = after(state, Answered(state.asked, standing(Light.PAUSED)))
    assert shown_light(state) is Light.RECORDING, "an answer from before it was done"
    for outcome in (Done(state.numbered), Refused(state.numbered, Reason.SILENT)):
        done_state, _ = after(state, outcome)
        assert call_light(done_state) is Light.RECORDING
        back, _ = after(done_state, Answered(done_state.asked, standing(Light.PAUSED)))
        assert call_light(back) is Light.PAUSED, "the desk was asked since"


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("verb", list(Verb))
def test_a_press_that_is_refused_is_told_until_seen(reason: Reason, verb: Verb) -> None:
    before = known(Light.PAUSED if verb is Verb.RESUME else Light.RECORDING)
    state, done = after(before, Pressed(Wish(verb.value)))
    assert verbs(done) == [verb]
    state, done = after(state, Refused(state.numbered, reason))
    assert shown_light(state) is Light.FAILED and Sound.ALARM in sounds(done)
    assert view_of(state, ENGLISH, "F9", 100.0).title == ENGLISH.failed[verb]
    state, done = after(state, Answered(state.asked, before.known), Tick(), at=100 + ALARM_S)
    assert shown_light(state) is Light.FAILED and Sound.ALARM in sounds(done), "again and again"
    state, _ = after(state, Acknowledged())
    assert shown_light(state) is before.known.light


def test_a_press_without_an_answer_has_failed_and_a_late_answer_puts_it_right() -> None:
    state, _ = after(known(Light.RECORDING), Pressed(Wish.PAUSE))
    number = state.numbered
    state, done = after(state, Tick(), at=100 + PRESS_S - 0.01)
    assert shown_light(state) is Light.RECORDING
    state, done = after(state, Tick(), at=100 + PRESS_S)
    assert shown_light(state) is Light.FAILED and sounds(done) == [Sound.ALARM]
    state, done = after(state, Done(number), at=100 + PRESS_S)
    assert shown_light(state) is Light.FAILED, "whether it holds is asked"
    state, _ = after(state, Answered(state.asked, standing(Light.PAUSED)), at=100 + PRESS_S)
    assert shown_light(state) is Light.PAUSED


def test_done_but_recorded_on_is_a_failure() -> None:
    state, _ = after(known(Light.RECORDING), Pressed(Wish.PAUSE))
    state, _ = after(state, Done(state.numbered))
    state, _ = after(state, Answered(state.asked, standing(Light.RECORDING)))
    state, done = after(state, Tick())
    assert shown_light(state) is Light.FAILED and sounds(done) == [Sound.ALARM]
    assert state.failure.reason is Reason.STILL_RECORDING


def test_offline_a_pause_is_tried_and_told_as_failed_at_once_a_resume_is_not_tried() -> None:
    state, done = after(State(), Pressed(Wish.TOGGLE))
    assert (verbs(done), sounds(done), shown_light(state)) == ([Verb.PAUSE], [Sound.ALARM], Light.FAILED)
    again, done = after(state, Pressed(Wish.RESUME))
    assert verbs(done) == [] and again.failure.verb is Verb.PAUSE, "not paused matters more"
    state, _ = after(state, Done(state.numbered), Connected())
    state, _ = after(state, Answered(state.asked, standing(Light.PAUSED)))
    assert shown_light(state) is Light.PAUSED
    _, done = after(State(), Pressed(Wish.RESUME))
    assert verbs(done) == []


@pytest.mark.parametrize(
    ("verb", "call_id", "light", "call_after", "is_over"),
    [
        (Verb.PAUSE, "c1", Light.RECORDING, "c1", False),
        (Verb.PAUSE, "c1", Light.PAUSED, "c1", True),
        (Verb.PAUSE, "c1", Light.WARNING, "c1", True),
        (Verb.PAUSE, "c1", Light.NO_CALL, None, True),
        (Verb.PAUSE, "c1", Light.RECORDING, "c2", True),
        (Verb.PAUSE, None, Light.RECORDING, "c1", False),
        (Verb.PAUSE, None, Light.NO_CALL, None, False),
        (Verb.RESUME, "c1", Light.PAUSED, "c1", False),
        (Verb.RESUME, "c1", Light.RECORDING, "c1", True),
        (Verb.KEEP, "c1", Light.RECORDING, "c1", False),
        (Verb.KEEP, "c1", Light.NO_CALL, None, True),
    ],
)
def test_when_a_failure_is_over(
    verb: Verb, call_id: str | None, light: Light, call_after: str | None, is_over: bool
) -> None:
    state = State(connected=True, asked=1, failure=Failure(verb, Reason.SILENT, call_id))
    state, _ = after(state, Answered(1, replace(standing(light), call_id=call_after)))
    assert (state.failure is None) is is_over


def test_a_keep_is_told() -> None:
    state, _ = after(known(Light.RECORDING), Pressed(Wish.KEEP))
    state, done = after(state, Done(state.numbered))
    assert Sound.KEPT in sounds(done)
    assert view_of(state, FRENCH, "F9", 100.0).detail == FRENCH.notes[Note.KEPT]


def test_alerts_and_a_pedal_that_is_gone_are_told() -> None:
    state, done = after(known(Light.WARNING), Alerted("limit"))
    assert state.note is Note.RESUMED_BY_LIMIT and Sound.WARNING in sounds(done)
    assert any(isinstance(effect, Ask) for effect in done)
    _, done = after(known(Light.PAUSED), Alerted("warn"))
    assert any(isinstance(effect, Ask) for effect in done) and not sounds(done), "the light that follows is heard"
    state, done = after(known(Light.RECORDING), PedalGone())
    assert state.note is Note.PEDAL_GONE and sounds(done) == [Sound.WARNING]


def test_a_recorder_that_the_desk_cannot_ask_is_shown_at_once_and_until_it_is_back() -> None:
    state, done = after(known(Light.RECORDING), Away())
    assert call_light(state) is Light.OFFLINE and state.why is Reason.RECORDER and Sound.OFFLINE in sounds(done)
    state, done = after(state, News(standing(Light.RECORDING)))
    assert call_light(state) is Light.OFFLINE and any(isinstance(effect, Ask) for effect in done), "asked, not believed"
    state, _ = after(state, Answered(state.asked, standing(Light.RECORDING)))
    assert call_light(state) is Light.RECORDING


# ---- any order of anything


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(list(Wish)).map(Pressed),
            st.just(Connected()),
            st.sampled_from(list(Reason)).map(Lost),
            st.sampled_from(SAID).map(standing).map(News),
            st.builds(Answered, st.integers(-3, 0), st.sampled_from(SAID).map(standing)),
            st.builds(Unanswered, st.integers(-3, 0), st.just(Reason.SILENT)),
            st.builds(Done, st.integers(-3, 0)),
            st.builds(Refused, st.integers(-3, 0), st.just(Reason.RECORDER)),
            st.just(Acknowledged()),
            st.just(Tick()),
        ),
        max_size=40,
    ),
    st.lists(st.floats(0, 3), min_size=40, max_size=40),
)
def test_whatever_happens_paused_is_the_newest_answer_and_nothing_was_sent_since(
    happened: list[Input], waits: list[float]
) -> None:
    state, at, newest = State(), 0.0, None
    for drawn, wait in zip(happened, waits, strict=False):
        one, at = drawn, at + wait
        if isinstance(drawn, Answered | Unanswered):
            one = replace(drawn, number=state.asked + drawn.number)
        elif isinstance(drawn, Done | Refused):
            one = replace(drawn, number=state.numbered + drawn.number)
        answers = isinstance(one, Answered) and one.number == state.asked
        newest = one.standing if answers else newest
        state, done = step(state, one, at)
        if isinstance(one, Lost | Unanswered) and state.known is None:
            newest = None
        if Verb.RESUME in verbs(list(done)):
            newest = None
        if shown_light(state).is_closed:
            assert state.connected and newest is not None and newest.light.is_closed
        assert state.failure is None or shown_light(state) is Light.FAILED


# ---- what the desk says


def test_a_state_of_the_desk() -> None:
    said = {"agent": "2001", "light": "paused", "call_id": "c", "causes": {"a": ["agent"], "b": ["context:x"]}}
    found = parse_standing({**said, "paused_s": 4, "limit_s": None}, "2001")
    assert found == Standing(Light.PAUSED, "c", frozenset({"agent", "context:x"}), 4.0, None)
    assert parse_standing(said, "2002") is None
    for broken in ([], {}, {**said, "light": "offline"}, {**said, "light": None}, {**said, "causes": {"a": "agent"}}):
        with pytest.raises(ValueError):
            parse_standing(broken, "2001")
