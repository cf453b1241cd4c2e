"""Dialogs: who is at the other end, which numbers and tags were used, and the requests we send inside.

RFC 3261 §12. Lenient in placing a request (§12.2.2): our tag decides; a To tag that is missing or wrong is forgiven
when Call-ID and From tag are those of one dialog, a wrong From tag when the To tag is ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aiosipua.message import SipRequest, SipResponse

from agent.sip.message import call_id, cseq, header, tag
from agent.sip.multipart import SDP
from agent.sip.uri import uri_of, uri_text

MAX_ROUTES = 16


@dataclass(slots=True)
class Dialog:
    """One dialog in which the peer sent the INVITE. `local`, `remote`: our and its From/To values, tags included."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    target: str
    routes: tuple[str, ...] = ()
    remote_cseq: int = 0
    local_cseq: int = 0
    peer_allows: frozenset[str] = field(default_factory=frozenset)

    def refresh_target(self, request: SipRequest) -> None:
        """A Contact in an INVITE or UPDATE moves the remote target (§12.2.2)."""
        self.target = uri_text(header(request, "contact")) or self.target

    def request(self, method: str, via: str, fields: Mapping[str, str], body: bytes = b"") -> SipRequest:
        """A request of ours inside the dialog (§12.2.1.1); `via` is the whole value, branch included."""
        if method != "ACK":
            self.local_cseq += 1
        request = SipRequest(method=method, uri=self.target)
        request.add_header("Via", via)
        for route in self.routes:
            request.add_header("Route", route)
        request.set_header("Max-Forwards", "70")
        request.set_header("From", self.local)
        request.set_header("To", self.remote)
        request.set_header("Call-ID", self.call_id)
        request.set_header("CSeq", f"{self.local_cseq} {method}")
        for name, value in fields.items():
            request.set_header(name, value)
        if body:
            request.set_header("Content-Type", SDP)
            request.body = body
        return request

    @property
    def next_hop(self) -> tuple[str, int] | None:
        """Host and port that requests of ours go to: the first route, else the target; None when neither names one."""
        uri = uri_of(self.routes[0] if self.routes else self.target)
        return None if uri is None else (uri.host.strip("[]"), uri.port or (5061 if self.transport == "tls" else 5060))

    @property
    def transport(self) -> str:
        """What the peer wants requests to come by: `udp`, `tcp` or `tls` (§19.1.1, §26.2.2)."""
        hop = (self.routes[0] if self.routes else self.target).lower()
        if ";transport=tls" in hop or "sips:" in hop:
            return "tls"
        return "tcp" if ";transport=tcp" in hop else "udp"


def begin(request: SipRequest, response: SipResponse, local_tag: str, source: tuple[str, int]) -> Dialog:
    """The dialog an INVITE and our 2xx make (§12.1.1). Without a Contact the source of the request is the target."""
    host, port = source
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Dialog(
        call_id=call_id(request),
        local_tag=local_tag,
        remote_tag=tag(request, "from"),
        local=header(response, "to"),
        remote=header(request, "from"),
        target=uri_text(header(request, "contact")) or f"sip:{at}",
        routes=tuple(request.headers.get("record-route")[:MAX_ROUTES]),
        remote_cseq=cseq(request),
        peer_allows=allowed(request),
    )


def allowed(request: SipRequest) -> frozenset[str]:
    """Methods the peer lists in Allow, in upper case; empty when it lists none."""
    values = request.headers.get("allow")
    return frozenset(m.strip().upper() for value in values for m in value.split(",") if m.strip())


class DialogTable:
    """Dialogs by Call-ID; `owner` of each is what the tap keeps of it (a session)."""

    def __init__(self) -> None:
        self._all: dict[str, list[Dialog]] = {}

    def __len__(self) -> int:
        return sum(len(dialogs) for dialogs in self._all.values())

    def __iter__(self) -> Iterator[Dialog]:
        return (dialog for dialogs in self._all.values() for dialog in dialogs)

    def add(self, dialog: Dialog) -> None:
        """From now on requests find it."""
        self._all.setdefault(dialog.call_id, []).append(dialog)

    def remove(self, dialog: Dialog) -> None:
        """Requests no longer find it."""
        rest = [d for d in self._all.get(dialog.call_id, []) if d is not dialog]
        if rest:
            self._all[dialog.call_id] = rest
        else:
            self._all.pop(dialog.call_id, None)

    def find(self, request: SipRequest) -> Dialog | None:
        """The dialog a request belongs to, or None."""
        dialogs = self._all.get(call_id(request), [])
        ours, theirs = tag(request, "to"), tag(request, "from")
        for dialog in dialogs:
            if dialog.local_tag == ours:
                return dialog
        found = [d for d in dialogs if d.remote_tag == theirs]
        return found[0] if len(found) == 1 else None
