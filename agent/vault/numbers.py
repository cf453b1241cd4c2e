"""Party numbers as keyed hashes: the same number is found again, and nobody without the key can read or guess it."""

import hmac
import re

HEX_DIGITS = 32
_WITHHELD = frozenset(
    {
        *("anonymous", "unknown", "unavailable", "restricted", "private", "withheld", "invalid", "+", "-"),
        *("anonymous.invalid", "coverage-unavailable"),
    }
)
_SCHEME = re.compile(r"^\s*(tel|sips?):", re.IGNORECASE)
_TYPESET = str.maketrans("", "", "\u2007\u2009\u2010\u2011\u2012\u2013\u2014\u2015")
_INTERNATIONAL_DIGITS = 10
"""So many digits that do not begin with 0 are a number with its country; extensions are shorter."""


def number_hash(key: bytes, number: str) -> str:
    """HMAC-SHA-256 of the normalised number under the site's key, first 128 bits in hexadecimal."""
    return hmac.digest(key, normalised(number).encode(), "sha256").hex()[:HEX_DIGITS]


class NotANumber(ValueError):
    """What was typed can be no person's number. The words are for people."""


def of_a_person(number: str) -> str:
    """The number as typed, without what letters and pages put around and into it.

    Raises NotANumber for nothing, and for what gateways write where a caller is withheld: the calls of all such callers
    are nobody's in particular.
    """
    number = _SCHEME.sub("", number.translate(_TYPESET)).strip()
    if number.startswith(("+", "00")):
        number = number.replace("(0)", "")  # as in +33 (0)6 …: who dials the country leaves it out
    bare = normalised(number)
    if not bare:
        raise NotANumber("a number is needed")
    digits = bare.removeprefix("+")
    if bare in _WITHHELD or (digits.isdigit() and not digits.strip("0")):
        raise NotANumber("this is written for every caller whose number is withheld: it is nobody's")
    return number


def normalised(number: str) -> str:
    """One writing for one number: no separators, `00` before a country as `+`; names of SIP users in lower case."""
    bare = number.strip().translate(str.maketrans("", "", " .-/()\u00a0\u202f"))
    if bare.removeprefix("+").isdigit():
        return "+" + bare[2:] if bare.startswith("00") else bare
    return number.strip().lower()


def international(number: str, calling_code: str) -> str:
    """One writing for one number: with its country where it has one."""
    bare = normalised(number)
    if not bare.isdigit():
        return bare
    if bare.startswith("0") and len(bare) >= _INTERNATIONAL_DIGITS - 2:
        return f"+{calling_code}{bare[1:]}"
    return f"+{bare}" if len(bare) >= _INTERNATIONAL_DIGITS else bare


def writings(number: str, calling_code: str) -> frozenset[str]:
    """Every way in which gateways write this number, normalised: `06…`, `+336…` and `336…` where the code is 33."""
    whole = international(number, calling_code)
    ways = {normalised(number), whole}
    if whole.startswith("+"):
        ways.add(whole[1:])
        if whole.startswith(f"+{calling_code}"):
            ways.add(f"0{whole[1 + len(calling_code) :]}")
    return frozenset(ways)


def number_hashes(key: bytes, number: str, calling_code: str) -> frozenset[str]:
    """The keyed hashes under which calls of this number are in the catalog, however their gateway wrote it."""
    return frozenset(number_hash(key, way) for way in writings(number, calling_code))
