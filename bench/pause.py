"""`python -m bench.pause --calls 1000 --json`: how soon the gate is closed after a press, by each way, and any leak.

All calls are live with media. `p99_ms` is from before the press is written to its answer, which is only given when the
gate is closed (or open): of REST, of a phone's action URL, of a desktop event, of SIP INFO `Record:`, of a gateway that
stops the session (re-INVITE), and of the recorder's own control socket. Keys in the RTP (RFC 4733), an event of
Asterisk's dialplan (AMI) and the mute of its recording have no answer: theirs is what the recorder tells its watchers
of the gate. `leaked_samples` counts samples in the
decrypted capture log at or after the media position since which an answer said that the gate was closed, until that
of the resume; where the answer has no position (SIP, keys, AMI), it is read from the gate's marks in the log.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, open_record, scan
from agent.commands.demo_site import free_ports
from agent.control.client import ControlClient, watch
from agent.model.call import CLOCK_RATE
from agent.model.gate import GateMark, GateState
from agent.model.identity import Device, Right
from agent.model.wire import load
from agent.probe import ProbeCall
from agent.scribe.keyring import Keyring
from agent.store.directory import Directory
from bench.generator import FRAME_S, Generator
from bench.http import Line
from bench.keypad import Keypad
from bench.pbx import SECRET, USERNAME, Pbx
from bench.site import BenchSite, streams_of

PRESSERS = 4
"""People who press at the same time."""
FIRST_AGENT = 1000
WAYS = ("rest", "url", "context", "info", "siprec", "socket", "dtmf", "ami", "mute")
KEYPADS = 16
"""Calls whose agents press keys in the RTP, and say nothing."""
CODES = {"pause": "*1", "resume": "*2"}
ANSWER_S = 10.0

Pauses = dict[str, list[tuple[float, float]]]
Press = Callable[[int, str], Awaitable[dict[str, Any]]]
"""By the number of the call and the verb: what was answered."""


class Gates:
    """How the gate of each agent's call stands, as the recorder tells whoever watches."""

    def __init__(self) -> None:
        self._paused: dict[str, bool] = {}
        self._changed = asyncio.Condition()

    async def follow(self, socket: Path) -> None:
        """Until cancelled."""
        async for news in watch(socket):
            if news["news"] == "call":
                async with self._changed:
                    self._paused[news["call"]["agent"]] = news["call"]["states"]["evidence"] == GateState.PAUSED
                    self._changed.notify_all()

    async def until(self, agent: str, *, paused: bool) -> None:
        """Return when the call of an agent is paused, or not."""
        async with asyncio.timeout(ANSWER_S), self._changed:
            await self._changed.wait_for(lambda: self._paused.get(agent) is paused)


