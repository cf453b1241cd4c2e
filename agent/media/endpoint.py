"""Transport addresses as one number each, by column, and the table that finds the row of each number.

An IPv4 address and port are 48 bits. An IPv6 address is folded to 47 bits by a multiply-shift hash under numbers drawn
at start, so that nobody can choose two that meet; bit 63 tells them apart. The wildcard address is no address at all:
its key is the port alone.
"""

import ipaddress
import secrets
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

PORT_BITS = 16
FOLD_BITS = 47
_HIGH = np.uint64(secrets.randbits(64) | 1)
_LOW = np.uint64(secrets.randbits(64) | 1)
_FOLD = np.uint64(64 - FOLD_BITS)
_SIX = np.int64(-1 << 63)

EMPTY, GONE = np.int64(-1), np.int64(-2)
"""Slots never used and no longer used. No address has these keys: `keys_six` leaves out the fold of all ones."""
_LEAST_SLOTS = 1 << 10
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def key(host: str, port: int) -> int:
    """The number of an address. Raises ValueError when `host` is no IP address."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return port
    if isinstance(address, ipaddress.IPv4Address):
        return int(address) << PORT_BITS | port
    words = np.frombuffer(address.packed, ">u8").astype(np.uint64).reshape(1, 2)
    return int(keys_six(words, np.array([port]))[0])


def keys_four(address: npt.NDArray[np.integer], port: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Keys of IPv4 addresses (32-bit numbers) and ports."""
    keys: npt.NDArray[np.int64] = address.astype(np.int64) << PORT_BITS | port.astype(np.int64)
    return keys


def keys_six(words: npt.NDArray[np.uint64], port: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Keys of IPv6 addresses (uint64[n, 2], high and low half) and ports."""
    folded = (words[:, 0] * _HIGH + words[:, 1] * _LOW) >> _FOLD
    folded = np.minimum(folded, np.uint64((1 << FOLD_BITS) - 2))
    kind = np.where(words.any(axis=1), _SIX, 0)  # the wildcard address is none
    keys: npt.NDArray[np.int64] = folded.astype(np.int64) << PORT_BITS | port.astype(np.int64) | kind
    return keys


class KeyTable:
    """Rows by key: open addressing with linear probing in two arrays, asked for thousands of keys at once."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._rebuild()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, wanted: int) -> bool:
        return wanted in self._rows

    @property
    def slots(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
        """Keys and rows of all slots, and by how many bits a hash is shifted to be the number of its slot. Good until
        the next `add`."""
        return self._keys, self._values, int(self._shift)

    def get(self, wanted: int) -> int:
        """The row of one key. Raises LookupError."""
        return self._rows[wanted]

    def rows(self, wanted: Iterable[int]) -> list[int]:
        """The row of each key. Raises LookupError."""
        rows = self._rows
        return [rows[one] for one in wanted]

    def add(self, new: int, row: int) -> None:
        """Put a key, which must not be there, at a row."""
        if new in self._rows:
            raise ValueError("this address is taken")
        self._rows[new] = row
        if (self._used + 1) * 4 > len(self._keys):
            self._rebuild()
        else:
            self._put(new, row)

    def remove(self, old: int) -> None:
        """Forget a key. Raises LookupError."""
        del self._rows[old]
        slot = self._home(np.array([old]))[0]
        while self._keys[slot] != old:
            slot = slot + 1 & self._mask
        self._keys[slot], self._values[slot] = GONE, -1

    def find(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The row of each key; -1 where there is none."""
        slot = self._home(wanted)
        found = self._values[slot]
        missed = self._keys[slot] != wanted
        if not missed.any():
            return found
        found[missed] = -1
        asked = np.flatnonzero(missed)
        while len(asked):
            asked = asked[self._keys[slot[asked]] != EMPTY]
            slot[asked] = slot[asked] + 1 & self._mask
            hit = self._keys[slot[asked]] == wanted[asked]
            found[asked[hit]] = self._values[slot[asked[hit]]]
            asked = asked[~hit]
        return found

    def _home(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return ((keys.view(np.uint64) * _SPREAD) >> self._shift).astype(np.int64)

    def _put(self, new: int, row: int) -> None:
        slot = self._home(np.array([new]))[0]
        while self._keys[slot] != EMPTY:
            slot = slot + 1 & self._mask
        self._keys[slot], self._values[slot] = new, row
        self._used += 1

    def _rebuild(self) -> None:
        bits = max(_LEAST_SLOTS, 8 * len(self._rows)).bit_length()
        self._keys = np.full(1 << bits, EMPTY, np.int64)
        self._values = np.full(1 << bits, -1, np.int64)
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        self._used = 0
        for old, row in self._rows.items():
            self._put(old, row)
