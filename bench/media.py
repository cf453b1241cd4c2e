"""`python -m bench.media --calls 500 --seconds 8 --json`: CPU per packet of the recorder with encrypted capture.

Generator and recorder sit in two network namespaces with a veth cable between them (bench/net.py); both are removed at
the end. One JSON object; docs/performance.md says what each figure is and how it was got.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.commands.common import ask_recorder
from bench import mirror
from bench.cpu import cpu_s, rss_kib
from bench.generator import FRAME, Streams, measure, payload_of
from bench.net import NOBODY, Link, cable
from bench.rtpengine import Rtpengine, RtpengineRelay
from bench.site import BenchSite, streams_of
from bench.yardsticks import Dumpcap, Floor, Naive, NumpyReceiver, Receiver, Tcpdump, Yardstick

WARM_UP_S = 5.0
"""Memory of the look-back and of the streams is touched for the first time in it."""
YARDSTICK_WARM_UP_S = 1.5
YARDSTICK_S = 4.0
MAKE_READY_S = 1.0

YARDSTICKS: tuple[type[Yardstick], ...] = (
    Floor,
    Receiver,
    NumpyReceiver,
    Tcpdump,
    Dumpcap,
    Naive,
    Rtpengine,
    RtpengineRelay,
)


def recorder(folder: Path, link: Link, calls: int, seconds: float, tap: str) -> dict[str, Any]:
    """The recorder under test, its calls placed by SIPREC over the link, or overheard on it."""
    site = BenchSite(folder, calls, link, mirrored=tap == "span")
    with site.running("recorder") as (pid,):
        result, streams = asyncio.run((_overhear if tap == "span" else _record)(site, pid, calls, seconds))
    found = _found(site, [port for _, port in streams], result["packets"] // len(streams))
    idle = asyncio.run(measure(folder, replace(link, mac=NOBODY), streams, 0.5, 2.5, lambda: 0.0))
    softirq = result.pop("kernel_us_per_packet") - idle["kernel_us_per_packet"]
    return {
        "calls": calls,
        "tap": tap,
        **result,
        "lost": result["packets"] - found,
        "softirq_us_per_packet": round(softirq, 3),
    }


async def _record(site: BenchSite, pid: int, calls: int, seconds: float) -> tuple[dict[str, Any], Streams]:
    idle = rss_kib(pid)
    began = time.monotonic()
    placed = await site.place(calls)
    placing_s = time.monotonic() - began
    streams = streams_of(placed)
    sent = await _send(site, site.link, pid, streams, calls, seconds, idle)
    await site.hang_up(placed)
    return sent | {"calls_placed_per_s": round(calls / placing_s)}, streams


async def _overhear(site: BenchSite, pid: int, calls: int, seconds: float) -> tuple[dict[str, Any], Streams]:
    idle, streams = rss_kib(pid), mirror.streams_of(calls)
    link = replace(site.link, mac=NOBODY, source=mirror.CALLER, host=mirror.CALLED, both_ways=True)
    mirror.set_up(link, calls)
    sent = await _send(site, link, pid, streams, calls, seconds, idle)
    mirror.hang_up(link, calls)
    await asyncio.sleep(MAKE_READY_S)
    return sent, streams


async def _send(
    site: BenchSite, link: Link, pid: int, streams: Streams, calls: int, seconds: float, idle_kib: int
) -> dict[str, Any]:
    await asyncio.sleep(MAKE_READY_S)
    sent = await measure(site.folder, link, streams, WARM_UP_S, seconds, lambda: cpu_s(pid))
    state = await asyncio.to_thread(lambda: ask_recorder(site.settings, op="stats"))
    memory = rss_kib(pid)
    await asyncio.sleep(site.settings.capture.holdback_s + 1.0)
    seen = state.get("span", {})
    return sent | {
        "p99_gate_ms": state["lag_p99_ms"],
        "rss_mb": round(memory / 1024),
        "rss_per_call_kib": round((memory - idle_kib) / calls, 1),
        "dropped_by_kernel": state["dropped_packets"] + seen.get("dropped_packets", 0),
        "media": "mirror port" if seen else state["media"],
        "core": state["core"],
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


def yardstick(kind: type[Yardstick], folder: Path, link: Link, calls: int, seconds: float) -> dict[str, Any]:
    """CPU per packet of another program, on the same traffic; `missing` says why there is none."""
    if (missing := kind.missing()) is not None:
        return {"missing": missing, "does": kind.does}
    calls = min(calls, kind.most_calls)
    try:
        with kind.running(folder, link, calls) as running:
            used = partial(cpu_s, running.pid)
            sent = asyncio.run(measure(folder, link, running.streams, YARDSTICK_WARM_UP_S, seconds, used))
            time.sleep(MAKE_READY_S)
            received = running.end()
    except (RuntimeError, OSError, subprocess.SubprocessError, StopIteration) as error:
        return {"missing": f"{type(error).__name__}: {error}", "does": kind.does}
    shown = ("us_per_packet", "packets", "packets_per_s", "cpu_share", "void")
    return {"calls": calls, "lost": sent["packets"] - received, "does": kind.does} | {n: sent[n] for n in shown}


def run(calls: int, seconds: float, yardsticks: bool, tap: str = "siprec") -> dict[str, Any]:
    """Everything, in namespaces and a folder of its own. A yardstick that takes fewer calls is held against a recorder
    with as few."""
    folder_of = tempfile.TemporaryDirectory(prefix="greffier-bench-", dir="/var/tmp")
    with folder_of as name, cable() as link:
        folder = Path(name)
        result = recorder(folder / "site", link, calls, seconds, tap)
        if not yardsticks:
            return result
        shorter = min(seconds, YARDSTICK_S)
        ours = {calls: result["us_per_packet"]}
        measured = {kind.name: yardstick(kind, folder, link, calls, shorter) for kind in YARDSTICKS}
        for fewer in sorted({one["calls"] for one in measured.values() if "calls" in one} - {calls}):
            ours[fewer] = recorder(folder / str(fewer), link, fewer, shorter, tap)["us_per_packet"]
        for one in measured.values():
            if "us_per_packet" in one:
                one["ratio"] = round(one["us_per_packet"] / ours[one["calls"]], 2)
        return result | _alone(measured) | {"yardsticks": measured, "us_per_packet_at_calls": ours}


def _alone(measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What receiving and ordering takes of us, and how often the floor that is."""
    floor, ours = (measured[kind.name].get("us_per_packet") for kind in (Floor, Receiver))
    if not floor or not ours:
        return {}
    return {"receive_us_per_packet": ours, "receive_times_floor": round(ours / floor, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.media", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="calls at once, two streams each (default 500)")
    parser.add_argument("--seconds", type=float, default=8, help="length of the measured media (default 8)")
    parser.add_argument("--tap", choices=["siprec", "span"], default="siprec", help="how calls are heard of")
    parser.add_argument("--no-yardsticks", action="store_true", help="the recorder only")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    result = run(asked.calls, asked.seconds, not asked.no_yardsticks, asked.tap)
    print(json.dumps(result, indent=None if asked.json else 2))


if __name__ == "__main__":
    main()
