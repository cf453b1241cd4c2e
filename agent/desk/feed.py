"""The pull feed (docs/feed.md): what is new in one purpose, the artifacts themselves, and receipts for what arrived.

Files are streamed from the outbox as they lie there, encrypted, with ranges and validators of RFC 9110 §13 and §14, and
digests of RFC 9530. Another purpose's artifact is not found, just as one that never was.
"""

import asyncio
import hmac
import os
import re
import stat
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from agent.desk.hand import Desk
from agent.desk.handover import AGAIN, GONE, Handover, actor
from agent.desk.news import TooMany
from agent.desk.openapi import description
from agent.model.artifact import Artifact, Delivery
from agent.model.identity import Scope as Who
from agent.store.feed import Held, Offered, Page

log = structlog.get_logger()

TAG = "feed"
MOST_ITEMS, LONGEST_WAIT_S = 500, 60.0
MOST_FETCHES = 16
"""Of one asker, at a time."""
SEND_S = 30.0
"""Who takes nothing for so long is cut off."""
MOST_RANGES = 16
_RANGE = re.compile(r"(\d{1,18})-(\d{0,18})|-\d{1,18}")
ArtifactId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class Destroyed(BaseModel):
    """What a tombstone calls back."""

    id: str
    path: str
    sha256: str


class Item(BaseModel):
    """One artifact, an age file. `path` names it as every destination does: PURPOSE/CALL.KIND.ENDING.age."""

    id: str
    kind: str
    purpose: str
    call: str
    path: str
    media_type: str = Field(description="of what is inside")
    size: int = Field(description="bytes of the age file")
    sha256: str = Field(description="of the age file")
    plain_sha256: str = Field(description="of what is inside")
    created: datetime
    central_deadline: datetime | None = Field(description="until when it may be kept")
    acknowledged: bool
    destroys: list[Destroyed] = Field(description="of a tombstone: what must be destroyed")


class Feed(BaseModel):
    """A page of the feed. Ask for the next one with `after`=`cursor`, at once while there is `more`."""

    purpose: str
    items: list[Item]
    cursor: str | None = Field(description="null as long as the feed is empty")
    more: bool


class Ack(BaseModel):
    """That an artifact has arrived."""

    model_config = ConfigDict(extra="forbid")

    sha256: str = Field(pattern="^[0-9a-fA-F]{64}$", description="of the file as it was received and stored")


class Journalled(BaseModel):
    """The line of the journal that says so."""

    chain: str
    seq: int
    hash: str


class ReceiptBody(BaseModel):
    """Who received what, when."""

    format: str
    site: str
    artifact: str
    call: str
    purpose: str
    kind: str
    path: str
    size: int
    cipher_sha256: str
    received_by: str
    received_ns: int
    journal: Journalled


class KeyBody(BaseModel):
    """Whose key signs receipts, and for how long."""

    format: str
    site: str
    public_key: str
    from_ns: int
    until_ns: int


class Certificate(BaseModel):
    """The site key's signature over the receipt key."""

    body: KeyBody
    signature: str


class Receipt(BaseModel):
    """A custody receipt (docs/feed.md): signed, and checked with the site's public key alone."""

    body: ReceiptBody
    certificate: Certificate
    signature: str


class Refusal(BaseModel):
    """Why nothing was done."""

    detail: str


class Misunderstood(BaseModel):
    """What was not understood, and where."""

    detail: list[dict[str, Any]]


class Stored(FileResponse):
    """A file from the outbox that gives up on whoever does not read it. `fetching` counts what `asker` fetches now."""

    fetching: Counter[str]
    asker: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def patient(message: Message) -> None:
            async with asyncio.timeout(SEND_S):
                await send(message)

        self.fetching[self.asker] += 1
        try:
            await super().__call__(_with_range(scope), receive, patient)
        except TimeoutError:
            log.warning("desk.fetcher_cut", why="it does not read")
        finally:
            self.fetching[self.asker] -= 1
            if not self.fetching[self.asker]:
                del self.fetching[self.asker]


