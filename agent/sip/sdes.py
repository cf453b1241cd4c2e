"""The `a=crypto` attribute: keys of secure RTP inside a session description (RFC 4568; suites also of 6188 and 7714).

A line that asks for anything but encrypted and authenticated RTP under one master key is refused: what cannot be
honoured must not be agreed to (RFC 4568 §5.1.2). No error names a key.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.model.srtp import SrtpKey, SrtpSuite

MAX_LINES = 16
_LINE = re.compile(r"(\d{1,9})\s+([A-Za-z0-9_]{1,64})\s+(\S{1,512})((?:\s+\S{1,128}){0,16})", re.ASCII)
_INLINE = re.compile(r"inline:([A-Za-z0-9+/]{1,128}={0,2})(?:\|(\d{1,20}|2\^\d{1,3}))?", re.IGNORECASE | re.ASCII)
_SUITES = {suite.value: suite for suite in SrtpSuite} | {
    "AES_CM_256_HMAC_SHA1_80": SrtpSuite.AES_256_CM_HMAC_SHA1_80,
    "AES_CM_256_HMAC_SHA1_32": SrtpSuite.AES_256_CM_HMAC_SHA1_32,
}
"""With the spelling of gateways older than RFC 6188."""
_HARMLESS = re.compile(r"KDR=0|WSH=\d{1,9}|-\S+", re.IGNORECASE | re.ASCII)
"""Session parameters that change nothing for us: no key derivation anew, the sender's wish for a window, optional ones
(RFC 4568 §6.3)."""


class Unusable(ValueError):
    """A crypto line we cannot honour; says why, without what was in it."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One line. `name` is the suite as it was written; an answer repeats it, and the tag."""

    tag: int
    name: str
    key: SrtpKey = field(repr=False)


def parse(value: str) -> Crypto:
    """The line `a=crypto:VALUE`. Raises Unusable."""
    line = _LINE.fullmatch(value.strip())
    if line is None:
        raise Unusable("a crypto line is malformed")
    suite = _SUITES.get(line[2].upper())
    if suite is None:
        raise Unusable("a suite is none of ours")
    if not all(_HARMLESS.fullmatch(parameter) for parameter in line[4].split()):
        raise Unusable("a session parameter asks for less or for other than encrypted and authenticated RTP")
    inline = _INLINE.fullmatch(line[3])
    if inline is None:
        raise Unusable("not one inline key without a master key identifier")
    text = inline[1].rstrip("=")
    try:
        secret = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except Base64Error as error:
        raise Unusable("a key is not base64") from error
    try:
        return Crypto(int(line[1]), line[2], SrtpKey(suite, secret))
    except ValueError as error:
        raise Unusable(str(error)) from error


def write(crypto: Crypto) -> str:
    """The value of the line."""
    return f"{crypto.tag} {crypto.name} inline:{b64encode(crypto.key.secret).decode()}"


def usable(values: Iterable[str]) -> tuple[tuple[Crypto, ...], str]:
    """The lines that can be honoured, in the order of the peer's preference, and why another could not ("": none)."""
    found, problem = [], ""
    for value in list(values)[:MAX_LINES]:
        try:
            found.append(parse(value))
        except Unusable as error:
            problem = problem or str(error)
    return tuple(found), problem


def fresh(tag: int, name: str, suite: SrtpSuite, randomness: Callable[[int], bytes]) -> Crypto:
    """A line with a new key of ours; `randomness(n)` gives n bytes fit for one."""
    return Crypto(tag, name, SrtpKey(suite, randomness(suite.key_bytes + suite.salt_bytes)))
