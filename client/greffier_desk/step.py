"""What follows from each thing that happens: a pure function from state and input to state and what is to be done.

News is a reason to ask, not an answer: whatever the event stream says, the desk is asked how things stand, and only
the answer to the newest question counts. So no stale event or answer ever overrides a newer one.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from greffier_desk.state import (
    LOOKS,
    OWN_CAUSE,
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
)

DOUBLE_S = 0.25
"""Two presses within this are one."""
PRESS_S = 4.0
"""A press that is not answered within this has failed."""
ANSWER_S = 4.0
"""A question that is not answered within this leaves us offline."""
RECHECK_S = 5.0
"""A light that shows *paused* is asked about again after this."""
RETRY_S = 1.0
ALARM_S = 2.0
"""The alarm of a failed press is heard again after this, until somebody has seen it."""
NOTE_S = 8.0
SLEPT_S = 10.0


@dataclass(frozen=True, slots=True)
class Pressed:
    """The agent pressed something."""

    wish: Wish


@dataclass(frozen=True, slots=True)
class Connected:
    """The event stream is open."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The event stream is not, or is silent."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class News:
    """An event of the stream."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Away:
    """The desk says that the recorder does not answer: how the call stands is not known."""


@dataclass(frozen=True, slots=True)
class Alerted:
    """The desk raised an alert of this kind: `warn` or `limit`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Question `number` was answered."""

    number: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Question `number` was not."""

    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Done:
    """The desk says that press `number` is done."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Press `number` was not done, as far as is known."""

    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class PedalGone:
    """The pedal was pulled out."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The agent has seen the failure."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by."""