def _with_range(scope: Scope) -> Scope:
    """Without a Range that is to be ignored: of a HEAD, or not one that is understood (RFC 9110 §14.2)."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name != b"range" or (scope["method"] == "GET" and are_ranges(value.decode("latin-1")))
    ]
    return {**scope, "headers": headers}


def are_ranges(header: str) -> bool:
    """Whether a Range is in bytes, each of its few ranges well made and none backwards (RFC 9110 §14.1.2)."""
    unit, _, ranges = header.partition("=")
    found = [_RANGE.fullmatch(one.strip(" \t")) for one in ranges.split(",", MOST_RANGES)]
    if unit.lower() != "bytes" or len(found) > MOST_RANGES:
        return False
    return all(one and not (one[1] and one[2] and int(one[2]) < int(one[1])) for one in found)


def router(desk: Desk) -> APIRouter:
    """Routes of the feed."""
    routes = APIRouter(prefix="/v1", tags=[TAG])
    door, hands = desk.door, desk.handover
    fetching: Counter[str] = Counter()

    @routes.get("/feed", responses=_responses(401, 403, 404, 410, 429, 503))
    async def feed(
        request: Request,
        purpose: Annotated[str | None, Query(max_length=31, description="the token's own; it knows no other")] = None,
        after: Annotated[str | None, Query(max_length=64, description="the cursor of the page before")] = None,
        wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for something new")] = 0.0,
        limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 100,
    ) -> Feed:
        """What is new behind a cursor, tombstones included; without one, all that is still here."""
        who = door.feed(request)
        if purpose not in (None, who.purpose):
            door.refused("feed of another purpose", actor(who))
            raise HTTPException(404, "not done: this token has no feed of that purpose")
        page = await hands.page(who, after, limit)
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        try:
            while not page.items and not page.more and (left := until - loop.time()) > 0:
                if not await hands.news.wait(who.purpose or "", page.last, actor(who), left, request.is_disconnected):
                    break
                page = await hands.page(who, page.cursor, limit)
        except TooMany:
            raise HTTPException(429, "not done: too many wait with this token", {"Retry-After": "10"}) from None
        if wait and not door.still(request):
            raise HTTPException(401, "not done: the token was revoked meanwhile", {"WWW-Authenticate": "Bearer"})
        return _told(who, page)

    @routes.get("/feed/openapi.json", include_in_schema=False)
    async def described() -> Response:
        """What this is, for programs; it says nothing of the site."""
        return JSONResponse(document)

    @routes.get(
        "/artifacts/{artifact_id}",
        response_class=Stored,
        responses=_file_responses(401, 403, 404, 409, 410, 416, 429, 503),
    )
    async def artifact(request: Request, artifact_id: ArtifactId) -> Response:
        """The age file, or ranges of it. ETag is its SHA-256; Repr-Digest and Content-Digest are as RFC 9530 has
        them."""
        who = door.feed(request)
        held = await hands.to_hand(who, artifact_id)
        if _matches(request.headers.get("if-none-match"), held.artifact):
            return Response(status_code=304, headers=_validators(held.artifact))
        if fetching[actor(who)] >= MOST_FETCHES:
            raise HTTPException(429, "not done: too much is fetched at once with this token", {"Retry-After": "1"})
        file = await asyncio.to_thread(_stored, hands, held, "range" not in request.headers)
        await hands.let_out(who, held)
        file.fetching, file.asker = fetching, actor(who)
        return file

    @routes.head("/artifacts/{artifact_id}", responses=_file_responses(401, 403, 404, 409, 410, 429, 503))
    async def head(request: Request, artifact_id: ArtifactId) -> Response:
        """What a GET would say of it, without fetching anything."""
        who = door.feed(request)
        held = await hands.to_hand(who, artifact_id)
        if _matches(request.headers.get("if-none-match"), held.artifact):
            return Response(status_code=304, headers=_validators(held.artifact))
        file = await asyncio.to_thread(_stored, hands, held, True)
        file.fetching, file.asker = fetching, actor(who)
        return file

    @routes.post(
        "/artifacts/{artifact_id}/ack",
        response_model=Receipt,
        responses=_responses(401, 403, 404, 409, 410, 413, 429, 503),
    )
    async def ack(request: Request, artifact_id: ArtifactId, body: Ack) -> Response:
        """That it arrived: nothing is changed unless the digest is the file's. The answer is a receipt, the same one
        each time."""
        who = door.feed(request)
        held = await hands.find(who, artifact_id)
        if not hmac.compare_digest(body.sha256.lower(), held.artifact.cipher_sha256):
            door.refused("acknowledged with another digest", actor(who))
            raise HTTPException(409, "not done: the file has another SHA-256; fetch it again")
        return Response(await hands.received(who, held), media_type="application/json")

    document = description(routes.routes)
    return routes


def _told(who: Who, page: Page) -> Feed:
    return Feed(purpose=who.purpose or "", items=[_item(one) for one in page.items], cursor=page.cursor, more=page.more)


def _item(offered: Offered) -> Item:
    artifact = offered.artifact
    return Item(
        id=artifact.artifact_id,
        kind=artifact.kind.value,
        purpose=artifact.purpose,
        call=artifact.call_id,
        path=artifact.path,
        media_type=artifact.media_type,
        size=artifact.size_bytes,
        sha256=artifact.cipher_sha256,
        plain_sha256=artifact.plain_sha256,
        created=_instant(artifact.created_ns),
        central_deadline=_instant(artifact.central_deadline_ns) if artifact.central_deadline_ns else None,
        acknowledged=artifact.delivery is Delivery.SENT,
        destroys=[Destroyed(id=a.artifact_id, path=a.path, sha256=a.cipher_sha256) for a in offered.destroys],
    )


def _instant(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)


def _matches(header: str | None, artifact: Artifact) -> bool:
    """If-None-Match (RFC 9110 §13.1.2), which compares weakly."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return bool({"*", f'"{artifact.cipher_sha256}"'} & tags)


