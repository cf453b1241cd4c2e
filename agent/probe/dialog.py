"""The probe's side of a SIP dialog (RFC 3261 §12): tags, CSeq, routes, and the requests that carry them."""

import base64
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from aiosipua.message import SipRequest, SipResponse

from agent.config import Endpoint
from agent.probe.messages import host_in_uri, request


def new_uuid(dice: random.Random) -> uuid.UUID:
    """A random UUID (RFC 9562 version 4) from the dice given."""
    return uuid.UUID(int=dice.getrandbits(128), version=4)


def metadata_id(dice: random.Random) -> str:
    """An identifier of RFC 7865 §6.11: a UUID in base64."""
    return base64.b64encode(new_uuid(dice).bytes).decode()


@dataclass(frozen=True, slots=True)
class Written:
    """A request ready to go, and how its responses are known."""

    message: bytes
    branch: str
    cseq: int


class Dialog:
    """Built from the INVITE on; `established` once a 2xx came."""

    def __init__(self, target: Endpoint, number: str, dice: random.Random) -> None:
        self._target, self._dice = target, dice
        self._remote_uri = f"sip:recorder@{host_in_uri(target.host)}:{target.port};transport={target.transport}"
        self._from = f'"Probe" <sip:{number}@example.com>;tag={dice.getrandbits(64):016x}'
        self._to = f"<sip:recorder@{host_in_uri(target.host)}>"
        self._routes: list[str] = []
        self._cseq = 0
        self.call_id = str(new_uuid(dice))
        self.local: tuple[str, int] = ("", 0)
        self.established = False

    def write(self, method: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Written:
        """The next request."""
        self._cseq += 1
        branch = f"z9hG4bK{self._dice.getrandbits(64):016x}"
        return Written(self._message(method, branch, self._cseq, headers, body), branch, self._cseq)

    def ack(self, invite: Written, response: SipResponse) -> bytes:
        """The ACK for an INVITE's final response: a new branch for a 2xx (§13.2.2.4), else the same (§17.1.1.3)."""
        ok = response.status_code < 300
        branch = f"z9hG4bK{self._dice.getrandbits(64):016x}" if ok else invite.branch
        to = self._to if ok else response.get_header("to") or self._to
        return self._message("ACK", branch, invite.cseq, (), b"", to)

    def learn(self, response: SipResponse) -> None:
        """Take remote tag, target and routes from a 2xx to the first INVITE (§12.1.2)."""
        if response.contact:
            uri = (response.get_header("contact") or "").partition("<")[2].partition(">")[0]
            self._remote_uri = uri or self._remote_uri
        if not self.established:
            self._to = response.get_header("to") or self._to
            self._routes = response.get_header_values("record-route")[::-1]
        self.established = True

    def answer(self, asked: SipRequest, status: int, reason: str) -> bytes:
        """A response without a body to a request that came in."""
        lines = [f"SIP/2.0 {status} {reason}"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in asked.get_header_values(name.lower())]
        return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()

    def _message(
        self, method: str, branch: str, cseq: int, headers: Sequence[tuple[str, str]], body: bytes, to: str = ""
    ) -> bytes:
        host, port = host_in_uri(self.local[0]), self.local[1]
        transport = self._target.transport
        all_headers = [
            ("Via", f"SIP/2.0/{transport.upper()} {host}:{port};branch={branch};rport"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self._routes),
            ("From", self._from),
            ("To", to or self._to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:probe@{host}:{port};transport={transport}>;+sip.src"),
            ("User-Agent", "Greffier probe"),
            *headers,
        ]
        return request(method, self._remote_uri, all_headers, body)
