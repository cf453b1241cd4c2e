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


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[kKMGT]B|[KMGT]iB)")
_UNIT_BYTES = {"B": 1} | {f"{p}B": 1000**n for p, n in (("k", 1), ("K", 1), ("M", 2), ("G", 3), ("T", 4))}
_UNIT_BYTES |= {f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}


def size_bytes(value: object) -> int:
    """A size as whole bytes: a number, or text such as "500 MB" or "20 GiB"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected a size such as "500 MB" or "20 GiB"')
    return int(float(match[1]) * _UNIT_BYTES[match[2]])


Size = Annotated[int, BeforeValidator(size_bytes), Field(gt=0)]
Duration = Annotated[int, BeforeValidator(seconds), Field(ge=0)]


def listed(value: object) -> object:
    """One word where a list is expected is a list of one."""
    return [value] if isinstance(value, str) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(listed)]


class Section(BaseModel):
    """Unknown names are refused; nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
