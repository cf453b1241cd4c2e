"""A phone and a PBX on a wire of their own, and a switch port that mirrors it: what a mirror port is tested with.

Two network namespaces joined by a veth pair hold the phone and the PBX; a copier in the phone's namespace sends every
frame that crosses, with 802.1Q tags put in, to a second pair whose other end is the mirror port. Needs root. As a
script this file is what runs inside: `python phones.py phone|pbx|copier …`.
"""

import argparse
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.probe.impairment import Impairment, schedule

PHONE, PBX = "10.99.7.2", "10.99.7.1"
FRAME = 160
PTIME_S = 0.02
PCMA = 8


def voice(seconds: float, seed: int) -> bytes:
    """G.711 that is nowhere else: no two frames of it are alike."""
    return np.random.default_rng(seed).integers(0, 256, int(seconds * 50) * FRAME, np.uint8).tobytes()


def sdp(host: str, port: int) -> bytes:
    lines = ("v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP {PCMA}")
    return "".join(f"{line}\r\n" for line in (*lines, f"a=rtpmap:{PCMA} PCMA/8000", "a=ptime:20")).encode()


def message(first: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    headers = headers | ({"Content-Type": "application/sdp"} if body else {}) | {"Content-Length": str(len(body))}
    return "".join([first, "\r\n", *(f"{k}: {v}\r\n" for k, v in headers.items()), "\r\n"]).encode() + body


def headers_of(data: bytes) -> dict[str, str]:
    found = re.findall(rb"(?m)^(Via|From|To|Call-ID|CSeq): (.*?)\r$", data)
    return {name.decode(): value.decode() for name, value in found}


def rtp_packets(coded: bytes, ssrc: int) -> list[bytes]:
    return [
        struct.pack(">BBHII", 0x80, PCMA, (65500 + n) & 0xFFFF, (n * FRAME + 4_294_960_000) & 0xFFFFFFFF, ssrc)
        + coded[n * FRAME : (n + 1) * FRAME]
        for n in range(len(coded) // FRAME)
    ]


def speak(sock: socket.socket, to: tuple[str, int], coded: bytes, ssrc: int, bad: bool) -> None:
    """Send it in real time; on a `bad` line with loss, reordering and duplicates."""
    packets = rtp_packets(coded, ssrc)
    faults = (
        Impairment(loss_percent=3, reorder_percent=8, reorder_depth=4, duplicate_percent=3) if bad else Impairment()
    )
    plan = schedule(len(packets), faults, ssrc)
    begun = time.monotonic()
    for packet, tick in zip(plan.packet.tolist(), plan.tick.tolist(), strict=True):
        time.sleep(max(0.0, begun + tick * PTIME_S - time.monotonic()))
        sock.sendto(packets[packet], to)


def bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


def phone(seconds: float, seed: int, reference: str, port: int, bad: bool) -> None:
    """Call the PBX, speak, hang up."""
    sip, rtp = bound(PHONE, port), bound(PHONE, port + 20000)
    sip.settimeout(10)
    own = {
        "Via": f"SIP/2.0/UDP {PHONE}:{port};branch=z9hG4bK{reference}",
        "From": f'"Alice" <sip:201@{PBX}>;tag=phone',
        "To": f"<sip:+33612345678@{PBX}>",
        "Call-ID": reference,
        "CSeq": "1 INVITE",
        "Contact": f"<sip:201@{PHONE}:{port}>",
        "Max-Forwards": "70",
    }
    sip.sendto(message(f"INVITE sip:+33612345678@{PBX} SIP/2.0", own, sdp(PHONE, port + 20000)), (PBX, 5060))
    while not (answer := sip.recv(65536)).startswith(b"SIP/2.0 200"):
        pass
    to = headers_of(answer)["To"]
    there = re.search(rb"m=audio (\d+)", answer)
    again = own | {"To": to, "Via": own["Via"] + "2"}
    sip.sendto(message(f"ACK sip:{PBX}:5060 SIP/2.0", again | {"CSeq": "1 ACK"}), (PBX, 5060))
    speak(rtp, (PBX, int(there[1])), voice(seconds, seed), seed, bad)
    time.sleep(0.3)
    sip.sendto(message(f"BYE sip:{PBX}:5060 SIP/2.0", again | {"CSeq": "2 BYE"}), (PBX, 5060))
    sip.recv(65536)


def pbx(seconds: float, seed: int, bad: bool) -> None:
    """Answer one call, speak; over when the caller hangs up."""
    sip, rtp = bound(PBX, 5060), bound(PBX, 31000)
    sip.settimeout(30)
    speaking: threading.Thread | None = None
    while True:
        data, peer = sip.recvfrom(65536)
        method, own = data.split(b" ")[0], headers_of(data)
        own["To"] += "" if "tag=" in own["To"] else ";tag=pbx"
        if method == b"INVITE":
            there = re.search(rb"m=audio (\d+)", data)
            sip.sendto(message("SIP/2.0 100 Trying", own), peer)
            sip.sendto(message("SIP/2.0 180 Ringing", own | {"Contact": f"<sip:{PBX}:5060>"}), peer)
            time.sleep(0.2)
            sip.sendto(message("SIP/2.0 200 OK", own | {"Contact": f"<sip:{PBX}:5060>"}, sdp(PBX, 31000)), peer)
            arguments = (rtp, (peer[0], int(there[1])), voice(seconds, seed), seed, bad)
            speaking = threading.Thread(target=speak, args=arguments)
        elif method == b"ACK" and speaking:
            speaking.start()
        elif method == b"BYE" and speaking:
            speaking.join()
            sip.sendto(message("SIP/2.0 200 OK", own), peer)
            return


def copier(wire: str, mirror: str, tags: int) -> None:
    """Every frame that crosses the wire, tagged, out by the mirror; until killed."""
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    seen.bind((wire, 0))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind((mirror, 0))
    inserted = b"".join(struct.pack(">HH", kind, 42) for kind in (0x88A8, 0x8100)[2 - tags :])
    print("copying", flush=True)
    while True:
        frame = seen.recv(65536)
        out.send(frame[:12] + inserted + frame[12:])


def frame(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> bytes:
    """A UDP datagram in IPv4 in Ethernet."""
    udp = struct.pack(">HHHH", source[1], destination[1], 8 + len(data), 0) + data
    ends = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    return bytes(12) + struct.pack(">HBBHHHBBH", 0x0800, 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0) + ends + udp


def written_call(number: int, begins_s: float, seconds: float, place: int | None = None) -> list[tuple[float, bytes]]:
    """A whole call as (time in s, frame): voices of seeds 2 · `number` and 2 · `number` + 1, Call-ID `call-NUMBER`.

    Calls of the same `place` (the number, when not given) have the same addresses.
    """
    place = number if place is None else place
    one, other = f"10.1.{place // 200}.{place % 200 + 1}", "10.2.0.1"
    ports = 20000, 20000 + 2 * place
    own = {"Via": f"SIP/2.0/UDP {one}:5060;branch=z9hG4bK{number}", "From": f"<sip:201@{other}>;tag=a"}
    own |= {"To": f"<sip:+33612345678@{other}>", "Call-ID": f"call-{number}", "CSeq": "1 INVITE"}
    own |= {"Contact": f"<sip:201@{one}>"}
    met = own | {"To": own["To"] + ";tag=b"}
    up, down = ((one, 5060), (other, 5060)), ((other, 5060), (one, 5060))
    at = begins_s
    said = [
        (at, up, message(f"INVITE sip:+33612345678@{other} SIP/2.0", own, sdp(one, ports[0]))),
        (at + 0.1, down, message("SIP/2.0 180 Ringing", met)),
        (at + 0.5, down, message("SIP/2.0 200 OK", met, sdp(other, ports[1]))),
        (at + 0.51, up, message(f"ACK sip:{other} SIP/2.0", met | {"CSeq": "1 ACK"})),
        (at + 0.7 + seconds, up, message(f"BYE sip:{other} SIP/2.0", met | {"CSeq": "2 BYE"})),
        (at + 0.71 + seconds, down, message("SIP/2.0 200 OK", met | {"CSeq": "2 BYE"})),
    ]
    frames = [(when, frame(*ends, data)) for when, ends, data in said]
    ways = (((one, ports[0]), (other, ports[1])), ((other, ports[1]), (one, ports[0])))
    for ends, seed in zip(ways, (2 * number, 2 * number + 1), strict=True):
        for n, packet in enumerate(rtp_packets(voice(seconds, seed), seed + 1)):
            frames.append((at + 0.55 + n * PTIME_S, frame(*ends, packet)))
    return frames


def write_capture(path: Path, frames: list[tuple[float, bytes]], *, as_given: bool = False) -> None:
    """A pcap file of these, in order of time or as they are given."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)]
    for at, data in frames if as_given else sorted(frames, key=lambda one: one[0]):
        ns = round(at * 1e9)
        parts.append(struct.pack("<4I", ns // 10**9, ns % 10**9, len(data), len(data)) + data)
    path.write_bytes(b"".join(parts))


@dataclass
class Wire:
    """A wire that exists. `mirror` is the interface to listen on, in the namespace of whoever made it."""

    name: str
    mirror: str

    def run(self, where: str, *command: object, stderr: int | None = None) -> subprocess.Popen[bytes]:
        """Start a program in the namespace of the `phone` or of the `pbx`."""
        whole = ["ip", "netns", "exec", f"{self.name}-{where}", *map(str, command)]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=stderr)

    def script(self, where: str, what: str, *arguments: object) -> subprocess.Popen[bytes]:
        """Start one of this file's programs."""
        return self.run(where, sys.executable, __file__, what, *arguments)

    def tcpdump(self, path: Path) -> subprocess.Popen[bytes]:
        """Everything that crosses the wire into a file; returns once it listens."""
        options = ["-i", "wire", "-U", "--immediate-mode", "-Z", "root", "-w", path]
        process = self.run("phone", "tcpdump", *options, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert b"listening on" in process.stderr.readline()
        return process

    def talk(self, seconds: float, reference: str, seed: int = 1, *, port: int = 5060, bad: bool = False) -> None:
        """One call: the phone's voice is that of `seed`, the PBX's that of `seed` + 1."""
        faults = ["--bad"] if bad else []
        answering = self.script("pbx", "pbx", "--seconds", seconds, "--seed", seed + 1, *faults)
        time.sleep(0.8)
        words = ["--seconds", seconds, "--seed", seed, "--reference", reference, "--port", port, *faults]
        calling = self.script("phone", "phone", *words)
        assert calling.wait(seconds + 30) == 0 and answering.wait(10) == 0


@contextmanager
def wire(tags: int = 1) -> Iterator[Wire]:
    """A phone and a PBX can talk, and what they say comes out of `mirror` with so many tags."""
    name = f"gt{os.getpid()}"
    made = Wire(name, f"gm{os.getpid()}")
    spaces = [f"{name}-phone", f"{name}-pbx"]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    copying: subprocess.Popen[bytes] | None = None
    try:
        for space in spaces:
            ip("netns", "add", space)
        ip("-n", spaces[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", spaces[1])
        ip("link", "add", made.mirror, "type", "veth", "peer", "name", "mirror", "netns", spaces[0])
        for space, host in zip(spaces, (PHONE, PBX), strict=True):
            ip("-n", space, "address", "add", f"{host}/24", "dev", "wire")
            ip("-n", space, "link", "set", "wire", "up")
        ip("-n", spaces[0], "link", "set", "mirror", "up")
        ip("link", "set", made.mirror, "up")
        copying = made.script("phone", "copier", "--tags", tags)
        assert copying.stdout is not None
        copying.stdout.readline()
        yield made
    finally:
        if copying is not None:
            copying.kill()
            copying.wait()
        subprocess.run(["ip", "link", "del", made.mirror], check=False, capture_output=True)
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def main() -> None:
    """One of the programs that run on the wire."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("phone", "pbx", "copier"))
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reference", default="call")
    parser.add_argument("--port", type=int, default=5060)
    parser.add_argument("--tags", type=int, default=1)
    parser.add_argument("--bad", action="store_true")
    said = parser.parse_args()
    if said.what == "phone":
        phone(said.seconds, said.seed, said.reference, said.port, said.bad)
    elif said.what == "pbx":
        pbx(said.seconds, said.seed, said.bad)
    else:
        copier("wire", "mirror", said.tags)


if __name__ == "__main__":
    main()
