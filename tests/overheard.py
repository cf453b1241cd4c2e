"""SIP as it is overheard between phones, a PBX and a trunk: what the tests of the span tap hear."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from agent.config import Site, Span
from agent.model.call import Call
from agent.model.events import CallChanged, CallEvent, CallKeyed
from agent.tap.span.message import Overheard
from agent.tap.span.watcher import Watcher

S = 1_000_000_000
PHONE, PBX, TRUNK, OTHER = "10.0.0.5", "10.0.0.1", "10.0.0.9", "10.0.0.7"
_numbers = count(1)


def described(host: str, port: int, types: str = "8 0 101", more: str = "") -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP {types}\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\n{more}"
    )


@dataclass
class Talk:
    """One dialog between two hosts; every method is a message on the wire, one second after the one before."""

    caller: str = "201"
    called: str = "+33612345678"
    a: str = PHONE
    b: str = PBX
    call_id: str = field(default_factory=lambda: f"call-{next(_numbers)}@x")
    at_s: int = 100
    headers: str = ""

    def request(
        self, method: str, sdp: str = "", *, to: str = "", cseq: int = 1, back: bool = False, more: str = ""
    ) -> Overheard:
        ends = [f"<sip:{self.caller}@{self.a}>;tag=a", f"<sip:{self.called}@{self.b}>" + (f";tag={to}" if to else "")]
        sender, receiver = reversed(ends) if back else ends
        return self._wire(f"{method} sip:x@y SIP/2.0", sender, receiver, cseq, method, sdp, back, more + self.headers)

    def info(self, key: str, cseq: int, *, back: bool = False, more: str = "") -> Overheard:
        """A key told by SIP."""
        body = f"Signal={key}\r\nDuration=160\r\n"
        sent = self.request("INFO", body, to="b", cseq=cseq, back=back, more=more)
        return replace(sent, data=sent.data.replace(b"application/sdp", b"application/dtmf-relay"))

    def response(
        self,
        status: int,
        sdp: str = "",
        *,
        to: str = "b",
        cseq: int = 1,
        method: str = "INVITE",
        back: bool = False,
        more: str = "",
    ) -> Overheard:
        """`back`: to a request of the called side."""
        ends = [f"<sip:{self.caller}@{self.a}>;tag=a", f"<sip:{self.called}@{self.b}>;tag={to}"]
        sender, receiver = reversed(ends) if back else ends
        return self._wire(f"SIP/2.0 {status} X", sender, receiver, cseq, method, sdp, not back, more)

    def _wire(
        self, start: str, sender: str, receiver: str, cseq: int, method: str, sdp: str, from_b: bool, more: str
    ) -> Overheard:
        self.at_s += 1
        body = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}" if sdp else "\r\n"
        transaction = "INVITE" if method == "CANCEL" else method  # RFC 3261 §9.1
        text = (
            f"{start}\r\nVia: SIP/2.0/UDP {self.a};branch=z9hG4bK{cseq}{transaction}\r\n"
            f"From: {sender}\r\nTo: {receiver}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n{more}{body}"
        )
        ends = ((self.b, 5060), (self.a, 5060)) if from_b else ((self.a, 5060), (self.b, 5060))
        return Overheard(self.at_s * S, "udp", *ends, text.encode())

    def answered(self) -> list[Overheard]:
        """A whole set-up: A receives at its port 4000, B at 6000."""
        return [
            self.request("INVITE", described(self.a, 4000)),
            self.response(100, to=""),
            self.response(180),
            self.response(200, described(self.b, 6000, "8 101")),
            self.request("ACK", to="b"),
        ]


def listening(**changes: object) -> Watcher:
    def new_id(at_ns: int, seed: str) -> str:
        return f"{at_ns // 1_000_000:012x}{abs(hash(seed)) % (1 << 80):020x}"

    return Watcher(Span(**changes), Site(), new_id)


def hear(watcher: Watcher, messages: Sequence[Overheard]) -> list[CallEvent | CallKeyed]:
    return [event for message in messages for event in watcher.hear(message)]


def kinds(events: Sequence[CallEvent | CallKeyed]) -> list[str]:
    return [event.kind for event in events]


def active(call: Call | CallChanged) -> dict[str, tuple[str, int]]:
    """Where the voice of each party goes, by its number."""
    numbers = {p.participant_id: p.number for p in call.parties}
    return {numbers[s.participant_id or ""]: (s.host, s.port) for s in call.streams if s.active}
