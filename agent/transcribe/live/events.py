"""What live transcription tells: words, and when there are none any more.

The text of a channel is its events in order of `seq`, of each the one with the highest `rev`. A stable one is the last
of its `seq`: none of its words ever changes. The one after the last stable one is a guess, and its next `rev` replaces
it, or takes it back (no words).
"""

from dataclasses import dataclass
from enum import StrEnum

from agent.model.call import Role
from agent.model.text import Word


@dataclass(frozen=True, slots=True)
class LiveText:
    """Words of one channel. `start` and `end` are media positions (samples at `CLOCK_RATE`); words have seconds from
    the call's media origin, as in every transcript."""

    call: str
    channel: int
    party: Role
    seq: int
    rev: int
    start: int
    end: int
    words: tuple[Word, ...]
    stable: bool
    language: str
    """ISO 639-1; empty where it is not known yet."""


@dataclass(frozen=True, slots=True)
class LiveForgotten:
    """A pause reached back: whoever holds words of the call that end after this media position lets go of them."""

    call: str
    position: int


class Why(StrEnum):
    """Why a call's live text was switched."""

    OVERLOAD = "overload"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class LiveSwitched:
    """From now on the call has live text, or has none; its final text comes all the same."""

    call: str
    on: bool
    why: Why


@dataclass(frozen=True, slots=True)
class LiveEnded:
    """The call is over, and all that was said in it has been told."""

    call: str


LiveEvent = LiveText | LiveForgotten | LiveSwitched | LiveEnded
