"""`python -m bench.sip --rate 100 --live 1000 --json`: how soon SIPREC calls are answered while many are live.

sipp (bench/siprec.xml) places calls at a steady rate over veth and hangs each up after as long as it takes `live` of
them to be there: each second brings as many new calls as it ends. The recorder has one core, sipp another. What is
measured is the time after the first `live` calls: from INVITE to 200 as the kernel saw both packets at sipp's end, and
the recorder's CPU.
"""

import argparse
import asyncio
import csv
import json
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.commands.common import ask_recorder
from bench.cpu import cpu_s
from bench.net import Link, cable, pinned
from bench.site import BenchSite

SCENARIO = Path(__file__).with_name("siprec.xml")
SIPP_PORT = 5070
_FILE_HEADER = 24
_RECORD = struct.Struct("<IIi4x")
_HEADERS = 14 + 20 + 8
_CALL_ID = re.compile(rb"\r\nCall-ID: *([^\r]+)", re.IGNORECASE)


async def run(site: BenchSite, pid: int, rate: int, live: int, seconds: float) -> dict[str, Any]:
    """Ramp up, measure, hang up."""
    ramp_s = live / rate
    total = int(rate * (ramp_s + seconds))
    capture = site.folder / "sip.pcap"
    with _capture(site.link, capture):
        sipp = _start(site.link, site.sip_port, site.folder, rate, ramp_s, total)
        try:
            await asyncio.sleep(ramp_s)
            before = cpu_s(pid)
            await asyncio.sleep(seconds - 0.5)
            used = cpu_s(pid) - before
            state = await asyncio.to_thread(lambda: ask_recorder(site.settings, op="stats"))
            await asyncio.to_thread(sipp.wait, ramp_s + 60)
        finally:
            sipp.kill()
            sipp.wait()
    answered = _answers_ms(capture.read_bytes())[live:]
    counts = _last_line(site.folder / "counts.csv")
    return {
        "rate": rate,
        "live": state["calls"],
        "calls": total,
        "measured_calls": len(answered),
        "p50_ms": round(float(np.percentile(answered, 50)), 2),
        "p99_ms": round(float(np.percentile(answered, 99)), 2),
        "max_ms": round(float(answered.max()), 2),
        "refused": int(counts["FailedCall(C)"]),
        "completed": int(counts["SuccessfulCall(C)"]),
        "retransmitted": int(counts["Retransmissions(C)"]),
        "cpu_share": round(used / (seconds - 0.5), 3),
        "cpu_ms_per_call": round(used / (seconds - 0.5) / rate * 1e3, 3),
    }


def _start(link: Link, port: int, folder: Path, rate: int, hold_s: float, total: int) -> subprocess.Popen[bytes]:
    command = [*pinned(generator=True), "sipp", "-sf", str(SCENARIO), f"{link.host}:{port}", "-i", link.source]
    command += ["-p", str(SIPP_PORT), "-t", "u1", "-nostdin", "-r", str(rate), "-l", str(total), "-m", str(total)]
    command += ["-d", str(int(hold_s * 1000)), "-fd", "1", "-trace_stat", "-stf", str(folder / "counts.csv")]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def _capture(link: Link, path: Path) -> Iterator[None]:
    """What goes over the link to and from sipp, until the end of the block."""
    command = ["tcpdump", "-i", link.interface, "-Z", "root", "-U", "-w", str(path), f"udp port {SIPP_PORT}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "listening on" not in process.stderr.readline():
            if process.poll() is not None:
                raise RuntimeError("tcpdump does not start")
        yield
    finally:
        process.terminate()
        process.wait()


def _answers_ms(capture: bytes) -> npt.NDArray[np.float64]:
    """Times from the first INVITE of each call to its 200, in the order of the INVITEs (pcap(5), UDP over IPv4)."""
    asked: dict[bytes, float] = {}
    answered: dict[bytes, float] = {}
    at = _FILE_HEADER
    while at < len(capture):
        seconds, microseconds, length = _RECORD.unpack_from(capture, at)
        at += _RECORD.size
        message, at = capture[at + _HEADERS : at + length], at + length
        call = _CALL_ID.search(message)
        if call is None:
            continue
        now = seconds + microseconds / 1e6
        if message.startswith(b"INVITE "):
            asked.setdefault(call[1], now)
        elif message.startswith(b"SIP/2.0 200") and b"CSeq: 1 INVITE" in message:
            answered.setdefault(call[1], now)
    return np.array([answered[call] - began for call, began in asked.items() if call in answered]) * 1e3


def _last_line(path: Path) -> dict[str, str]:
    with path.open(encoding="ascii") as file:
        return list(csv.DictReader(file, delimiter=";"))[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sip", description=__doc__)
    parser.add_argument("--rate", type=int, default=100, help="new calls a second (default 100)")
    parser.add_argument("--live", type=int, default=1000, help="calls that are live at a time (default 1000)")
    parser.add_argument("--seconds", type=float, default=10, help="length of the measurement (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greffier-bench-", dir="/var/tmp") as name, cable() as link:
        site = BenchSite(Path(name) / "site", asked.live * 2 + asked.rate, link)
        with site.running("recorder") as (pid,):
            result = asyncio.run(run(site, pid, asked.rate, asked.live, asked.seconds))
    print(json.dumps(result, indent=None if asked.json else 2))


if __name__ == "__main__":
    main()
