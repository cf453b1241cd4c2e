"""What the client knows, and what that looks like: every state with its colour, shape and sound, in one table.

The one inexcusable fault is to show *paused* when it is not. So only the desk's answer to our newest question is
believed in that; news that says otherwise is believed at once (`shown_light`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

OWN_CAUSE = "agent"
"""Cause of a pause that a press by hand made; what one key paused another may resume."""
CLOSED = frozenset({"paused", "warning"})


class Light(StrEnum):
    """What the light shows. All but the first and the last are the desk's own words."""

    OFFLINE = "offline"
    NO_CALL = "no-call"
    NOT_RECORDING = "not-recording"
    RECORDING = "recording"
    PAUSED = "paused"
    WARNING = "warning"
    FAILED = "failed"

    @property
    def is_closed(self) -> bool:
        """Whether it tells the agent that nothing is kept because of a pause."""
        return self.value in CLOSED


class Verb(StrEnum):
    """What is asked of the desk."""

    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"


class Wish(StrEnum):
    """What the agent presses; *toggle* means what the light does not show yet."""

    TOGGLE = "toggle"
    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"


class Sound(StrEnum):
    """What is heard on a change."""

    NONE = "none"
    PAUSED = "paused"
    RECORDING = "recording"
    WARNING = "warning"
    OFFLINE = "offline"
    KEPT = "kept"
    ALARM = "alarm"


class Shape(StrEnum):
    """What is drawn, so that nobody needs to tell colours apart."""

    CROSS = "cross"
    DASH = "dash"
    RING = "ring"
    DISC = "disc"
    BARS = "bars"
    TRIANGLE = "triangle"


@dataclass(frozen=True, slots=True)
class Look:
    """How one light looks and sounds. Colours are told apart by the colour-blind too (Okabe and Ito)."""

    ground: str
    ink: str
    shape: Shape
    sound: Sound


LOOKS: Mapping[Light, Look] = {
    Light.OFFLINE: Look("#4D4D4D", "#FFFFFF", Shape.CROSS, Sound.OFFLINE),
    Light.NO_CALL: Look("#D9D9D9", "#333333", Shape.DASH, Sound.NONE),
    Light.NOT_RECORDING: Look("#FFFFFF", "#333333", Shape.RING, Sound.NONE),
    Light.RECORDING: Look("#202020", "#FF6A4D", Shape.DISC, Sound.RECORDING),
    Light.PAUSED: Look("#0072B2", "#FFFFFF", Shape.BARS, Sound.PAUSED),
    Light.WARNING: Look("#F0C000", "#000000", Shape.TRIANGLE, Sound.WARNING),
    Light.FAILED: Look("#E00000", "#FFFFFF", Shape.CROSS, Sound.ALARM),
}


class Reason(StrEnum):
    """Why the desk did not do as asked, or is not there."""

    STARTING = "starting"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    TOKEN = "token"  # noqa: S105 - a reason, no secret
    FORBIDDEN = "forbidden"
    PIN = "pin"
    CERTIFICATE = "certificate"
    NO_CALL = "no-call"
    RECORDER = "recorder"
    ANSWER = "answer"
    STILL_RECORDING = "still-recording"
    SLEPT = "slept"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the agent's call stands, as the desk said it. `paused_s`: for how long; `limit_s`: recorded again after."""

    light: Light
    call_id: str | None = None
    causes: frozenset[str] = frozenset()
    paused_s: float | None = None
    limit_s: float | None = None


def parse_standing(said: Any, agent: str) -> Standing | None:
    """The desk's state object; None when it is about another agent. Raises ValueError when it is not understood."""
    if not isinstance(said, dict) or not isinstance(said.get("agent"), str):
        raise ValueError("a state without an agent")
    if said["agent"] != agent:
        return None
    light = Light(str(said.get("light")))
    call_id, causes = said.get("call_id"), said.get("causes") or {}
    if light in (Light.OFFLINE, Light.FAILED) or not (call_id is None or isinstance(call_id, str)):
        raise ValueError("a state that is none")
    if not isinstance(causes, dict) or not all(isinstance(names, list) for names in causes.values()):
        raise ValueError("causes that are none")
    named = frozenset(name for names in causes.values() for name in names if isinstance(name, str))
    return Standing(light, call_id, named, _seconds(said.get("paused_s")), _seconds(said.get("limit_s")))


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Press:
    """A press that was sent and is not settled: `confirm` is the question whose answer must bear it out."""

    number: int
    verb: Verb
    at: float
    confirm: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A press that came to nothing. It is shown until somebody has seen it, or it is put right."""

    verb: Verb
    reason: Reason
    call_id: str | None


class Note(StrEnum):
    """A line under the light, for a few seconds."""

    KEPT = "kept"
    HELD_BY_OTHER = "held-by-other"
    RESUMED_BY_LIMIT = "resumed-by-limit"
    PEDAL_GONE = "pedal-gone"


@dataclass(frozen=True, slots=True)
class State:
    """All that the client knows. Times are seconds of one clock.

    `known`: the answer to the newest question that was answered; None: offline, because of `why`. `rumour`: news that
    the desk has not been asked about yet. `asked`: the number of the newest question; `waiting_since`: since when one
    is unanswered. `heard`: the last light that a sound was played for.
    """

    connected: bool = False
    known: Standing | None = None
    known_at: float = 0.0
    why: Reason = Reason.STARTING
    rumour: Standing | None = None
    asked: int = 0
    waiting_since: float | None = None
    presses: tuple[Press, ...] = ()
    numbered: int = 0
    failure: Failure | None = None
    alarm_at: float = 0.0
    note: Note | None = None
    note_until: float = 0.0
    heard: Light = Light.OFFLINE
    seen: Mapping[Wish, float] = field(default_factory=dict)
    ticked: float | None = None


def call_light(state: State) -> Light:
    """What is known of the call, failures aside: never *paused* while anything says otherwise."""
    if state.known is None or not state.connected:
        return Light.OFFLINE
    if not state.known.light.is_closed:
        return state.known.light
    if any(press.verb is Verb.RESUME for press in state.presses):
        return Light.RECORDING
    if state.rumour is not None and not state.rumour.light.is_closed:
        return state.rumour.light
    return state.known.light


def shown_light(state: State) -> Light:
    """What the light shows."""
    return Light.FAILED if state.failure else call_light(state)
