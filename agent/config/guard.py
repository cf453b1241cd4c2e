"""The section `[guard]`: which calls are guarded against card numbers being spoken, and what raises the alarm."""

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.config.section import Patterns, Section


def _spoken(phrases: tuple[str, ...]) -> tuple[str, ...]:
    for phrase in phrases:
        if not phrase.strip() or len(phrase) > 100:
            raise ValueError("a phrase is 1 to 100 characters")
    return phrases


class Guard(Section):
    """`[guard]`. It hears what a live purpose hears, so one must apply to the call."""

    enabled: bool = False
    queues: Patterns = ()
    """Names or patterns such as `sales-*`; none: calls of every queue, and of none."""
    digits: int = Field(4, ge=2, le=12)
    """So many digits read out raise the alarm; half as many, once a card was spoken of."""
    phrases: Annotated[tuple[str, ...], AfterValidator(_spoken)] = ()
    hold_s: float = Field(10.0, ge=2, le=120)
    """So long the call is paused after what was heard last: nothing can be heard in a pause, not even by the guard."""
