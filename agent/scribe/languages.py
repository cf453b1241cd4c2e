"""Which language a call is transcribed in: that of its queue, else the site's, else what each channel sounds like."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

AUTO = "auto"
"""Detected once for each channel."""


def language_of(queue: str | None, languages: Mapping[str, str], otherwise: str) -> str:
    """The language (ISO 639-1, or AUTO) of a call of `queue`: the first pattern of `languages` that fits it counts."""
    fits = (language for pattern, language in languages.items() if fnmatchcase(queue or "", pattern))
    return next(fits, otherwise)
