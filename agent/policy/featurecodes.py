"""Which keys make a feature code, which only may, and which are just keys: decided key by key, in media time.

No code begins with another one that the same people may press (`agent.config.presses` sees to that), so a code counts
with its last key. Keys that may begin a code are held until it is certain; those of a code are nobody's business. One
that begins with a digit only counts where no key came right before: a digit of a number that is typed is no choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.model.call import Consent, Role
from agent.model.keys import KEY_NAMES, KeyCode
from agent.model.media import KeyPress

CHOICES = frozenset({Consent.GIVEN, Consent.REFUSED})


@dataclass(frozen=True, slots=True)
class Typing:
    """Where one sender is: `held` may begin a code yet; no other key came right before the `first` of them."""

    held: tuple[KeyPress, ...] = ()
    first: bool = True
    last_samples: int | None = None
    """When the last key was pressed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of keys: where their sender is `now`, which are ordinary (`free`), and which code is complete."""

    now: Typing
    free: tuple[KeyPress, ...] = ()
    code: KeyCode | None = None


def allowed(codes: Sequence[KeyCode], role: Role | None, *, may_choose: bool) -> tuple[KeyCode, ...]:
    """The codes that somebody of this role (None: not known who) may press; `may_choose`: consent is still open."""
    return tuple(
        code for code in codes if (not code.roles or role in code.roles) and (may_choose or code.does not in CHOICES)
    )


def read(codes: Sequence[KeyCode], before: Typing, key: KeyPress, gap_samples: int) -> Reading:
    """One more key; `codes` are those its sender may press. A key that comes more than `gap_samples` after the one
    before begins anew."""
    at = key.position_samples
    kept = expire(before, at, gap_samples)
    pressed, free = (*kept.now.held, key), list(kept.free)
    first = kept.now.first if kept.now.held else kept.now.last_samples is None
    while pressed:
        typed = "".join(KEY_NAMES[k.event] for k in pressed)
        possible = [code for code in codes if code.keys.startswith(typed) and (first or code.keys[0] in "*#")]
        done = next((code for code in possible if code.keys == typed), None)
        if done is not None:
            return Reading(Typing((), False, at), tuple(free), done)
        if possible:
            break
        free.append(pressed[0])
        pressed, first = pressed[1:], False
    return Reading(Typing(pressed, first, at), tuple(free))


def expire(before: Typing, now_samples: int, gap_samples: int) -> Reading:
    """Where a sender is at `now_samples`: at the beginning, once the last key is too long ago."""
    if before.last_samples is not None and now_samples - before.last_samples > gap_samples:
        return Reading(Typing(), before.held)
    return Reading(before)
