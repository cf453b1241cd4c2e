"""Phone forks: two plain calls of one conversation, one for each side, that belong together by what their INVITEs say.

Cisco Unified CM has a phone's built-in bridge (or a gateway) send the agent's voice in one call and the other party's
in another, with the parameters `x-nearend` or `x-farend`, `x-refci`, `x-nearendaddr`, `x-farendaddr` in the From URI
(Features and Services Guide, "Recording": SIP header enhancements). Other gateways repeat a header, such as Cisco-Guid,
or Session-ID of RFC 7989, in both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiosipua.message import SipRequest

from agent.sip.message import header
from agent.sip.uri import clean, number_of

MAX_KEY_CHARS = 128
LASTING = "x-refci:"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PARAMETER = re.compile(r';\s*([A-Za-z0-9_.!%*+`~-]{1,64})(?:\s*=\s*(?:"([^"]{0,512})"|([^;>\s",]{0,512})))?')
_NO_UUID = "0" * 32


class Side(StrEnum):
    """Whose voice a leg carries: of the party whose phone forks (near), or of whom that party talks to (far)."""

    NEAR = "near"
    FAR = "far"


@dataclass(frozen=True, slots=True)
class Fork:
    """What an INVITE says of the conversation it is one side of. `key` is the same in both; numbers may be "".

    `side` is None where the headers do not tell: then it is nobody's voice in particular.
    """

    key: str
    side: Side | None
    near: str = ""
    far: str = ""

    @property
    def lasting(self) -> bool:
        """Whether the key names one conversation of one phone however long it lasts, as `x-refci` does."""
        return self.key.startswith(LASTING)


def parameters(value: str) -> dict[str, str]:
    """Parameters of a name-addr, those of the URI and those of the header, by name in lower case; the first one counts.

    What stands in a display name is none of them.
    """
    start = value.find("<")
    while (quoted := _QUOTED.search(value)) and (start < 0 or quoted.start() < start):
        value = value[quoted.end() :]
        start = value.find("<")
    found: dict[str, str] = {}
    for name, quoted_value, plain in _PARAMETER.findall(value):
        found.setdefault(name.lower(), quoted_value or plain)
    return found


def read(invite: SipRequest, names: Sequence[str]) -> Fork | None:
    """The fork that an INVITE or UPDATE belongs to, by the first of `names` that is there, or None.

    A name is that of a parameter of From or Contact, or of a header. Never raises.
    """
    said = parameters(header(invite, "contact")) | parameters(header(invite, "from"))
    for name in names:
        value = clean(said.get(name.lower(), "") or header(invite, name), 512)
        if name.lower() == "session-id":
            value = _session(value)
        if value:
            break
    else:
        return None
    side = Side.NEAR if "x-nearend" in said else Side.FAR if "x-farend" in said else None
    cluster = said.get("x-nearendclusterid", "")
    near = number_of(said.get("x-nearendaddr", "")) or (number_of(header(invite, "from")) if side else "")
    far = number_of(said.get("x-farendaddr", ""))
    return Fork(f"{name.lower()}:{cluster}:{value}"[:MAX_KEY_CHARS], side, near, far)


def _session(value: str) -> str:
    """Both UUIDs of a Session-ID, in an order that either end would write them in; "" when one is not known yet."""
    own, _, rest = value.partition(";")
    remote = re.search(r"remote\s*=\s*([0-9A-Fa-f]{32})", rest)
    both = sorted({own.strip().lower(), remote[1].lower() if remote else _NO_UUID})
    return "" if _NO_UUID in both else "+".join(both)
