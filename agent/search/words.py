"""What is searched for, in FTS5's own words: every term quoted, so that nothing a person types is an operator."""

import re

MOST_TERMS = 20
MOST_CHARACTERS = 400
_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')


def terms(text: str) -> tuple[str, ...]:
    """FTS5 expressions, all of which a call must match: words, phrases in quotation marks, beginnings (`abonn*`).

    Raises ValueError when there is no word among them, or there are too many.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"more than {MOST_CHARACTERS} characters are searched for")
    found = []
    for phrase, word in _TERM.findall(text):
        bare = (phrase or word).replace("\0", "")
        if any(c.isalnum() for c in bare):
            found.append(f'"{bare}"' + ("*" if word.endswith("*") else ""))
    if not found:
        raise ValueError("no word to search for")
    if len(found) > MOST_TERMS:
        raise ValueError(f"more than {MOST_TERMS} words are searched for")
    return tuple(found)
