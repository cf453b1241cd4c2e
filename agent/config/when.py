"""`[purpose.NAME.when]`: the conditions of a purpose as people write them; see `agent.model.condition.Condition`."""

import re
from dataclasses import fields
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agent.config.expression import checked
from agent.config.section import Patterns, Section, listed
from agent.model.call import Consent, Direction
from agent.model.condition import WEEKDAYS, Condition, Hours, OnHolidays

_HOURS = re.compile(r"(?:(\w{3})(?:\s*-\s*(\w{3}))?\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def stretch(value: object) -> object:
    """A stretch of the day such as `mon-fri 08:00-20:00`, `sat 09:00-12:30` or, every day, `22:00-06:00`."""
    if not isinstance(value, str):
        return value
    wrong = ValueError(
        f'expected hours such as "mon-fri 08:00-20:00", "sat 09:00-12:30" or "22:00-06:00", not "{value}"'
    )
    if (match := _HOURS.fullmatch(value.strip().lower())) is None:
        raise wrong
    first, last, *digits = match.groups()
    from_h, from_m, until_h, until_m = map(int, digits)
    if from_h > 23 or from_m > 59 or until_m > 59 or until_h * 60 + until_m > 24 * 60:
        raise wrong
    days: tuple[int, ...] = tuple(range(7))
    if first is not None:
        if not {first, last or first} <= set(WEEKDAYS):
            raise wrong
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days = tuple((begin + n) % 7 for n in range((end - begin) % 7 + 1))
    return Hours(days, from_h * 60 + from_m, until_h * 60 + until_m)


class When(Section):
    """Every condition that is set must hold."""

    direction: Annotated[tuple[Direction, ...], BeforeValidator(listed)] = ()
    numbers: Patterns = ()
    exclude_numbers: Patterns = ()
    agent: Patterns = ()
    queue: Patterns = ()
    did: Patterns = ()
    tags: Patterns = ()
    exclude_tags: Patterns = ()
    gateway: Patterns = ()
    tap: Patterns = ()
    parties_at_least: int | None = Field(None, ge=1, le=32)
    parties_at_most: int | None = Field(None, ge=1, le=32)
    consent: Annotated[tuple[Consent, ...], BeforeValidator(listed)] = ()
    hours: Annotated[tuple[Annotated[Hours, BeforeValidator(stretch)], ...], BeforeValidator(listed)] = ()
    holidays: OnHolidays | None = None
    expression: Annotated[str, AfterValidator(checked)] = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        least, most = self.parties_at_least or 0, self.parties_at_most
        if most is not None and least > most:
            raise ValueError("parties_at_least is more than parties_at_most: no call is ever so")
        return self

    def condition(self) -> Condition:
        """As a model value."""
        return Condition(
            **{f.name: getattr(self, f.name) for f in fields(Condition) if f.name in type(self).model_fields}
        )
