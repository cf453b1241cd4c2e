"""The counter where the desk collects what central systems fetch: only the courier changes the state of delivery.

Asked over a control socket of its own (`agent.control.server`):
`hand` {artifact, purpose}: it is about to leave; `handed` false when it may not any more (masked, dropped, deleted).
`received` {artifact, purpose, sha256, by}: it has arrived whole; answers who, when, and the journal's line, the same
ones each time. `receipt` {artifact, receipt}: what was signed about that, kept; answers the one that was kept first.

An artifact counts as having left before its first byte does, so that a tombstone follows whatever is masked later.
When it arrives, the journal's line comes first, then the catalog: killed in between, it still waits, is acknowledged
again, and has a second line rather than none.
"""

import asyncio
import hmac
import sqlite3
import threading
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from agent.control.server import ControlSocket
from agent.model.artifact import Artifact, Delivery
from agent.store.catalog import Catalog
from agent.store.custody import CustodyRow
from agent.store.journal import Journal
from agent.vault.secretfile import make_folder

log = structlog.get_logger()

LONGEST_RECEIPT = 16_000


class Counter:
    """Answers until `stop`, in a thread of its own, one question after the other."""

    def __init__(
        self,
        path: Path,
        destinations: Collection[str],
        catalog: Catalog,
        journal: Journal,
        clock_ns: Callable[[], int],
    ) -> None:
        self._path = path
        self._destinations = frozenset(destinations)
        self._catalog, self._journal, self._clock_ns = catalog, journal, clock_ns
        self._loop = asyncio.new_event_loop()
        self._socket = ControlSocket(path, self._answer)
        self._thread = threading.Thread(target=self._loop.run_forever, name="counter", daemon=True)

    def start(self) -> None:
        """Open the socket. Raises OSError."""
        make_folder(self._path.parent)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._socket.start(), self._loop).result(10)

    def stop(self) -> None:
        """Close it."""
        asyncio.run_coroutine_threadsafe(self._socket.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.answer(request)
        except (OSError, sqlite3.Error) as error:
            log.error("counter.failed", op=str(request.get("op"))[:20], kind=type(error).__name__, error=str(error))
            raise ValueError("the catalog or the journal cannot be written now") from None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """To one question. Raises KeyError, ValueError, LookupError; OSError, sqlite3.Error."""
        op, artifact_id = request["op"], str(request["artifact"])
        if op == "receipt":
            if len(request["receipt"]) > LONGEST_RECEIPT:
                raise ValueError("no receipt is so long")
            return {"receipt": self._catalog.custody.keep_receipt(artifact_id, str(request["receipt"]))}
        artifact = self._catalog.artifact(artifact_id)
        if artifact.purpose != request["purpose"] or artifact.destination not in self._destinations:
            raise LookupError(f"no artifact {artifact_id}")
        if op == "hand":
            return {"handed": self._catalog.corrections.claim(artifact_id, self._clock_ns())}
        if op == "received":
            return self._received(artifact, str(request["sha256"]), str(request["by"]))
        raise ValueError("unknown op")

    def _received(self, artifact: Artifact, sha256: str, by: str) -> dict[str, Any]:
        if not hmac.compare_digest(artifact.cipher_sha256.encode(), sha256.lower().encode()):
            raise ValueError("its SHA-256 is another")
        row = self._catalog.custody.of(artifact.artifact_id)
        if row is None:
            line = self._journal.append(
                "delivered",
                call_id=artifact.call_id,
                purpose=artifact.purpose,
                path=artifact.path,
                destination=artifact.destination,
                cipher_sha256=artifact.cipher_sha256,
                received_by=by,
            )
            row = CustodyRow(artifact.artifact_id, by, line.at_ns, line.process, line.seq, line.hash)
            with self._catalog.transaction():
                self._catalog.custody.add(row)
                self._catalog.set_delivery(artifact.artifact_id, Delivery.SENT, line.at_ns)
            log.info("collected", call=artifact.call_id, path=artifact.path, by=by)
        return asdict(row)
