"""An age secret key as people write it down: lines of three blocks of four, each line with a check of its own.

`AGE-SECRET-KEY-1` is followed by 58 letters of the Bech32 alphabet (BIP 173). A line holds twelve of them (the last
ten) and two more that check them: the sum of each letter's value by its place, and of the line's number, modulo 1021, a
prime. So one wrong letter, two neighbours exchanged or a line in another's place are found in that very line.
"""

from collections.abc import Sequence

PREFIX = "AGE-SECRET-KEY-1"
LETTERS = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
LENGTH = 58
_LINE = 12
_BLOCK = 4
_PRIME = 1021
LINES = -(-LENGTH // _LINE)


class WrongLine(ValueError):
    """A line (from 1) was not written, or not typed, as it was shown."""

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        super().__init__(f"line {number}: {why}")


def written(secret: str) -> tuple[str, ...]:
    """The lines to write down, such as `QPZR Y9X8 GF2T  VD`. Raises ValueError for what is no age secret key."""
    letters = secret.strip().upper().removeprefix(PREFIX)
    if len(letters) != LENGTH or any(letter not in LETTERS for letter in letters):
        raise ValueError(f"not an age secret key ({PREFIX}…)")
    parts = [letters[at : at + _LINE] for at in range(0, LENGTH, _LINE)]
    return tuple(f"{_blocks(part)}  {_check(number, part)}" for number, part in enumerate(parts, 1))


def typed_line(number: int, text: str) -> str:
    """The letters of a line as somebody typed it; spaces, dashes and case do not matter. Raises WrongLine."""
    letters = "".join(text.split()).replace("-", "").upper()
    wanted = (_LINE if number < LINES else LENGTH - _LINE * (LINES - 1)) + 2
    if strange := sorted({letter for letter in letters if letter not in LETTERS}):
        raise WrongLine(number, f"no line has {', '.join(strange)} (1, B, I and O are never used)")
    if len(letters) != wanted:
        raise WrongLine(number, f"{len(letters)} letters, and {wanted} were expected")
    part, check = letters[:-2], letters[-2:]
    if check != _check(number, part):
        raise WrongLine(number, "its last two letters do not fit the others")
    return part


def typed(lines: Sequence[str]) -> str:
    """The secret key that the lines are. Raises WrongLine."""
    if len(lines) != LINES:
        raise WrongLine(len(lines) + 1 if len(lines) < LINES else LINES, f"there are {LINES} lines")
    return PREFIX + "".join(typed_line(number, line) for number, line in enumerate(lines, 1))


def _blocks(part: str) -> str:
    return " ".join(part[at : at + _BLOCK] for at in range(0, len(part), _BLOCK))


def _check(number: int, part: str) -> str:
    total = sum(place * LETTERS.index(letter) for place, letter in enumerate(part, 1)) + 101 * number
    high, low = divmod(total % _PRIME, len(LETTERS))
    return LETTERS[high] + LETTERS[low]
