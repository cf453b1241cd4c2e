"""The site's signing keys, one after another: each new one is signed by the one before, and signs that it follows it.

`site-keys.json` beside the key is the list of links, each `{"number", "at_ns", "previous", "public", "by_previous",
"by_new"}`: keys as hexadecimal; both signatures (Ed25519) are over a context string and the canonical JSON of the first
four. Whoever trusts one key of the chain can follow it both ways. Without the file the site has had one key only.

A change of key, in this order so that a kill anywhere is mended by doing it again: the new key (`site.next.pem`), the
line in the journal (the caller's), the link, the key in its place, its public part, and `site.next.pem` goes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.vault.chain import canonical
from agent.vault.sealed import PLAIN, Box
from agent.vault.secretfile import write_private
from agent.vault.signing import SiteKey, load_public, verify

KEY, NEXT, LINKS = "site.pem", "site.next.pem", "site-keys.json"
CONTEXT = b"greffier site key 1\n"


class BadChain(ValueError):
    """The list of the site's keys is not one: a link is missing, changed, or signed by another."""


def trusted(keys_dir: Path, pinned: bytes | None = None) -> tuple[bytes, ...]:
    """The site's public keys, oldest first. Raises OSError; BadChain, also when `pinned` (or its own) is not among
    them."""
    keys = with_public(keys_dir / f"{KEY}.pub")
    if pinned is not None and pinned not in keys:
        raise BadChain(f"the key that is trusted is none of the keys that follow each other in {LINKS}")
    return keys


def with_public(public: Path) -> tuple[bytes, ...]:
    """The site's public keys as whoever has one of them and the links beside it; alone it stands for itself.

    Raises OSError; ValueError, BadChain where the two do not fit together."""
    own, path = load_public(public), public.with_name(LINKS)
    keys = follow(path.read_bytes()) if path.exists() else (own,)
    if own not in keys:
        raise BadChain(f"{public.name} is none of the keys that follow each other in {LINKS}")
    return keys


def follow(data: bytes) -> tuple[bytes, ...]:
    """The keys of a list of links, each checked. Raises BadChain."""
    try:
        links = json.loads(data)
        keys = [bytes.fromhex(links[0]["previous"])]
        for number, link in enumerate(links, 1):
            _check(link, number, keys[-1])
            keys.append(bytes.fromhex(link["public"]))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise error if isinstance(error, BadChain) else BadChain(f"{LINKS} is spoiled") from None
    return tuple(keys)


def _check(link: dict[str, Any], number: int, previous: bytes) -> None:
    signed = _signed(link)
    new = bytes.fromhex(link["public"])
    if link["number"] != number or bytes.fromhex(link["previous"]) != previous:
        raise BadChain(f"key {number + 1} of {LINKS} does not follow key {number}")
    if not verify(previous, bytes.fromhex(link["by_previous"]), signed):
        raise BadChain(f"key {number + 1} of {LINKS} is not signed by key {number}")
    if not verify(new, bytes.fromhex(link["by_new"]), signed):
        raise BadChain(f"key {number + 1} of {LINKS} does not sign that it follows key {number}")


def rotate(keys_dir: Path, box: Box, at_ns: int, tell: Callable[[bytes, bytes], None]) -> tuple[bytes, bytes]:
    """Give the site a new signing key; `tell` writes the line of the journal, with the old and the new public key.

    Returns both. Raises OSError, BadChain; Unsealable.
    """
    path, waiting = keys_dir / KEY, keys_dir / NEXT
    old = SiteKey.load(path, box)
    links = json.loads((keys_dir / LINKS).read_bytes()) if (keys_dir / LINKS).exists() else []
    known = follow(json.dumps(links).encode()) if links else (old.public,)
    if waiting.exists():
        new = SiteKey.load(waiting, box)
    else:
        new = SiteKey.generate()
        new.save(waiting, box)
    previous = known[-2] if known[-1] == new.public else known[-1]
    if new.public != known[-1]:
        if previous != old.public:
            raise BadChain(f"{KEY} is not the newest key of {LINKS}: was it restored from an old copy?")
        tell(old.public, new.public)
        links.append(_link(len(links) + 1, at_ns, old, new))
        write_private(keys_dir / LINKS, json.dumps(links, indent=1).encode() + b"\n", 0o644)
    new.save(path, box)
    for left in (waiting, keys_dir / f"{NEXT}.pub"):
        left.unlink(missing_ok=True)
    return previous, new.public


def _link(number: int, at_ns: int, old: SiteKey, new: SiteKey) -> dict[str, Any]:
    link: dict[str, Any] = {"number": number, "at_ns": at_ns, "previous": old.public.hex(), "public": new.public.hex()}
    signed = _signed(link)
    return link | {"by_previous": old.sign(signed).hex(), "by_new": new.sign(signed).hex()}


def _signed(link: dict[str, Any]) -> bytes:
    return CONTEXT + canonical({name: link[name] for name in ("at_ns", "number", "previous", "public")})


def follow_change(keys_dir: Path, key: SiteKey, box: Box = PLAIN) -> bool:
    """Sign with the key that lies there now, if it is another. Returns whether it was. Raises OSError, ValueError."""
    if load_public(keys_dir / f"{KEY}.pub") == key.public:
        return False
    key.become(SiteKey.load(keys_dir / KEY, box))
    return True