class Ways:
    """Every way to press on the calls of a site."""

    def __init__(
        self,
        site: BenchSite,
        placed: list[ProbeCall],
        admin: str,
        tokens: list[str],
        pbx: Pbx,
        keypads: list[Keypad],
        gates: Gates,
    ) -> None:
        self._placed, self._tokens = placed, tokens
        self._lines = [(Line(site.desk_port, admin), Line(site.desk_port, "")) for _ in range(PRESSERS)]
        self._pbx, self._keypads, self._gates = pbx, keypads, gates
        self._recorder = ControlClient(site.settings.recorder_socket)

    async def rest(self, number: int, verb: str) -> dict[str, Any]:
        """POST /v1/agents/EXTENSION/pause."""
        return await self._post(number, f"/v1/agents/{FIRST_AGENT + number}/{verb}", {})

    async def url(self, number: int, verb: str) -> dict[str, Any]:
        """GET /v1/phone/TOKEN/pause."""
        await self._lines[number % PRESSERS][1].ask("GET", f"/v1/phone/{self._tokens[number]}/{verb}")
        return {}

    async def context(self, number: int, verb: str) -> dict[str, Any]:
        """POST /v1/context: the payment page was opened, or closed."""
        did = "opened" if verb == "pause" else "closed"
        return await self._post(number, "/v1/context", {"agent": str(FIRST_AGENT + number), did: "payment"})

    async def info(self, number: int, verb: str) -> dict[str, Any]:
        """SIP INFO with `Record: off`, or on."""
        await self._placed[number].request("INFO", headers=[("Record", "off" if verb == "pause" else "on")])
        return {}

    async def siprec(self, number: int, verb: str) -> dict[str, Any]:
        """A re-INVITE with both streams inactive, or sending again."""
        await (self._placed[number].hold() if verb == "pause" else self._placed[number].resume())
        return {}

    async def socket(self, number: int, verb: str) -> dict[str, Any]:
        """The recorder's control socket, as `greffier pause` does."""
        return await self._recorder.ask(op="gate", agent=str(FIRST_AGENT + number), verb=verb, actor="cli:bench")

    async def dtmf(self, number: int, verb: str) -> dict[str, Any]:
        """A feature code on the keypad of the agent's telephone, in its RTP."""
        self._keypads[number].press(CODES[verb])
        return await self._told(number, verb)

    async def ami(self, number: int, verb: str) -> dict[str, Any]:
        """A `UserEvent` of Asterisk's dialplan."""
        await self._pbx.user_event(str(FIRST_AGENT + number), verb)
        return await self._told(number, verb)

    async def mute(self, number: int, verb: str) -> dict[str, Any]:
        """Asterisk's own recording is muted, or heard again."""
        await self._pbx.mute(str(FIRST_AGENT + number), verb)
        return await self._told(number, verb)

    async def _told(self, number: int, verb: str) -> dict[str, Any]:
        await self._gates.until(str(FIRST_AGENT + number), paused=verb == "pause")
        return {}

    async def _post(self, number: int, path: str, body: dict[str, str]) -> dict[str, Any]:
        done: dict[str, Any] = json.loads(await self._lines[number % PRESSERS][0].ask("POST", path, body))
        return done

    def close(self) -> None:
        """Hang up."""
        for lines in self._lines:
            for line in lines:
                line.close()


async def presser(press: Press, calls: list[int], waits: list[float], pauses: Pauses) -> None:
    """Pause and resume these calls, at moments of chance."""
    dice = random.Random(calls[0])
    for number in calls:
        await asyncio.sleep(dice.uniform(0.0, 0.02))
        answers = []
        for verb in ("pause", "resume"):
            began = time.perf_counter()
            answers.append(await press(number, verb))
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(dice.uniform(0.0, 0.06))
        closed, opened = answers
        if "since_s" in closed:
            pauses.setdefault(closed["call_id"], []).append((closed["since_s"], opened["since_s"]))


async def story(
    site: BenchSite, calls: int, ways: list[str], presses: int, pbx: Pbx
) -> tuple[dict[str, list[float]], Pauses]:
    """Place the calls, let them speak, press by one way after the other."""
    placed: list[ProbeCall] = await site.place(calls)
    token = (await asyncio.to_thread(site.greffier, "token", "add", "admin")).strip()
    directory = Directory(site.settings.directory_path)
    phones = [
        directory.add_token(
            Right.AGENT, time.time_ns(), extension=str(FIRST_AGENT + n), device=Device.PHONE, name="desk"
        )
        for n in (range(calls) if "url" in ways else ())
    ]
    seconds = 10.0 + len(ways) * (4.0 + presses / PRESSERS * 0.14)
    keypads = [Keypad(call, random.Random(n)) for n, call in enumerate(placed[:KEYPADS] if "dtmf" in ways else ())]
    silent = {call.local_ports["agent"] for call in placed[: len(keypads)]}
    streams = [stream for stream in streams_of(placed) if stream[0] not in silent]
    speaking = Generator(site.folder, site.link, streams, int(seconds / FRAME_S))
    gates = Gates()
    following = asyncio.create_task(gates.follow(site.settings.recorder_socket))
    await asyncio.sleep(4.0)
    waits: dict[str, list[float]] = defaultdict(list)
    pauses: Pauses = {}
    by = Ways(site, placed, token, phones, pbx, keypads, gates)
    dice = random.Random(1)
    for way in ways:
        chosen = dice.choices(range(len(keypads) if way == "dtmf" else calls), k=presses)
        apart = [[n for n in chosen if n % PRESSERS == one] for one in range(PRESSERS)]
        press: Press = getattr(by, way)
        await asyncio.gather(*(presser(press, mine, waits[way], pauses) for mine in apart if mine))
        await asyncio.sleep(1.0)
    by.close()
    following.cancel()
    await asyncio.to_thread(speaking.end)
    await site.hang_up(placed)
    return waits, pauses


