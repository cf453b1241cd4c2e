"""What an INFO inside a call asks for: recording on or off, or a key that was pressed.

`Record: on|off` is what phones send for their record key; keys come as `application/dtmf-relay` (`Signal=5` and
`Duration=160`, a line each) or `application/dtmf` (the key alone). Neither is in an RFC: legacy usage (RFC 6086 §1).
"""

import re

from aiosipua.message import SipRequest

from agent.model.keys import KEY_NAMES
from agent.sip.errors import SipError
from agent.sip.message import header
from agent.sip.multipart import media_type

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"
MAX_KEY_BYTES = 256
_SIGNAL = re.compile(rb"^[ \t]*signal[ \t]*=[ \t]*([^\r\n]{1,8}?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_FLASH = frozenset({"16", "!", "F", "FLASH"})


def record(request: SipRequest) -> bool | None:
    """Whether recording is to be on or off; None where the INFO does not say. Raises SipError 400 for other words."""
    if request.headers.get_first("record") is None:
        return None
    word = header(request, "record").strip().lower()
    if word not in ("on", "off"):
        raise SipError(400, "a Record header says neither on nor off")
    return word == "on"


def key(request: SipRequest) -> str | None:
    """The key of `KEY_NAMES` that was pressed; None where the INFO tells of none, or of a hook flash.

    Raises SipError 400 when it should and does not.
    """
    kind = media_type(header(request, "content-type"))
    if kind not in (RELAY, PLAIN):
        return None
    body = request.body[: MAX_KEY_BYTES + 1]
    found = _SIGNAL.search(body) if kind == RELAY else None
    text = (found[1] if found else body).decode("ascii", "replace").strip().upper()
    if text in _FLASH:
        return None
    if len(text) == 1 and text in KEY_NAMES:
        return text
    if len(body) <= MAX_KEY_BYTES and text in {"10", "11", "12", "13", "14", "15"}:
        return KEY_NAMES[int(text)]
    raise SipError(400, "an INFO of keys names none")
