"""The draw of `percent`: by a keyed hash, repeated with the key, neither foreseen nor steered without.

Plain, a call's place in [0, 100) is a hash of the gateway's own name for it, the same when it is replayed.

Stratified, each agent (or queue) has its exact share: the calls of one stratum are counted, in blocks; a block's places
are a keyed permutation, and the calls on its first places are taken. So 20 % takes four of every twenty calls of an
agent, and nobody without the key knows which. Counting begins anew, with a `seed` of its own, at each start of the
process; the draw says seed, stratum and ordinal, and with the key anyone can do it again.
"""

import hmac
import math
import threading
from dataclasses import dataclass

from agent.model.purpose import Draw, Purpose

LEAST_BLOCK = 20
STEPS_A_PERCENT = 10
"""A stratified percentage is a multiple of 0.1: blocks need not be longer than a thousand calls."""
MOST_STRATA = 20_000
OTHERS = "others"


class Strata:
    """How many calls each stratum had since the start. The one part of deciding that is not pure; any thread may ask.

    `seed` names the start: something that no other start has, or that comes of what is replayed.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def next(self, purpose: str, stratum: str) -> tuple[str, int]:
        """The stratum that counts the call, and the call's ordinal in it, from 0. Beyond MOST_STRATA there is one more
        for all the rest."""
        with self._lock:
            if (purpose, stratum) not in self._counts and len(self._counts) >= MOST_STRATA:
                stratum = OTHERS
            ordinal = self._counts.get((purpose, stratum), 0)
            self._counts[purpose, stratum] = ordinal + 1
        return stratum, ordinal


@dataclass(frozen=True, slots=True)
class Block:
    """`taken` of each `size` calls of a stratum."""

    size: int
    taken: int

    @classmethod
    def of(cls, percent: float) -> "Block":
        """The shortest of at least LEAST_BLOCK calls in which the share is a whole number of calls."""
        whole = 100 * STEPS_A_PERCENT
        part = round(percent * STEPS_A_PERCENT)
        divisor = math.gcd(part, whole)
        times = -(-LEAST_BLOCK * divisor // whole)
        return cls(whole // divisor * times, part // divisor * times)


def share(purpose: str, reference: str, percent_key: bytes) -> float:
    """The call's place in [0, 100) for this purpose: a keyed hash, independent between purposes."""
    digest = hmac.digest(percent_key, f"{purpose}\0{reference}".encode(), "sha256")
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def plain_draw(purpose: Purpose, reference: str, percent_key: bytes) -> Draw:
    """By the call's own hash."""
    place = share(purpose.name, reference, percent_key)
    taken = place < purpose.percent
    return Draw(taken, f"{place:.4f} {'<' if taken else '>='} {purpose.percent:g}")


def stratified_draw(purpose: Purpose, stratum: str | None, percent_key: bytes, strata: Strata) -> Draw:
    """By the call's place in its block; `stratum` None: there is no agent (no queue), such calls are one stratum."""
    named = "none" if stratum is None else stratum_name(purpose.name, stratum, percent_key)
    named, ordinal = strata.next(purpose.name, named)
    block = Block.of(purpose.percent)
    place = place_in_block(purpose.name, strata.seed, named, ordinal, block.size, percent_key)
    taken = place < block.taken
    told = f"{purpose.stratify} {named}, call {ordinal + 1} since start {strata.seed}"
    return Draw(taken, f"{told}: place {place} of {block.size} {'<' if taken else '>='} {block.taken}")


def stratum_name(purpose: str, stratum: str, percent_key: bytes) -> str:
    """A stratum as it is named where no number may be: 12 digits of a keyed hash."""
    return "#" + hmac.digest(percent_key, f"stratum\0{purpose}\0{stratum}".encode(), "sha256").hex()[:12]


def place_in_block(purpose: str, seed: str, stratum: str, ordinal: int, size: int, percent_key: bytes) -> int:
    """How many calls of the block of `ordinal` have a smaller keyed hash than it has: its place, from 0."""

    def lot(number: int) -> bytes:
        return hmac.digest(percent_key, f"lot\0{purpose}\0{seed}\0{stratum}\0{number}".encode(), "sha256")

    mine, first = lot(ordinal), ordinal - ordinal % size
    return sum(lot(number) < mine for number in range(first, first + size))
