"""What must hold of every refusal: it deserves a SIP answer, and says nothing of what the peer sent."""

import re

from agent.sip.errors import REASONS, SipError
from agent.sip.framing import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES
from agent.sip.metadata_xml import MAX_BYTES as MAX_METADATA
from agent.sip.metadata_xml import MAX_ELEMENTS
from agent.sip.sdp import MAX_BYTES as MAX_SDP
from agent.sip.sdp import MAX_LINES

_LIMITS = {MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, MAX_METADATA, MAX_ELEMENTS, MAX_SDP, MAX_LINES}


def check(error: SipError) -> None:
    """The text of a refusal is short and plain, and its only long numbers are our own limits."""
    text = str(error)
    assert error.status in REASONS and text.isascii() and text.isprintable() and len(text) < 120
    assert {int(n) for n in re.findall(r"\d{3,}", text)} <= _LIMITS
