"""Calls as a mirror port shows them: the SIP of two ends that are elsewhere, in frames addressed to nobody here."""

import socket
import struct
import time
from collections.abc import Iterable, Iterator

from bench.generator import Streams
from bench.net import NOBODY, Link

SIP_PORT = 5060
FIRST_PORT = 12000
AT_ONCE = 50
PAUSE_S = 0.3
CALLER, CALLED = "10.99.9.1", "10.99.9.2"
_SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
_HEAD = (
    "Via: SIP/2.0/UDP {0};branch=z9hG4bK{1}{2}\r\nFrom: <sip:{3}@{0}>;tag=a\r\nTo: <sip:+33100000000@{4}>{5}\r\n"
    "Call-ID: {1}@bench\r\nCSeq: {6} {2}\r\n"
)


def streams_of(calls: int) -> Streams:
    """Two streams a call, the second the other way."""
    ports = [(FIRST_PORT + 4 * n, FIRST_PORT + 4 * n + 2) for n in range(calls)]
    return [pair for caller, called in ports for pair in ((caller, called), (called, caller))]


def set_up(link: Link, calls: int) -> None:
    """INVITE, 200 and ACK of each call."""
    _send(link, (list(_set_up(n)) for n in range(calls)))


def hang_up(link: Link, calls: int) -> None:
    """BYE of each call."""
    _send(link, ([_frame(True, _message("BYE sip:x@y SIP/2.0", n, "BYE", 2, ";tag=b"))] for n in range(calls)))


def _send(link: Link, calls: Iterable[list[bytes]]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((link.interface, 0))
        for number, frames in enumerate(calls, 1):
            for frame in frames:
                out.send(frame)
            if number % AT_ONCE == 0:
                time.sleep(PAUSE_S)


def _set_up(n: int) -> Iterator[bytes]:
    caller, called = FIRST_PORT + 4 * n, FIRST_PORT + 4 * n + 2
    yield _frame(True, _message("INVITE sip:x@y SIP/2.0", n, "INVITE", 1, "", _SDP.format(CALLER, caller)))
    yield _frame(False, _message("SIP/2.0 200 OK", n, "INVITE", 1, ";tag=b", _SDP.format(CALLED, called)))
    yield _frame(True, _message("ACK sip:x@y SIP/2.0", n, "ACK", 1, ";tag=b"))


def _message(start: str, n: int, method: str, cseq: int, to_tag: str, sdp: str = "") -> bytes:
    head = _HEAD.format(CALLER, n, method, 1000 + n, CALLED, to_tag, cseq)
    body = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n" if sdp else ""
    return f"{start}\r\n{head}{body}\r\n{sdp}".encode()


def _frame(from_caller: bool, data: bytes) -> bytes:
    """Ethernet, IPv4 (RFC 791) and UDP (RFC 768; no checksum) around a message."""
    ends = [socket.inet_aton(host) for host in ((CALLER, CALLED) if from_caller else (CALLED, CALLER))]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0x4000, 64, 17, 0, *ends)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    udp = struct.pack(">HHHH", SIP_PORT, SIP_PORT, 8 + len(data), 0)
    return bytes.fromhex(NOBODY.replace(":", "")) + bytes(6) + b"\x08\x00" + head + udp + data
