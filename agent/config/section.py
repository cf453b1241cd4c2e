"""What every section of greffier.toml is made of: strict, frozen, with durations and lists as people write them."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|days?|months?|years?)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600, "d": 86400, "day": 86400, "days": 86400, "month": 2629800, "months": 2629800}
_UNIT_S |= {"year": 31557600, "years": 31557600}


def seconds(value: object) -> int:
    """A duration as whole seconds: a number, or text such as "90 s", "7 days", "6 months", "5 years"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected a duration such as "90 s", "7 days", "6 months" or "5 years"')
    return int(float(match[1]) * _UNIT_S[match[2]])


Duration = Annotated[int, BeforeValidator(seconds), Field(ge=0)]


def listed(value: object) -> object:
    """One word where a list is expected is a list of one."""
    return [value] if isinstance(value, str) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(listed)]


class Section(BaseModel):
    """Unknown names are refused; nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
