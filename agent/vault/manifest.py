"""Signed JSON: what a manifest says, and the site's signature over exactly that.

A manifest is `{"body": …, "public_key": hex, "signature": hex}`; the signature (Ed25519) covers a context string and
the canonical JSON of the body. The second of the file's three lines is just that: no two tools write numbers alike, and
so any tool can check it.
"""

import json
from collections.abc import Mapping
from typing import Any

from agent.vault.chain import canonical
from agent.vault.signing import SiteKey, Trusted, verify

CONTEXT = b"greffier manifest 1\n"


class BadManifest(ValueError):
    """Not a manifest, or not one of this site, or changed since it was signed."""


def sign_manifest(body: Mapping[str, object], key: SiteKey) -> bytes:
    """The manifest of `body` (JSON values) as a JSON document of three lines."""
    said = canonical(body)
    by = f',"public_key":"{key.public.hex()}","signature":"{key.sign(CONTEXT + said).hex()}"}}'
    return b'{"body":\n' + said + b"\n" + by.encode() + b"\n"


def check_manifest(data: bytes, public: Trusted) -> dict[str, Any]:
    """The body of a manifest that this public key, or one of them, signed. Raises BadManifest."""
    try:
        document = json.loads(data)
        body, signature = document["body"], bytes.fromhex(document["signature"])
        signed = CONTEXT + canonical(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadManifest("this is no manifest") from None
    if not isinstance(body, dict) or not verify(public, signature, signed):
        raise BadManifest("the signature does not hold: it was changed, or another site made it")
    return body
