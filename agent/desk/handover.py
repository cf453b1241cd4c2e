"""Handing artifacts over to central systems: what each may see, that it has left, and a receipt when it has arrived.

The desk reads catalog and outbox and changes neither: the courier is asked before the first byte leaves, and when the
last has arrived (`agent.courier.counter`).
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from agent.config import Settings
from agent.control.client import ControlClient, NoAnswer
from agent.desk.access import AccessLog
from agent.desk.news import News
from agent.desk.receipts import NoReceipts, Receipts
from agent.model.identity import Scope
from agent.store.feed import CursorGone, FeedReader, Held, Page
from agent.store.journal import Journal

NOT_FOUND = "no artifact of this feed has this id"
GONE = "gone: it was taken back, or kept here no longer; destroy what you have of it unless you acknowledged it"
BEING_CORRECTED = "not now: something is being taken out of it; it comes again in the feed, or a tombstone does"
CURSOR_GONE = (
    "gone: this cursor is of a catalog that is no more. Ask again without `after`: what you have already is known by "
    "its id and sha256, and acknowledging it again is harmless"
)
AGAIN = {"Retry-After": "5"}


@dataclass(frozen=True, slots=True)
class Handover:
    """What the routes of the feed need."""

    site: str
    reader: FeedReader
    courier: ControlClient
    outbox_dir: Path
    access: AccessLog
    receipts: Receipts
    news: News

    async def page(self, who: Scope, after: str | None, most: int) -> Page:
        """Raises 410, 503."""
        try:
            return await asyncio.to_thread(self.reader.page, who.purpose or "", after, most)
        except CursorGone:
            raise HTTPException(410, CURSOR_GONE) from None
        except sqlite3.Error:
            raise _later("the catalog cannot be read now") from None

    async def find(self, who: Scope, artifact_id: str) -> Held:
        """An artifact of the asker's own purpose. Raises 404, the same for another's as for none; 503."""
        try:
            held = await asyncio.to_thread(self.reader.find, artifact_id, who.purpose or "")
        except sqlite3.Error:
            raise _later("the catalog cannot be read now") from None
        if held is None:
            raise HTTPException(404, f"not done: {NOT_FOUND}")
        return held

    async def to_hand(self, who: Scope, artifact_id: str) -> Held:
        """One that may be fetched now. Raises 404, 409, 410, 503."""
        held = await self.find(who, artifact_id)
        if held.is_withdrawn or not held.is_local:
            raise HTTPException(410, GONE)
        if held.is_held:
            raise HTTPException(409, BEING_CORRECTED, AGAIN)
        return held

    async def let_out(self, who: Scope, held: Held) -> None:
        """It counts as having left, and who fetched it is written down; both durable when this returns. Raises 409,
        503."""
        artifact = held.artifact
        await self._claim(who, held)
        try:
            fields = {"call_id": artifact.call_id, "purpose": artifact.purpose, "path": artifact.path}
            await self.access.fetched(actor(who), artifact.artifact_id, **fields)
        except OSError:
            raise _later("who fetches cannot be written down now") from None

    async def received(self, who: Scope, held: Held) -> str:
        """The receipt for an artifact that arrived whole: the first time it becomes SENT. Raises 409, 410, 503.

        What is acknowledged has left, though we know of no fetching (an old catalog was restored): a tombstone follows
        it from then on.
        """
        artifact = held.artifact
        if held.is_withdrawn or not (held.is_local or held.is_claimed):
            raise HTTPException(410, GONE)
        try:
            self.receipts.ready()
            await self._claim(who, held)
            said = await self._ask("received", who, artifact.artifact_id, sha256=artifact.cipher_sha256, by=actor(who))
            if said["receipt"] is not None:
                return str(said["receipt"])
            made = self.receipts.sign(
                {
                    "site": self.site,
                    "artifact": artifact.artifact_id,
                    "call": artifact.call_id,
                    "purpose": artifact.purpose,
                    "kind": artifact.kind.value,
                    "path": artifact.path,
                    "size": artifact.size_bytes,
                    "cipher_sha256": artifact.cipher_sha256,
                    "received_by": said["received_by"],
                    "received_ns": said["received_ns"],
                    "journal": {"chain": said["chain"], "seq": said["seq"], "hash": said["hash"]},
                }
            )
        except NoReceipts as error:
            raise _later(str(error)) from None
        kept = await self._ask("receipt", who, artifact.artifact_id, receipt=made)
        return str(kept["receipt"])

    async def _claim(self, who: Scope, held: Held) -> None:
        """Raises 409, 503."""
        if not held.is_claimed:
            answer = await self._ask("hand", who, held.artifact.artifact_id)
            if not answer["handed"]:
                raise HTTPException(409, BEING_CORRECTED, AGAIN)

    async def _ask(self, op: str, who: Scope, artifact_id: str, **more: str) -> dict[str, Any]:
        try:
            return await self.courier.ask(op=op, artifact=artifact_id, purpose=who.purpose, **more)
        except (NoAnswer, ValueError) as error:
            raise _later(str(error)) from None


def handover_of(settings: Settings, journal: Journal) -> Handover:
    """What is fetched here: of destinations that are pulled, and a receipt key only where there are any."""
    pulled = settings.pulled
    receipts = Receipts(settings.receipt_key_path, settings.receipt_certificate_path)
    if pulled:
        receipts.prepare()
    reader = FeedReader(settings.catalog_path, pulled)
    return Handover(
        site=settings.site.name,
        reader=reader,
        courier=ControlClient(settings.courier_socket, of="courier"),
        outbox_dir=settings.outbox_dir,
        access=AccessLog(journal),
        receipts=receipts,
        news=News(reader.newest),
    )


def actor(who: Scope) -> str:
    """Who is written down: the puller by its name, and by what it was known."""
    return f"{who.right.value}:{who.name}:{who.token_id}"


def _later(why: str) -> HTTPException:
    return HTTPException(503, f"not done: {why}", AGAIN)
