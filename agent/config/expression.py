"""Whether an expression of `[purpose.NAME.when]` can be used: CEL (https://cel.dev), small, of known names.

What it may cost is bounded here: its length, how many comprehensions it has, and that it names nothing we do not have.
"""

import difflib
import re
from collections.abc import Iterable

import cel

from agent.model.condition import EXPRESSION_FIELDS, EXPRESSION_NAMES

MOST_CHARACTERS = 1000
MOST_COMPREHENSIONS = 3
"""Each goes once through the parties or tags for each element of the one around it."""
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\])*'")
_COMPREHENSION = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_FIELD = re.compile(rf"(?<![\w.])({'|'.join(EXPRESSION_FIELDS)})\s*\.\s*(\w+)(?!\s*\()")


def checked(source: str) -> str:
    """The expression, if it can be used. Raises ValueError in words."""
    if len(source) > MOST_CHARACTERS:
        raise ValueError(f"an expression of {len(source)} characters is too long; at most {MOST_CHARACTERS}")
    if not source.strip():
        return ""
    try:
        names = cel.compile(source).variables()
    except ValueError as error:
        raise ValueError(f"not an expression: {_shortened(str(error))}") from None
    bare = _TEXT.sub('""', source)
    bound = set(_COMPREHENSION.findall(bare))
    if len(_COMPREHENSION.findall(bare)) > MOST_COMPREHENSIONS:
        raise ValueError(f"at most {MOST_COMPREHENSIONS} of all, exists, exists_one, map and filter")
    for name in names:
        if name not in EXPRESSION_NAMES and name not in bound:
            raise ValueError(f"expressions know no {name!r}; {_hint(name, EXPRESSION_NAMES)}")
    for whole, part in _FIELD.findall(bare):
        if whole not in bound and part not in EXPRESSION_FIELDS[whole]:
            raise ValueError(f"there is no {whole}.{part}; {_hint(part, EXPRESSION_FIELDS[whole])}")
    return source


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(known))}"


def _shortened(message: str) -> str:
    """The first line of what the compiler says, without the expression itself and its list of all that might come."""
    said = message.splitlines()[0]
    return said[said.find("ERROR") :].removeprefix("ERROR: <input>:").split(" expecting ")[0][:200]
