"""`python -m bench.media --calls 500 --seconds 10 --json`: CPU per packet of the recorder with encrypted capture.

One JSON object. `lost` = bytes that were sent and are not in the decrypted capture log, in packets, compared byte by
byte. The yardsticks (bench/yardsticks.py) run after it in the same run, with the same calls.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.cpu import cpu_s, rss_mib
from bench.generator import FRAME, FRAME_S, Plan, payload_of
from bench.site import BenchSite
from bench.yardsticks import Naive, Tcpdump


def send(ports: list[int], seconds: float) -> dict[str, Any]:
    """Run the generator; see bench.generator.Sent."""
    plan = json.dumps(asdict(Plan("127.0.0.1", ports, int(seconds / FRAME_S))))
    done = subprocess.run(
        [sys.executable, "-m", "bench.generator"], input=plan, text=True, capture_output=True, check=True
    )
    sent: dict[str, Any] = json.loads(done.stdout)
    return sent


def recorder(folder: Path, calls: int, seconds: float) -> dict[str, Any]:
    """The recorder under test."""
    site = BenchSite(folder, calls)
    with site.running("recorder") as (pid,):
        result = asyncio.run(_record(site, pid, calls, seconds))
    return result | {"lost": result["packets"] - _found(site, result.pop("ports"), int(seconds / FRAME_S))}


async def _record(site: BenchSite, pid: int, calls: int, seconds: float) -> dict[str, Any]:
    placed = await site.place(calls)
    ports = [remote[1] for call in placed for remote in call.remote.values() if remote is not None]
    await asyncio.sleep(1.0)
    began, before = time.monotonic(), cpu_s(pid)
    sent = await asyncio.to_thread(send, ports, seconds)
    took = time.monotonic() - began
    await asyncio.sleep(1.0)
    used = cpu_s(pid) - before
    memory = rss_mib(pid)
    await asyncio.sleep(site.settings.capture.holdback_s)
    await site.hang_up(placed)
    return {
        "calls": calls,
        "seconds": seconds,
        "packets": sent["packets"],
        "packets_per_s": round(sent["packets"] / sent["seconds"]),
        "us_per_packet": round(used / sent["packets"] * 1e6, 3),
        "cpu_share": round(used / took, 3),
        "rss_mib": round(memory),
        "generator_late_ms": round(sent["late_s"] * 1e3, 1),
        "ports": ports,
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


def yardstick(kind: type[Naive] | type[Tcpdump], folder: Path, calls: int, seconds: float) -> dict[str, Any]:
    """CPU per packet of another recorder."""
    ports = list(range(40000, 40000 + calls * 4, 2))
    running = kind(folder, ports)
    sent = send(ports, seconds)
    received, used = running.end()
    return {
        "calls": calls,
        "packets": sent["packets"],
        "lost": sent["packets"] - received,
        "us_per_packet": round(used / max(1, received) * 1e6, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="calls at once, two streams each (default 500)")
    parser.add_argument("--seconds", type=float, default=10, help="length of the media (default 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        folder = Path(name)
        result = recorder(folder / "site", asked.calls, asked.seconds)
        yardsticks = {
            "asyncio": yardstick(Naive, folder / "naive", asked.calls, asked.seconds),
            "tcpdump": yardstick(Tcpdump, folder, asked.calls, asked.seconds),
        }
    result["yardsticks"] = yardsticks
    own = result["us_per_packet"]
    result["times_cheaper_than"] = {k: round(v["us_per_packet"] / own, 2) for k, v in yardsticks.items()}
    if asked.json:
        print(json.dumps(result))
        return
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