def _validators(artifact: Artifact) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(artifact.cipher_sha256)).decode()
    return {"ETag": f'"{artifact.cipher_sha256}"', "Repr-Digest": f"sha-256=:{digest}:"}


def _stored(hands: Handover, held: Held, is_whole: bool) -> Stored:
    """The file of an artifact. Raises 410 when it has just gone, 503 when it is not what it was or may not be read."""
    artifact = held.artifact
    path = hands.outbox_dir / artifact.path
    try:
        status = path.lstat()
        is_good = stat.S_ISREG(status.st_mode) and status.st_size == artifact.size_bytes and os.access(path, os.R_OK)
    except FileNotFoundError:
        raise HTTPException(410, GONE) from None
    except OSError:
        is_good = False
    if not is_good:
        log.error("feed.unreadable", path=artifact.path, hint="may the desk read this folder? systemd/README.md")
        raise HTTPException(503, "not done: the file cannot be read here", AGAIN)
    headers = _validators(artifact)
    if is_whole:
        headers["Content-Digest"] = headers["Repr-Digest"]
    return Stored(path, headers=headers, media_type="application/octet-stream", stat_result=status)


_SAYS = {
    401: "no good token or certificate",
    403: "not a token of a feed",
    404: "nothing of this feed",
    409: "not now, or not this",
    410: "gone: begin again, or destroy it",
    416: "no such range",
    413: "more than a digest",
    429: "too often: Retry-After says when",
    422: "not understood",
    503: "not now: nothing was done",
}


_BYTES = {"schema": {"type": "string", "format": "binary"}}


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    said = {status: Misunderstood if status == 422 else Refusal for status in (*statuses, 422)}
    return {status: {"description": _SAYS[status], "model": said[status]} for status in sorted(said)}


def _file_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    file = {"application/octet-stream": _BYTES}
    said: dict[int | str, dict[str, Any]] = {
        200: {"description": "the age file", "content": file},
        206: {"description": "ranges of it", "content": {**file, "multipart/byteranges": _BYTES}},
        304: {"description": "it is what If-None-Match names"},
    }
    said |= _responses(*statuses)
    if 416 in said:
        del said[416]["model"]
    return said
