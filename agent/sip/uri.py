"""Addresses of record as numbers and names: `sip:`, `sips:`, `tel:` and what else gateways put there.

RFC 3261 §19.1 and §20.10, RFC 3966 §5.1.1 (visual separators of tel numbers mean nothing).
"""

import re
from urllib.parse import unquote

from aiosipua.headers import SipUri, parse_address, parse_uri

MAX_NUMBER_CHARS = 64
MAX_NAME_CHARS = 128

_SEPARATED = re.compile(r"\+?[0-9*#().\- ]+")
_SEPARATORS = re.compile(r"[().\- ]")
_UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SCHEME = re.compile(r"(sips?|tel):", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """Text fit to keep: no control characters, no surrounding space, at most `limit` characters."""
    return _UNPRINTABLE.sub("", text).strip()[:limit]


def number_of(aor: str) -> str:
    """The user part of an address: `sip:+331234@gw;user=phone` → `+331234`, `tel:+33-1-23` → `+33123`, else "".

    A name-addr, quotes, a missing scheme and a missing host are all understood; URI parameters, a password and
    percent escapes are undone.
    """
    text = clean(aor, 1024)
    if "<" in text and ">" in text:
        text = text[text.index("<") + 1 : text.rindex(">")]
    scheme = _SCHEME.match(text)
    is_tel = scheme is not None and scheme[1].lower() == "tel"
    rest = text[scheme.end() :] if scheme else text.strip('"')
    user, at, _ = rest.rpartition("@")
    if not at:
        if scheme is not None and not is_tel:
            return ""  # sip:host
        user = rest
    user = unquote(user.split(";")[0].split("?")[0].split(":")[0]).strip()
    if _SEPARATED.fullmatch(user):
        user = _SEPARATORS.sub("", user)
    return clean(user, MAX_NUMBER_CHARS)


def name_of(value: str) -> str:
    """The display name of a name-addr header value, "" when it has none."""
    return clean((parse_address(value).display_name or "").replace('\\"', '"'), MAX_NAME_CHARS)


def uri_of(value: str) -> SipUri | None:
    """The URI inside a Contact, Route or Record-Route value, or None when it is not usable as a target."""
    text = uri_text(value)
    if not text.lower().startswith(("sip:", "sips:")):
        return None
    try:
        uri = parse_uri(text)
    except ValueError:
        return None
    return uri if uri.host else None


def uri_text(value: str) -> str:
    """The URI of a Contact value as it stands there, for a request line. "" when there is none."""
    text = (
        value[value.index("<") + 1 : value.rindex(">")]
        if "<" in value and ">" in value
        else value.split(";", maxsplit=1)[0]
    )
    return text.strip() if _SCHEME.match(text.strip()) and not re.search(r"\s", text.strip()) else ""
