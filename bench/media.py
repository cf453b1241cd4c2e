"""`python -m bench.media --calls 500 --seconds 10 --json`: CPU per packet of the recorder with encrypted capture.

One JSON object. `lost` = packets sent whose bytes are not in the decrypted capture log at their place, in the whole
run; CPU is of all the recorder's threads, after a warm-up. `p99_gate_ms` is the age of a block's oldest packet when
a pause could stop it, 99th percentile of blocks. The yardsticks (bench/yardsticks.py) run after it, in the same run.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.commands.common import ask_recorder
from bench.cpu import cpu_s, rss_mib
from bench.generator import FRAME, FRAME_S, Plan, payload_of
from bench.site import FIRST_PORT, BenchSite
from bench.yardsticks import YARDSTICKS, Yardstick

WARM_UP_S = 5.0
"""Memory of the look-back and of the streams is touched for the first time in it."""
MOST_NAIVE_CALLS = 300
"""More than this the naive recorder cannot take."""


def send(ports: list[int], packets: int) -> dict[str, Any]:
    """Run the generator, so many packets to each port; see bench.generator.Sent."""
    plan = json.dumps(asdict(Plan("127.0.0.1", ports, packets)))
    command = [sys.executable, "-m", "bench.generator"]
    done = subprocess.run(command, input=plan, text=True, capture_output=True, check=True)
    sent: dict[str, Any] = json.loads(done.stdout)
    return sent


class Sending:
    """The generator at work; `window` measures the CPU of a process while packets flow at their steady pace."""

    def __init__(self, ports: list[int], seconds: float) -> None:
        self._ports, self._seconds = ports, seconds
        self._packets = int((WARM_UP_S + seconds) / FRAME_S)
        self._sent: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        self._sent = send(self._ports, self._packets)

    def window(self, pid: int) -> tuple[float, float]:
        """Seconds that it lasted, and CPU seconds used in it."""
        time.sleep(WARM_UP_S)
        began, before = time.monotonic(), cpu_s(pid)
        time.sleep(self._seconds - 1.0)
        took, used = time.monotonic() - began, cpu_s(pid) - before
        return took, used

    def end(self, window: tuple[float, float]) -> dict[str, Any]:
        """Packets sent, how fast, and the CPU of the window at that pace."""
        self._thread.join()
        sent, (took, used) = self._sent, window
        pace = sent["packets"] / sent["seconds"]
        return {
            "packets": sent["packets"],
            "packets_per_s": round(pace),
            "us_per_packet": round(used / took / pace * 1e6, 3),
            "cpu_share": round(used / took, 3),
            "generator_late_ms": round(sent["late_s"] * 1e3, 1),
        }


def recorder(folder: Path, calls: int, seconds: float) -> dict[str, Any]:
    """The recorder under test."""
    site = BenchSite(folder, calls)
    with site.running("recorder") as (pid,):
        result = asyncio.run(_record(site, pid, calls, seconds))
    ports, each = result.pop("ports"), result.pop("each")
    return result | {"lost": result["packets"] - _found(site, ports, each)}


async def _record(site: BenchSite, pid: int, calls: int, seconds: float) -> dict[str, Any]:
    placed = await site.place(calls)
    ports = [remote[1] for call in placed for remote in call.remote.values() if remote is not None]
    await asyncio.sleep(1.0)
    began, before = time.monotonic(), cpu_s(pid)
    sending = Sending(ports, seconds)
    window = await asyncio.to_thread(sending.window, pid)
    sent = await asyncio.to_thread(sending.end, window)
    whole = (cpu_s(pid) - before) / sent["packets"] * 1e6
    state = await asyncio.to_thread(lambda: ask_recorder(site.settings, op="stats"))
    memory = rss_mib(pid)
    await asyncio.sleep(max(0.0, site.settings.capture.holdback_s + 1.0 - (time.monotonic() - began - seconds)))
    await site.hang_up(placed)
    return {
        "calls": calls,
        **sent,
        "us_per_packet_with_warm_up": round(whole, 3),
        "p99_gate_ms": state["lag_p99_ms"],
        "dropped_by_kernel": state["dropped_packets"],
        "media": state["media"],
        "rss_mib": round(memory),
        "ports": ports,
        "each": sent["packets"] // len(ports),
    }


def _found(site: BenchSite, ports: list[int], packets: int) -> int:
    """How many packets of those sent are in the capture log, byte for byte."""
    calls, media = site.log()
    number = {port: stream for stream, port in enumerate(ports)}
    found = 0
    for (call_id, stream), records in media.items():
        expected = payload_of(number[calls[call_id].streams[stream].port], packets).reshape(-1, FRAME)
        start = records[0][0].header.position_samples
        heard = np.full((packets, FRAME), 0xD5, np.uint8).reshape(-1)
        for record, plain in records:
            at = record.header.position_samples - start
            piece = np.frombuffer(plain, np.uint8)[: max(0, len(heard) - at)]
            heard[at : at + len(piece)] = piece
        found += int((heard.reshape(-1, FRAME) == expected).all(axis=1).sum())
    return found


def yardstick(kind: type[Yardstick], folder: Path, calls: int, seconds: float) -> dict[str, Any]:
    """CPU per packet of another program, on the same traffic."""
    ports = list(range(FIRST_PORT, FIRST_PORT + calls * 4, 2))
    running = kind(folder, ports)
    try:
        sending = Sending(ports, seconds)
        window = sending.window(running.pid)
        sent = sending.end(window)
        time.sleep(1.0)
    finally:
        received = running.end()
    return {"calls": calls, "lost": sent["packets"] - received, **sent}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="calls at once, two streams each (default 500)")
    parser.add_argument("--seconds", type=float, default=10, help="length of the measured media (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args()
    yardsticks: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="greffier-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        result = recorder(folder / "site", asked.calls, asked.seconds)
        for kind in YARDSTICKS:
            if (missing := kind.missing()) is not None:
                yardsticks[kind.name] = {"not_measured": missing}
                continue
            calls = min(asked.calls, MOST_NAIVE_CALLS) if kind.name == "asyncio" else asked.calls
            yardsticks[kind.name] = yardstick(kind, folder, calls, asked.seconds)
    own = result["us_per_packet"]
    measured = {name: one["us_per_packet"] for name, one in yardsticks.items() if "us_per_packet" in one}
    result["yardsticks"] = yardsticks
    result["times_cheaper_than"] = {name: round(theirs / own, 2) for name, theirs in measured.items()}
    print(json.dumps(result, indent=None if asked.json else 2))


if __name__ == "__main__":
    main()
