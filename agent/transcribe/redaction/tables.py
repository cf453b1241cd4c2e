"""Tables of words, written in the modules as the lines of text that they are."""


def table(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def numbered(text: str, first: int, step: int = 1) -> dict[str, int]:
    """The words of a text with the values that they have, from the first on."""
    return {word: first + step * at for at, word in enumerate(text.split())}
