"""Overheard SIP: whatever comes, in whatever order, calls begin once, end once, and nothing is kept of what is over."""

from agent.config import Site, Span
from agent.model.events import CallStarted
from agent.tap.span.message import Overheard
from agent.tap.span.watcher import Watcher

S = 1_000_000_000
PHONE, PBX = ("10.0.0.5", 5060), ("10.0.0.1", 5060)
_SDP = "v=0\r\nc=IN IP4 {0}\r\nm=audio {1} RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n{2}"
_ENDS = "Via: SIP/2.0/UDP x\r\nFrom: <sip:201@x>;tag=a\r\nTo: <sip:+336@y>{0}\r\nCall-ID: {1}\r\nCSeq: {2}\r\n"
_TYPE = "Content-Type: application/sdp\r\n"


def _request(method: str, to: str, cseq: int, sdp: str = "", more: str = "", call: str = "one") -> bytes:
    ends = _ENDS.format(to, call, f"{cseq} {method}")
    return f"{method} sip:x@y SIP/2.0\r\n{ends}{more}{_TYPE if sdp else ''}\r\n{sdp}".encode()


def _response(status: int, cseq: str, sdp: str = "", call: str = "one") -> bytes:
    return f"SIP/2.0 {status} X\r\n{_ENDS.format(';tag=b', call, cseq)}{_TYPE if sdp else ''}\r\n{sdp}".encode()


_CALL = (
    _request("INVITE", "", 1, _SDP.format("10.0.0.5", 4000, "")),
    _response(183, "1 INVITE", _SDP.format("10.0.0.1", 6000, "")),
    _response(200, "1 INVITE", _SDP.format("10.0.0.1", 6002, "a=sendonly\r\n")),
    _request("ACK", ";tag=b", 1),
    _request("REFER", ";tag=b", 2, more="Refer-To: <sip:202@x>\r\n"),
    _request("INVITE", "", 1, _SDP.format("10.0.0.7", 4400, ""), "Replaces: one;to-tag=b;from-tag=a\r\n", "two"),
    _response(200, "1 INVITE", _SDP.format("10.0.0.1", 6004, ""), "two"),
    _request("BYE", ";tag=b", 3),
)
SEPARATOR = b"\x00|"
SEEDS = (SEPARATOR.join(_CALL), SEPARATOR.join(_CALL[:3]), _CALL[0])
WORDS = (SEPARATOR, b"INVITE ", b"SIP/2.0 487 X", b"CANCEL ", b"tag=", b"Session-ID: ", b"m=audio 0", b"a=inactive")


def target(data: bytes) -> None:
    """Messages parted by SEPARATOR; one whose first byte is `T` is a segment of TCP."""
    watcher = Watcher(Span(max_calls=4), Site(), lambda at_ns, seed: f"{at_ns:032x}"[-32:])
    live: dict[str, bool] = {}
    events = []
    for number, part in enumerate(data.split(SEPARATOR)[:64]):
        tcp = part[:1] == b"T"
        at_ns = (number + 1) * S
        events += watcher.hear(Overheard(at_ns, "tcp" if tcp else "udp", PHONE, PBX, part[tcp:], len(part) * number))
        for event in events[-8:]:
            if event.kind != "ended":
                assert watcher.live <= 4
    events += watcher.expire(10**17, {}.get)
    for event in events:
        assert isinstance(event, CallStarted) == (event.call_id not in live), "begins once, and before all else"
        assert live.get(event.call_id, True), "nothing comes after the end"
        live[event.call_id] = event.kind != "ended"
    assert not any(live.values()) and watcher.live == 0
