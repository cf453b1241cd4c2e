"""What an INVITE or UPDATE brings: a description, recording metadata, demands; checked before anything changes."""

from dataclasses import dataclass

import structlog
from aiosipua.message import SipRequest

from agent.sip import multipart
from agent.sip.errors import SipError
from agent.sip.message import header, tokens
from agent.sip.metadata import Metadata
from agent.sip.metadata_xml import read
from agent.sip.respond import UNDERSTOOD

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Contents:
    """The bodies that a recorder uses. Unreadable metadata is None: the call is recorded all the same."""

    sdp: bytes | None
    metadata: Metadata | None


def contents(request: SipRequest) -> Contents:
    """Raises SipError 415 when all of it is of types we do not know, 400 when the parts cannot be told apart."""
    found = multipart.bodies(header(request, "content-type"), request.body)
    if found.others and found.sdp is None and found.metadata is None:
        raise SipError(415, "the body is of a type we do not know")
    return Contents(found.sdp, None if found.metadata is None else _metadata(found.metadata))


def _metadata(data: bytes) -> Metadata | None:
    try:
        return read(data)
    except SipError as error:
        log.warning("siprec.metadata_refused", problem=str(error))
        return None


def unknown_extensions(request: SipRequest) -> frozenset[str]:
    """Extensions that a request requires and we do not have."""
    return tokens(request, "require") - UNDERSTOOD


def check_require(request: SipRequest) -> None:
    """Raises SipError 420 (RFC 3261 §8.2.2.3)."""
    if unknown_extensions(request):
        raise SipError(420, "an extension is required that we do not have")
