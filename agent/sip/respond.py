"""Responses as RFC 3261 §8.2.6 wants them: Vias copied in order, From, Call-ID and CSeq untouched, our To tag added.

`received` and `rport` by RFC 3261 §18.2.1 and RFC 3581; feature tag `+sip.srs` by RFC 7866 §7.2.
"""

import re
from collections.abc import Mapping

from aiosipua.headers import parse_via
from aiosipua.message import SipRequest, SipResponse
from aiosipua.utils import bracket_ipv6

from agent.sip.errors import REASONS
from agent.sip.message import METHODS, cseq, header, tag
from agent.sip.multipart import METADATA, SDP

SUPPORTED = ("siprec", "timer")
"""Extensions named in Supported."""

UNDERSTOOD = frozenset({"siprec", "timer", "100rel", "record-aware", "replaces", "histinfo", "norefersub"})
"""Extensions a request may require: those that ask nothing of a server that answers at once with a final response."""

ACCEPT = f"{SDP}, {METADATA}, multipart/mixed"
ALLOW = ", ".join(METHODS)
SERVER = "Greffier"
_RPORT = re.compile(r";[ \t]*rport[ \t]*(?=;|$|,)", re.IGNORECASE)
_MAX_VIAS = 32


def respond(
    request: SipRequest,
    status: int,
    source: tuple[str, int],
    *,
    to_tag: str = "",
    fields: Mapping[str, str] | None = None,
    body: bytes = b"",
    content_type: str = SDP,
) -> SipResponse:
    """The response to `request`, which came from address and port `source`.

    `fields` are further headers. A To that has a tag keeps it; otherwise `to_tag` is added, save on 100.
    """
    response = SipResponse(status_code=status, reason_phrase=REASONS[status])
    for number, via in enumerate(request.headers.get("via")[:_MAX_VIAS]):
        response.add_header("Via", _seen_from(via, source) if number == 0 else via)
    for route in request.headers.get("record-route")[:_MAX_VIAS]:
        if status < 300:
            response.add_header("Record-Route", route)
    response.set_header("From", header(request, "from"))
    to = header(request, "to")
    response.set_header("To", f"{to};tag={to_tag}" if to_tag and not tag(request, "to") and status > 100 else to)
    response.set_header("Call-ID", header(request, "call-id"))
    response.set_header("CSeq", f"{max(0, cseq(request))} {request.method}")
    for name, value in (fields or {}).items():
        response.set_header(name, value)
    response.set_header("Server", SERVER)
    if body:
        response.set_header("Content-Type", content_type)
        response.body = body
    return response


def _seen_from(via: str, source: tuple[str, int]) -> str:
    host, port = source
    named = parse_via(via).host
    asked = _RPORT.search(via)
    if asked is not None:
        via = via[: asked.start()] + f";rport={port}" + via[asked.end() :]
    if asked is not None or named.strip("[]") != host:
        via = re.sub(r";[ \t]*received=[^;,]*", "", via) + f";received={bracket_ipv6(host)}"
    return via


def contact(host: str, port: int, transport: str, *, sips: bool = False) -> str:
    """Our Contact: a session recording server (RFC 7866 §7.2).

    A `sips` URI for who wrote to one (RFC 3261 §8.1.1.8); others get `transport=tls`, which more gateways understand.
    """
    parameter = "" if sips or transport == "udp" else f";transport={transport}"
    return f"<{'sips' if sips else 'sip'}:{SERVER.lower()}@{bracket_ipv6(host)}:{port}{parameter}>;+sip.srs"


def capabilities(host: str, port: int, transport: str, *, sips: bool = False) -> dict[str, str]:
    """Headers that say what we can do: for OPTIONS and for every 2xx (RFC 3261 §11.2)."""
    return {
        "Contact": contact(host, port, transport, sips=sips),
        "Allow": ALLOW,
        "Accept": ACCEPT,
        "Supported": ", ".join(SUPPORTED),
    }
