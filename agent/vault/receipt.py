"""Custody receipts: signed by a key of the desk's own, which the site key certifies; checked with the site's public
key.

The desk is on the network and holds no site key. A certificate is `{"body": {"format": "greffier-receipt-key-1",
"site", "public_key", "from_ns", "until_ns"}, "signature"}`, a receipt `{"body": {"format": "greffier-receipt-1", …},
"certificate", "signature"}`; each signature (Ed25519, hexadecimal) covers a context string and the canonical JSON of
its body. docs/feed.md shows how to check one with `openssl` and `jq`.
"""

import json
from collections.abc import Mapping
from typing import Any

from agent.vault.chain import canonical
from agent.vault.signing import SiteKey, Trusted, verify

KEY_FORMAT, FORMAT = "greffier-receipt-key-1", "greffier-receipt-1"
KEY_CONTEXT, CONTEXT = b"greffier receipt key 1\n", b"greffier receipt 1\n"
DAY_NS = 86_400_000_000_000
VALID_NS = 400 * DAY_NS
"""How long a certified key may sign; the desk makes another long before."""


class BadReceipt(ValueError):
    """No receipt, or changed since it was signed, or by a key that this site did not certify for that time."""


def certify(site: str, public: bytes, site_key: SiteKey, now_ns: int) -> dict[str, Any]:
    """The site's word that the 32-byte `public` signs its receipts. It begins a day early: clocks are set back."""
    body = {
        "format": KEY_FORMAT,
        "site": site,
        "public_key": public.hex(),
        "from_ns": now_ns - DAY_NS,
        "until_ns": now_ns + VALID_NS,
    }
    return {"body": body, "signature": site_key.sign(KEY_CONTEXT + canonical(body)).hex()}


def certified(certificate: Any, site_public: Trusted) -> dict[str, Any]:
    """The body of a certificate that the site signed. Raises BadReceipt."""
    body = _signed_body(certificate, site_public, KEY_CONTEXT)
    if body.get("format") != KEY_FORMAT:
        raise BadReceipt("the certificate is of another format")
    return body


def sign_receipt(body: Mapping[str, object], key: SiteKey, certificate: Mapping[str, Any]) -> str:
    """The receipt of `body` (JSON values) as one line of JSON; the same each time for the same key."""
    said = {"format": FORMAT, **body}
    signature = key.sign(CONTEXT + canonical(said)).hex()
    return canonical({"body": said, "certificate": certificate, "signature": signature}).decode()


def check_receipt(text: str | bytes, site_public: Trusted) -> dict[str, Any]:
    """What a receipt says, if it is good under the site's public key, or one of them. Raises BadReceipt."""
    try:
        document = json.loads(text)
        key = certified(document["certificate"], site_public)
        body = _signed_body(document, bytes.fromhex(key["public_key"]), CONTEXT)
        in_time = key["from_ns"] <= body["received_ns"] <= key["until_ns"]
    except BadReceipt:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadReceipt("this is no receipt") from None
    if body.get("format") != FORMAT or body.get("site") != key["site"] or not in_time:
        raise BadReceipt("the receipt is not one that its key may sign")
    return body


def _signed_body(document: Any, public: Trusted, context: bytes) -> dict[str, Any]:
    try:
        body, signature = document["body"], bytes.fromhex(document["signature"])
        signed = context + canonical(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadReceipt("this is no receipt") from None
    if not isinstance(body, dict) or not verify(public, signature, signed):
        raise BadReceipt("a signature does not hold: it was changed, or another site made it")
    return body
