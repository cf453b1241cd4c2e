"""The hash chain: every entry carries the hash of the one before, so none can be changed, removed or put in between."""

import hashlib
import json

GENESIS = "0" * 64
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def link(previous: str, entry: bytes) -> str:
    """The hash (SHA-256, hexadecimal) of an entry that follows the entry of hash `previous`."""
    return hashlib.sha256(previous.encode() + b"\n" + entry).hexdigest()


def canonical(value: object) -> bytes:
    """The one JSON writing of a value that hashes and signatures are made of: sorted keys, no spaces, UTF-8."""
    return _ENCODER.encode(value).encode()
