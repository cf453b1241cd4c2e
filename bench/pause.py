"""`python -m bench.pause --calls 200 --json`: how soon the gate is closed after a press, and whether anything leaked.

`p99_ms` is from before the HTTP request is written to its answer, which is only given when the gate is closed; all
calls are live with media. `leaked_samples` counts samples in the decrypted capture log at or after the media position
since which an answer said the gate was closed, until the press of resume.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall
from bench.generator import FRAME_S, Generator
from bench.site import BenchSite, streams_of

PRESSES = 5
"""Pauses of each call."""
PRESSERS = 8
"""People who press at the same time."""
Pauses = dict[str, list[tuple[float, float]]]


async def press(client: httpx.AsyncClient, agent: str, verb: str) -> tuple[float, dict[str, Any]]:
    """Seconds until the answer, and the answer."""
    began = time.perf_counter()
    answer = await client.post(f"/v1/agents/{agent}/{verb}")
    took = time.perf_counter() - began
    answer.raise_for_status()
    done: dict[str, Any] = answer.json()
    return took, done


async def presser(client: httpx.AsyncClient, agents: list[str], waits: list[float], pauses: Pauses) -> None:
    """Pause and resume these agents' calls, again and again, at moments of chance."""
    dice = random.Random(agents[0])
    for _ in range(PRESSES):
        for agent in agents:
            await asyncio.sleep(dice.uniform(0.0, 0.02))
            took, closed = await press(client, agent, "pause")
            await asyncio.sleep(dice.uniform(0.0, 0.06))
            took_too, opened = await press(client, agent, "resume")
            waits += [took, took_too]
            pauses.setdefault(closed["call_id"], []).append((closed["since_s"], opened["since_s"]))


async def story(site: BenchSite, calls: int) -> tuple[list[float], Pauses]:
    """Place the calls, let them speak, press."""
    placed: list[ProbeCall] = await site.place(calls)
    token = (await asyncio.to_thread(site.greffier, "token", "add", "admin")).strip()
    seconds = 8.0 + PRESSES * calls / PRESSERS * 0.07
    speaking = Generator(site.folder, site.link, streams_of(placed), int(seconds / FRAME_S))
    await asyncio.sleep(4.0)
    waits: list[float] = []
    pauses: Pauses = {}
    agents = [str(1000 + n) for n in range(calls)]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{site.desk_port}", headers=headers, timeout=10) as client:
        await client.get("/v1/health")
        await asyncio.gather(
            *(presser(client, agents[n::PRESSERS], waits, pauses) for n in range(min(PRESSERS, calls)))
        )
    await asyncio.to_thread(speaking.end)
    await site.hang_up(placed)
    return waits, pauses


def leaked(site: BenchSite, pauses: Pauses) -> tuple[int, int]:
    """Samples in the log that lie inside a pause, and samples in the log in all."""
    _, media = site.log()
    inside = total = 0
    for (call_id, _), records in media.items():
        spans = [(round(a * CLOCK_RATE), round(b * CLOCK_RATE)) for a, b in pauses.get(call_id, [])]
        for record, plain in records:
            start = record.header.position_samples
            end = start + len(plain)
            total += len(plain)
            inside += sum(max(0, min(end, b) - max(start, a)) for a, b in spans)
    return inside, total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.pause", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="live calls (default 200)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        site = BenchSite(Path(name) / "site", asked.calls)
        with site.running("recorder", "desk"):
            waits, pauses = asyncio.run(story(site, asked.calls))
        inside, total = leaked(site, pauses)
    ms = np.array(waits) * 1e3
    result = {
        "calls": asked.calls,
        "presses": len(waits),
        "p50_ms": round(float(np.percentile(ms, 50)), 2),
        "p99_ms": round(float(np.percentile(ms, 99)), 2),
        "max_ms": round(float(ms.max()), 2),
        "leaked_samples": inside,
        "written_samples": total,
    }
    print(json.dumps(result, indent=None if asked.json else 2))


if __name__ == "__main__":
    main()
