"""A recorder without telephony: speaks the control socket as the real one does, and misbehaves when it is told to.

It runs in a thread of its own; `add`, `change`, `end`, `alert` are what would happen on a telephone line.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PURPOSES = ("evidence", "training")


class ScriptedRecorder:
    """`mode`: `good`; `frozen` (reads, never answers); `lying` (says yes, does nothing); `stale` (answers of another).

    `requests` holds all questions but those for calls and watches.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mode = "good"
        self.requests: list[dict[str, Any]] = []
        self.watches = 0
        self._calls: dict[str, dict[str, Any]] = {}
        self._watchers: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    # ---- life

    def start(self) -> None:
        """Listen."""
        self._do(self._start)

    def stop(self) -> None:
        """Die, as far as anybody can see."""
        self._do(self._stop)

    def close(self) -> None:
        """End the thread."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # ---- what happens

    def add(self, agent: str | None, **fields: Any) -> str:
        """A call begins; its id."""
        call_id = os.urandom(16).hex()
        call = {
            "call_id": call_id,
            "reference": f"ref-{call_id[:6]}",
            "gateway": "192.0.2.7",
            "started_ns": time.time_ns(),
            "direction": "inbound",
            "queue": None,
            "tags": [],
            "consent": "unknown",
            "agent": agent,
            "parties": [{"number": "+33612345678", "name": None, "role": "customer"}],
            "states": dict.fromkeys(PURPOSES, "recording"),
            "causes": {},
            "paused_s": {},
            "since_s": {},
            "resumes_in_s": {},
            "warned": [],
            "media_s": 12.0,
        }
        self._do(lambda: self._put(call | fields))
        return call_id

    def change(self, call_id: str, **fields: Any) -> None:
        """Something of a call changes."""
        self._do(lambda: self._put(self._calls[call_id] | fields))

    def end(self, call_id: str) -> None:
        """A call ends."""

        def gone() -> None:
            call = self._calls.pop(call_id)
            self._tell({"news": "ended", "call_id": call_id, "agent": call["agent"]})

        self._do(gone)

    def clear(self) -> None:
        """All calls end; good again; nothing was asked."""
        for call_id in list(self._calls):
            self.end(call_id)
        self.mode = "good"
        self.requests.clear()

    def alert(self, call_id: str, kind: str, purpose: str, paused_s: float) -> None:
        """A pause is forgotten."""
        fields = {"agent": self._calls[call_id]["agent"], "purpose": purpose, "actor": "agent:x", "paused_s": paused_s}
        self._do(lambda: self._tell({"news": "alert", "kind": kind, "call_id": call_id, **fields}))

    def states(self, call_id: str) -> dict[str, str]:
        """How the gate really stands."""
        states: dict[str, str] = self._calls[call_id]["states"]
        return states

    def call(self, call_id: str) -> dict[str, Any]:
        """All of a call."""
        return self._calls[call_id]

    # ---- the socket

    def _do(self, act: Callable[[], Any]) -> None:
        async def run() -> None:
            result = act()
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink(missing_ok=True)
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request["op"] == "watch":
                    self._watch(writer)
                    continue
                if request["op"] not in ("calls", "stats"):
                    self.requests.append(request)
                if self.mode == "frozen":
                    continue
                writer.write(json.dumps(self._answer(request)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._watchers.discard(writer)
            writer.close()

    def _watch(self, writer: asyncio.StreamWriter) -> None:
        self.watches += 1
        self._watchers.add(writer)
        for call in self._calls.values():
            writer.write(json.dumps({"news": "call", "call": call}).encode() + b"\n")
        writer.write(b'{"news": "ready"}\n')

    def _tell(self, news: dict[str, Any]) -> None:
        for writer in self._watchers:
            writer.write(json.dumps(news).encode() + b"\n")

    def _put(self, call: dict[str, Any]) -> None:
        self._calls[call["call_id"]] = call
        self._tell({"news": "call", "call": call})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, **getattr(self, f"_op_{request['op']}")(request)}
        except LookupError as error:
            return {"ok": False, "error": str(error.args[0])}

    def _op_stats(self, _: dict[str, Any]) -> dict[str, Any]:
        live = {"listeners": 0, "calls": 0, "dropped_s": 0.0}
        counts = {"dropped_packets": 0, "stray_packets": 0, "forgotten_pauses": 0, "lag_p99_ms": 1.0}
        return {"calls": len(self._calls), "live": live, **counts}

    def _op_calls(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"calls": asked_for(self._calls.values(), request)}

    def _op_gate(self, request: dict[str, Any]) -> dict[str, Any]:
        call = self._wanted(request)
        states, causes = dict(call["states"]), {k: list(v) for k, v in call["causes"].items()}
        named = [request["purpose"]] if request.get("purpose") else list(states)
        cause, changed = request["cause"], []
        for name in named if self.mode == "good" else ():
            held = causes.pop(name, [])
            held = sorted({*held, cause} if request["verb"] == "pause" else {*held} - {cause})
            new = "dropped" if request["verb"] == "drop" else "paused" if held else "recording"
            if states[name] == "idle":  # a pause of what is idle is remembered
                new = "idle"
            if held:
                causes[name] = held
            if new != states[name]:
                changed.append(name)
            states[name] = new
        if self.mode == "good":
            told = {"paused_s": 0.0, "since_s": 9.5, "resumes_in_s": 300.0}
            pauses = {field: dict.fromkeys(causes, value) for field, value in told.items()}
            self._put(call | {"states": states, "causes": causes} | pauses)
        call_id = "f" * 32 if self.mode == "stale" else call["call_id"]
        states = dict.fromkeys(states, "paused") if self.mode == "stale" else states
        return {"call_id": call_id, "states": states, "changed": changed, "since_s": 9.5, "causes": causes}

    def _op_context(self, request: dict[str, Any]) -> dict[str, Any]:
        call = self._wanted(request)
        tags = sorted({*call["tags"], *request.get("add_tags", [])} - {*request.get("remove_tags", [])})
        said = {key: request[key] for key in ("queue", "consent") if key in request}
        self._put(call | {"tags": tags} | said)
        return {key: call[key] for key in ("call_id", "states", "causes")}

    def _wanted(self, request: dict[str, Any]) -> dict[str, Any]:
        if "agent" in request:
            found = [c for c in self._calls.values() if c["agent"] == request["agent"]]
            if not found:
                raise LookupError("no live call of this agent")
            return found[-1]
        found = [c for c in self._calls.values() if c["call_id"].startswith(request["call"])]
        if len(found) != 1:
            raise LookupError("no live call has this id")
        return found[0]


@contextmanager
def scripted_recorder(path: Path) -> Iterator[ScriptedRecorder]:
    """One that listens at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recorder = ScriptedRecorder(path)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.close()


def asked_for(calls: Iterable[dict[str, Any]], request: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the calls that a question of `calls` means."""
    exactly = {name: request[name] for name in ("agent", "reference") if name in request}
    whole = [call for call in calls if all(call[name] == value for name, value in exactly.items())]
    return [call for call in whole if call["call_id"].startswith(request.get("call", ""))]
