"""rtpengine as a yardstick: in user space (no kernel module), with and without recording, told of calls by its ng
protocol (a cookie and a bencoded dictionary in a UDP datagram: rtpengine's docs/ng_control_protocol.md)."""

import re
import secrets
import signal
import socket
import subprocess
from pathlib import Path

from bench.sinks import sinks
from bench.yardsticks import Yardstick

CONTROL_PORT = 2223
ANSWER_S = 5.0
_PORT = re.compile(r"m=audio (\d+) ")

Value = str | list[str]


def bencode(value: dict[str, Value] | Value) -> bytes:
    """Strings, lists and dictionaries."""
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Rtpengine(Yardstick):
    """Recording on: one capture file a call."""

    name, program = "rtpengine", "rtpengine"
    does = "relays every packet (receives, rewrites, sends on) and records each call to a pcap file in clear"
    most_calls = 500
    holds_ports = True
    _record = True

    def _start(self) -> subprocess.Popen[str]:
        host, folder = self._link.host, self._folder / self.name
        folder.mkdir(parents=True)
        command = [self.program, "--foreground", "--table=-1", f"--interface={host}"]
        command += [f"--listen-ng={host}:{CONTROL_PORT}", "--port-min=10000", "--port-max=30000"]
        command += [f"--pidfile={folder / 'pid'}", "--log-stderr", "--log-level=5"]
        if self._record:
            command += [f"--recording-dir={folder}", "--recording-method=pcap", "--recording-format=eth"]
        self._log = (folder / "log").open("w")
        process = subprocess.Popen(
            [*self._link.prefix, *command], stdout=self._log, stderr=self._log, text=True, cwd=folder
        )
        try:
            self._control(host)
            self.streams = [pair for call in range(self._calls) for pair in self._call(call)]
            self._held.enter_context(sinks(self._link.source, [source for source, _ in self.streams]))
        except (OSError, RuntimeError) as error:
            process.kill()
            process.wait()
            said = (folder / "log").read_text(encoding="utf-8", errors="replace")[-300:].strip()
            raise RuntimeError(f"rtpengine cannot be used: {error}; it last said: {said}") from error
        self._sent_before = _datagrams_out(process.pid)
        return process

    def _control(self, host: str) -> None:
        self._socket = self._held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.settimeout(0.1)
        self._socket.connect((host, CONTROL_PORT))
        for _ in range(int(ANSWER_S / 0.1)):
            try:
                self._ask({"command": "ping"})
            except OSError:
                continue
            self._socket.settimeout(ANSWER_S)
            return
        raise RuntimeError("no answer")

    def _ask(self, what: dict[str, Value]) -> str:
        cookie = secrets.token_hex(8)
        self._socket.send(f"{cookie} ".encode() + bencode(what))
        while True:
            answer = self._socket.recv(1 << 16).decode()
            if answer.startswith(cookie):
                return answer

    def _call(self, number: int) -> list[tuple[int, int]]:
        """Source and destination ports of both directions of a new call."""
        caller, callee = 40000 + number * 4, 40002 + number * 4
        both: dict[str, Value] = {"call-id": f"bench-{number}", "from-tag": "a", "replace": ["origin"]}
        if self._record:
            both["record call"] = "yes"
        to_callee = self._ask({**both, "command": "offer", "sdp": self._sdp(caller)})
        to_caller = self._ask({**both, "command": "answer", "to-tag": "b", "sdp": self._sdp(callee)})
        found = [_PORT.search(answer) for answer in (to_caller, to_callee)]
        if found[0] is None or found[1] is None:
            raise RuntimeError(f"rtpengine refuses a call: {to_callee[-200:]} {to_caller[-200:]}")
        return [(caller, int(found[0][1])), (callee, int(found[1][1]))]

    def _sdp(self, port: int) -> str:
        host = self._link.source
        lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 8"]
        return "\r\n".join([*lines, "a=rtpmap:8 PCMA/8000", "a=sendrecv", ""])

    def end(self) -> int:
        """Packets it sent on."""
        relayed = _datagrams_out(self.pid) - self._sent_before
        self._stop(signal.SIGTERM)
        self._log.close()
        return relayed


class RtpengineRelay(Rtpengine):
    """Recording off."""

    name = "rtpengine_relay_only"
    does = "relays every packet; records nothing"
    _record = False


def _datagrams_out(pid: int) -> int:
    """UDP datagrams sent so far in the network namespace of a process (proc(5), net/snmp)."""
    lines = Path(f"/proc/{pid}/net/snmp").read_text(encoding="ascii").splitlines()
    names, numbers = (line.split() for line in lines if line.startswith("Udp:"))
    return int(numbers[names.index("OutDatagrams")])