def leaked(site: BenchSite, pauses: Pauses) -> tuple[int, int, int]:
    """Samples in the log that lie inside a pause as it was answered, or as the gates' marks have it; samples in all."""
    _, media = site.log()
    closed = closed_by_marks(site)
    inside = marked = total = 0
    for (call_id, _), records in media.items():
        answered = [(round(a * CLOCK_RATE), round(b * CLOCK_RATE)) for a, b in pauses.get(call_id, [])]
        for record, plain in records:
            start = record.header.position_samples
            end = start + len(plain)
            total += len(plain)
            inside += sum(max(0, min(end, b) - max(start, a)) for a, b in answered)
            marked += sum(max(0, min(end, b) - max(start, a)) for a, b in closed.get(call_id, []))
    return inside, marked, total


def closed_by_marks(site: BenchSite) -> dict[str, list[tuple[int, int]]]:
    """Where no purpose of a call could write, by the marks in the log: all are paused alike, and one stands for all."""
    keys = Keyring(site.settings.identities_dir, site.settings.callkeys_dir)
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    since: dict[str, int] = {}
    for _, record in scan(site.settings.capture_dir, Cursor(0, 0)):
        head = record.header
        if head.kind is not RecordKind.GATE or (key := keys.key(head.call_id, head.epoch)) is None:
            continue
        mark = load(GateMark, open_record(record, key))
        if mark.purpose != "analytics":
            continue
        if mark.state is GateState.PAUSED:
            since[mark.call_id] = min(since.get(mark.call_id, mark.since_samples), mark.since_samples)
        elif mark.call_id in since:
            spans[mark.call_id].append((since.pop(mark.call_id), mark.since_samples))
    return spans


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.pause", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="live calls (default 1000)")
    parser.add_argument("--presses", type=int, default=400, help="pauses by each way, each then resumed (default 400)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ways to press (default all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        (port,) = free_ports(1)
        site = BenchSite(Path(name) / "site", asked.calls, more=telephone_system(port))
        credentials = site.config.with_name("pbx.toml")
        credentials.touch(mode=0o600)
        credentials.write_text(f'username = "{USERNAME}"\nsecret = "{SECRET}"\n', encoding="utf-8")
        with site.running("recorder", "desk"):
            waits, pauses = asyncio.run(beside(site, asked, Pbx(port)))
        inside, marked, total = leaked(site, pauses)
    result = {
        "calls": asked.calls,
        "ways": {way: figures(waits[way]) for way in asked.ways},
        "leaked_samples": inside,
        "leaked_by_marks": marked,
        "written_samples": total,
    }
    print(json.dumps(result, indent=None if asked.json else 2))


def telephone_system(port: int) -> str:
    """Feature codes, and a connection that may press as often as is measured."""
    keys = [f'{verb} = "{code}"' for verb, code in CODES.items()]
    hall = ['kind = "ami"', f'address = "127.0.0.1:{port}"', 'agents = ["*"]', 'credentials_file = "pbx.toml"']
    return "\n".join(["", "[keys]", *keys, "[cti.bench]", *hall, "presses_per_s = 1000", ""])


async def beside(site: BenchSite, asked: argparse.Namespace, pbx: Pbx) -> tuple[dict[str, list[float]], Pauses]:
    """The story, with a telephone system beside it."""
    async with pbx.running():
        return await story(site, asked.calls, asked.ways, asked.presses, pbx)


def figures(waits: list[float]) -> dict[str, float]:
    """Of seconds, in milliseconds."""
    ms = np.array(waits) * 1e3
    return {
        "presses": len(waits),
        "p50_ms": round(float(np.percentile(ms, 50)), 2),
        "p99_ms": round(float(np.percentile(ms, 99)), 2),
        "max_ms": round(float(ms.max()), 2),
    }


if __name__ == "__main__":
    main()
