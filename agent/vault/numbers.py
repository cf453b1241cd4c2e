"""Party numbers as keyed hashes: the same number is found again, and nobody without the key can read or guess it."""

import hmac

HEX_DIGITS = 32


def number_hash(key: bytes, number: str) -> str:
    """HMAC-SHA-256 of the normalised number under the site's key, first 128 bits in hexadecimal."""
    return hmac.digest(key, normalised(number).encode(), "sha256").hex()[:HEX_DIGITS]


def normalised(number: str) -> str:
    """One writing for one number: no separators, `00` before a country as `+`; names of SIP users in lower case."""
    bare = number.strip().translate(str.maketrans("", "", " .-/()\u00a0\u202f"))
    if bare.removeprefix("+").isdigit():
        return "+" + bare[2:] if bare.startswith("00") else bare
    return number.strip().lower()
