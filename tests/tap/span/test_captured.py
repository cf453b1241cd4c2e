"""Real SIP: sipp calls sipp over UDP and TCP, tcpdump overhears, and the calls are those that were made."""

import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from overheard import active, kinds, listening

from agent.model.events import CallChanged, CallStarted
from agent.tap.span.message import Overheard

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="tcpdump needs root")]

CALLS = 3
SDP = """v=0
o=- 1 [version] IN IP4 [media_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 8 101
a=rtpmap:101 telephone-event/8000
[flow]"""


def sent(start: str, number: int, method: str, *, version: int = 0, flow: str = "", to: str = "") -> str:
    """A `send` of the caller."""
    body = SDP.replace("[version]", str(version)).replace("[flow]", flow) if version else ""
    kind = "Content-Type: application/sdp\n" if version else ""
    return f"""<send><![CDATA[
{start} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:201@[local_ip]:[local_port]>;tag=[call_number]a
To: <sip:+33612345678@[remote_ip]:[remote_port]>{to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:201@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{kind}Content-Length: [len]

{body}
]]></send>"""


def answered(status: str, *, version: int = 0, flow: str = "", tag: str = "") -> str:
    """A `send` of the called side."""
    body = SDP.replace("[version]", str(version)).replace("[flow]", flow) if version else ""
    kind = "Content-Type: application/sdp\n" if version else ""
    return f"""<send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
{kind}Content-Length: [len]

{body}
]]></send>"""


URI = "sip:+33612345678@[remote_ip]:[remote_port]"
CALLER = "\n".join(
    [
        sent(f"INVITE {URI}", 1, "INVITE", version=1, flow="a=sendrecv"),
        '<recv response="183"></recv>',
        '<recv response="200"></recv>',
        sent(f"ACK {URI}", 1, "ACK", to="[peer_tag_param]"),
        '<pause milliseconds="200"/>',
        sent(f"INVITE {URI}", 2, "INVITE", version=2, flow="a=sendonly", to="[peer_tag_param]"),
        '<recv response="200"></recv>',
        sent(f"ACK {URI}", 2, "ACK", to="[peer_tag_param]"),
        '<pause milliseconds="100"/>',
        sent(f"BYE {URI}", 3, "BYE", to="[peer_tag_param]"),
        '<recv response="200"></recv>',
    ]
)
CALLED = "\n".join(
    [
        '<recv request="INVITE"></recv>',
        answered("183 Session Progress", version=1, tag=";tag=[call_number]b"),
        '<pause milliseconds="100"/>',
        answered("200 OK", version=1, tag=";tag=[call_number]b"),
        '<recv request="ACK"></recv>',
        '<recv request="INVITE"></recv>',
        answered("200 OK", version=2, flow="a=recvonly"),
        '<recv request="ACK"></recv>',
        '<recv request="BYE"></recv>',
        answered("200 OK"),
    ]
)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def overheard(path: Path) -> Iterator[Overheard]:
    """What tcpdump wrote of Ethernet, IPv4, UDP and TCP."""
    data, at = path.read_bytes(), 24
    while at < len(data):
        seconds, fraction, length = struct.unpack_from("<III", data, at)
        packet, at = data[at + 30 : at + 16 + length], at + 16 + length
        ip, ends = packet[(packet[0] & 15) * 4 : struct.unpack_from(">H", packet, 2)[0]], packet[12:20]
        hosts = socket.inet_ntoa(ends[:4]), socket.inet_ntoa(ends[4:])
        source, destination = struct.unpack_from(">HH", ip)
        at_ns = seconds * 1_000_000_000 + fraction * 1000
        both = (hosts[0], source), (hosts[1], destination)
        if packet[9] == socket.IPPROTO_UDP:
            yield Overheard(at_ns, "udp", *both, ip[8:])
        else:
            yield Overheard(at_ns, "tcp", *both, ip[(ip[12] >> 4) * 4 :], struct.unpack_from(">I", ip, 4)[0], ip[13])


def capture(folder: Path, transport: str) -> Path:
    """Three calls one after the other, as tcpdump saw them."""
    port, mine = free_port(), free_port()
    for name, steps in (("caller", CALLER), ("called", CALLED)):
        (folder / f"{name}.xml").write_text(f'<?xml version="1.0"?>\n<scenario name="{name}">\n{steps}\n</scenario>\n')
    path = folder / "wire.pcap"
    dump = subprocess.Popen(
        ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", path, f"port {port}"], stderr=subprocess.PIPE, text=True
    )
    assert dump.stderr is not None
    while "listening on" not in dump.stderr.readline():
        assert dump.poll() is None
    common = ["-i", "127.0.0.1", "-t", transport, "-m", str(CALLS), "-l", "1", "-nostdin", "-timeout", "30s"]
    called = subprocess.Popen(
        ["sipp", "127.0.0.1", "-sf", folder / "called.xml", "-p", str(port), *common], stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(0.5)
        command = ["sipp", f"127.0.0.1:{port}", "-sf", folder / "caller.xml", "-p", str(mine), *common]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=40)
        assert called.wait(20) == 0
        time.sleep(0.5)
    finally:
        called.kill()
        called.wait()
        dump.send_signal(signal.SIGINT)
        dump.wait(10)
        dump.stderr.close()
    return path


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_calls_of_sipp_are_overheard(tmp_path: Path, transport: str) -> None:
    watcher = listening()
    messages = list(overheard(capture(tmp_path, transport)))
    events = [event for message in messages for event in watcher.hear(message)]
    assert kinds(events) == ["started", "changed", "ended"] * CALLS
    bodies = b"".join(m.data for m in messages)
    ports = [int(port) for port in re.findall(rb"m=audio (\d+)", bodies)]
    for started, held in zip(events[::3], events[1::3], strict=True):
        assert isinstance(started, CallStarted) and isinstance(held, CallChanged)
        assert [p.number for p in started.call.parties] == ["201", "+33612345678"]
        both = active(started.call)
        assert set(both) == {"201", "+33612345678"} and {port for _, port in both.values()} <= set(ports)
        assert set(active(held)) == {"201"}, "on hold only the music of who holds is heard"
    again = listening()
    twice = [event for message in messages for m in (message, message) for event in again.hear(m)]
    assert kinds(twice) == kinds(events), "a mirror of two ports shows each packet twice"
