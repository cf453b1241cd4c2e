"""Check digits of the numbers that redaction looks for, from their public definitions."""

import re

from agent.transcribe.redaction.tables import table

_NIR = re.compile(r"[1-478]\d{2}(?:0[1-9]|1[0-2]|[2-3]\d|4[0-2]|[5-9]\d)(?:\d{2}|2[AB])\d{6}(\d{2})?")
_NIR_BEGINS = re.compile(r"[1-478]\d{2}(0[1-9]|1[0-2])")
NIR_DIGITS, NIR_WITH_KEY = 13, 15
IBAN_LENGTHS = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "VA": 22,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT IBAN registry): those of SEPA."""
IBAN_OF_DIGITS = table("AT BE CZ DE DK EE ES FI HR HU IS LT NO PL PT SE SI SK")
"""The countries whose accounts have no letters."""


def luhn(digits: str) -> bool:
    """Whether they are digits, and the last one checks the others (ISO/IEC 7812-1 annex B)."""
    if not digits.isdecimal():
        return False
    doubled = (int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def is_siret(digits: str) -> bool:
    """Whether it is a SIRET: 14 digits by Luhn; those of La Poste by their sum."""
    if len(digits) != 14:
        return False
    return luhn(digits) or (digits.startswith("356000000") and sum(map(int, digits)) % 5 == 0)


def is_gtin(digits: str) -> bool:
    """Whether it is the number below a bar code, of 13 digits (GS1 General Specifications 7.9)."""
    return len(digits) == 13 and sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(digits)) % 10 == 0


def looks_like_card(digits: str) -> bool:
    """Whether a number that is said to be something else must be taken for a card (ISO/IEC 7812).

    Of the length of most cards and checked by Luhn; or of that length, give or take a digit that was misheard, and it
    begins as the great schemes' cards do; or of another length that there is, with both.
    """
    if len(digits) == 16 and luhn(digits):
        return True
    if 15 <= len(digits) <= 17 and re.match(r"4|5[1-5]|3[47]", digits):
        return True
    if 16 <= len(digits) <= 17 and re.match(r"2[2-7]", digits):
        return True
    old = {13: "4", 14: r"3[0689]", 15: r"3[47]"}.get(len(digits), r"[3-6]")
    return 13 <= len(digits) <= 19 and luhn(digits) and re.match(old, digits) is not None


def hides_card(digits: str) -> bool:
    """Whether any part of a longer number is a whole card by Luhn, with the beginning of one."""
    return any(
        re.match(r"4|5[1-5]", digits[at : at + 16]) and luhn(digits[at : at + 16]) for at in range(len(digits) - 15)
    )


def is_nir_shape(text: str) -> bool:
    """Whether it is built as a French NIR (INSEE): sex, year, month, department with 2A and 2B, and so on."""
    return len(text) in (NIR_DIGITS, NIR_WITH_KEY) and _NIR.fullmatch(text) is not None


def is_nir(text: str) -> bool:
    """Whether it is a NIR of 15 places whose key is right: 97 less the number modulo 97, 2A as 19 and 2B as 18."""
    if len(text) != NIR_WITH_KEY or not is_nir_shape(text):
        return False
    number = int(text[:NIR_DIGITS].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(text[NIR_DIGITS:])


def begins_as_nir(digits: str) -> bool:
    """Whether digits begin with a sex, a year and a month of the calendar, as nearly every NIR does."""
    return _NIR_BEGINS.match(digits) is not None


def is_iban(text: str) -> bool:
    """Whether it is an IBAN: the length of its country, and modulo 97 (ISO 13616-1, ISO 7064)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isalnum():
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1