Input = (
    Pressed
    | Connected
    | Lost
    | News
    | Away
    | Alerted
    | Answered
    | Unanswered
    | Done
    | Refused
    | PedalGone
    | Acknowledged
    | Tick
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the desk how things stand; later questions make earlier ones needless."""

    number: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send a press, in order, unless `before` has gone by: what was told as failed must not happen later."""

    number: int
    verb: Verb
    before: float


@dataclass(frozen=True, slots=True)
class Play:
    """Play a sound."""

    sound: Sound


Effect = Ask | Send | Play
Outcome = tuple[State, tuple[Effect, ...]]


def step(state: State, happened: Input, now: float) -> Outcome:
    """State after `happened` at `now` seconds, and what is to be done."""
    return _heard(*_step(state, happened, now))


def _step(state: State, happened: Input, now: float) -> Outcome:  # noqa: PLR0911, PLR0912 - one for each input
    match happened:
        case Pressed(wish):
            return _pressed(state, wish, now)
        case Connected():
            return _ask(replace(state, connected=True), now)
        case Lost(reason):
            return _offline(replace(state, connected=False), reason, now), ()
        case News(standing):
            return _ask(replace(state, rumour=standing), now)
        case Away():
            return _offline(state, Reason.RECORDER, now), ()
        case Alerted(kind):
            state = _noted(state, Note.RESUMED_BY_LIMIT, now) if kind == "limit" else state
            state, effects = _ask(state, now)
            return state, (*effects, Play(Sound.WARNING)) if kind == "limit" else effects
        case Answered(number, standing):
            return (_answered(state, standing, now), ()) if number == state.asked else (state, ())
        case Unanswered(number, reason):
            return (_offline(state, reason, now), ()) if number == state.asked else (state, ())
        case Done(number):
            return _done(state, number, now)
        case Refused(number, reason):
            return _refused(state, number, reason, now)
        case PedalGone():
            return _noted(state, Note.PEDAL_GONE, now), (Play(Sound.WARNING),)
        case Acknowledged():
            return replace(state, failure=None), ()
        case Tick():
            return _ticked(state, now)
    assert_never(happened)


def resolve(state: State, wish: Wish) -> Verb | Note:
    """What a press asks of the desk. In doubt a toggle asks for a pause; a pause of others is not ours to end."""
    if wish in (Wish.PAUSE, Wish.KEEP):
        return Verb(wish.value)
    closed = call_light(state).is_closed
    if wish is Wish.TOGGLE and (not closed or any(press.verb is not Verb.KEEP for press in state.presses)):
        return Verb.PAUSE
    causes = state.known.causes if closed and state.known else frozenset()
    return Note.HELD_BY_OTHER if causes and OWN_CAUSE not in causes else Verb.RESUME


def _pressed(state: State, wish: Wish, now: float) -> Outcome:
    before = state.seen.get(wish)
    state = replace(state, seen={**state.seen, wish: now})
    if before is not None and 0 <= now - before < DOUBLE_S:
        return state, ()
    verb = resolve(state, wish)
    if isinstance(verb, Note):
        return _noted(state, verb, now), (Play(Sound.WARNING),)
    number = state.numbered + 1
    state = replace(state, numbered=number)
    send = Send(number, verb, now + PRESS_S)
    if call_light(state) is Light.OFFLINE:  # told as failed at once; a pause is tried all the same, a resume is not
        state, effects = _failed(state, verb, state.why, now)
        return state, effects if verb is Verb.RESUME else (send, *effects)
    return replace(state, presses=(*state.presses, Press(number, verb, now))), (send,)


def _done(state: State, number: int, now: float) -> Outcome:
    state, effects = _ask(state, now)
    settled: list[Press] = []
    for press in state.presses:
        if press.number != number:
            settled.append(press)
        elif press.verb is Verb.PAUSE:
            settled.append(replace(press, confirm=state.asked))
        elif press.verb is Verb.RESUME:
            state = _perhaps_open(state)
        else:
            failure = None if state.failure and state.failure.verb is Verb.KEEP else state.failure
            state = _noted(replace(state, failure=failure), Note.KEPT, now)
            effects = (*effects, Play(Sound.KEPT))
    return replace(state, presses=tuple(settled)), effects


def _refused(state: State, number: int, reason: Reason, now: float) -> Outcome:
    press = next((press for press in state.presses if press.number == number), None)
    state = replace(state, presses=tuple(p for p in state.presses if p.number != number))
    asked, effects = _ask(state, now)
    if press is None:
        return asked, effects
    state, alarm = _failed(_perhaps_open(asked) if press.verb is Verb.RESUME else asked, press.verb, reason, now)
    return state, (*effects, *alarm)


def _perhaps_open(state: State) -> State:
    """A resume was sent, so *paused* is not shown before the desk says so again."""
    if state.known is None or not state.known.light.is_closed:
        return state
    return replace(state, rumour=replace(state.known, light=Light.RECORDING))


def _answered(state: State, standing: Standing, now: float) -> State:
    before, failure = state.known, state.failure
    borne_out = [press for press in state.presses if press.confirm is not None]
    state = replace(
        state,
        known=standing,
        known_at=now,
        rumour=None,
        waiting_since=None,
        presses=tuple(press for press in state.presses if press.confirm is None),
    )
    if borne_out and standing.light is Light.RECORDING:
        failure = Failure(Verb.PAUSE, Reason.STILL_RECORDING, standing.call_id)
        return replace(state, failure=failure, alarm_at=now - ALARM_S)
    if failure and _put_right(failure, standing, before):
        return replace(state, failure=None)
    return state


def _put_right(failure: Failure, standing: Standing, before: Standing | None) -> bool:
    """Whether a failure is over: what was wanted is so, or the call it was about has ended."""
    if failure.verb is Verb.PAUSE and standing.light.is_closed:
        return True
    if failure.verb is Verb.RESUME and not standing.light.is_closed:
        return True
    if failure.call_id is not None:
        return standing.call_id != failure.call_id
    return before is not None and before.call_id is not None and standing.call_id is None


def _ticked(state: State, now: float) -> Outcome:
    effects: tuple[Effect, ...] = ()
    slept = state.ticked is not None and now - state.ticked > SLEPT_S
    state = replace(state, ticked=now)
    if state.note and now >= state.note_until:
        state = replace(state, note=None)
    for press in state.presses:
        if press.confirm is None and now - press.at >= PRESS_S:
            state, more = _refused(state, press.number, Reason.SILENT, now)
            effects += more
    if slept:
        state = _offline(state, Reason.SLEPT, now)
    elif state.waiting_since is not None and now - state.waiting_since >= ANSWER_S:
        state = _offline(state, Reason.SILENT, now)
    if state.failure and now - state.alarm_at >= ALARM_S:
        state, effects = replace(state, alarm_at=now), (*effects, Play(Sound.ALARM))
    again_s = RETRY_S if state.known is None else RECHECK_S if state.known.light.is_closed else None
    if state.connected and state.waiting_since is None and again_s and now - state.known_at >= again_s:
        state, asks = _ask(state, now)
        effects += asks
    return state, effects


def _ask(state: State, now: float) -> Outcome:
    number = state.asked + 1
    since = now if state.waiting_since is None else state.waiting_since
    return replace(state, asked=number, waiting_since=since), (Ask(number),)


def _offline(state: State, reason: Reason, now: float) -> State:
    """Nothing that was known holds; answers that are still under way come too late."""
    unsettled = tuple(press for press in state.presses if press.confirm is None)
    return replace(
        state,
        known=None,
        known_at=now,
        why=reason,
        rumour=None,
        asked=state.asked + 1,
        waiting_since=None,
        presses=unsettled,
    )


def _failed(state: State, verb: Verb, reason: Reason, now: float) -> Outcome:
    """*Not paused* is never hidden behind a failure that matters less."""
    worse = state.failure is not None and state.failure.verb is Verb.PAUSE and verb is not Verb.PAUSE
    call_id = state.known.call_id if state.known else None
    failure = state.failure if worse else Failure(verb, reason, call_id)
    return replace(state, failure=failure, alarm_at=now), (Play(Sound.ALARM),)


def _noted(state: State, note: Note, now: float) -> State:
    return replace(state, note=note, note_until=now + NOTE_S)


def _heard(state: State, effects: tuple[Effect, ...]) -> Outcome:
    """Sounds for what is new and certain."""
    light = call_light(state)
    if state.rumour is not None or light is state.heard or any(p.verb is Verb.RESUME for p in state.presses):
        return state, effects
    sound = LOOKS[light].sound
    state = replace(state, heard=light)
    if sound is Sound.NONE or state.failure or Play(sound) in effects:
        return state, effects
    return state, (*effects, Play(sound))
