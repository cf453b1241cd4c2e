"""Webhooks: who wants to be told of new artifacts is sent their ids, signed as https://www.standardwebhooks.com says.

The feed in the catalog is the queue: a message is the next entry behind the hook's place, and the place moves when it
was taken (2xx), or was offered in vain too often. So nothing is lost by a kill, at most told twice, under the same
`webhook-id`. A hook that is new is told of what is filed from then on. Redirects are not followed, answers not read.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import structlog

from agent.config.delivery import Courier as Pace
from agent.config.feed import Webhook
from agent.courier.patience import delay_s
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.hooks import Entry, HookRow
from agent.store.journal import Journal
from agent.vault.secretfile import read_secret

log = structlog.get_logger()

NS = 1_000_000_000
LONGEST_PAUSE_S = 3600.0
PREFIX = "whsec_"
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
"""Bytes, as the scheme asks for."""


def read_hook_secret(path: Path) -> bytes:
    """`whsec_` and base64, or base64 alone, in a private file. Raises OSError; ValueError without the secret."""
    text = read_secret(path).decode("ascii", "replace").strip()
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET:
        raise ValueError(f"{path}: expected whsec_ and {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in base64")
    return secret


def signed(secret: bytes, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a message: `v1,` and HMAC-SHA-256 over id, time and body."""
    digest = hmac.digest(secret, f"{message_id}.{at_s}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def message(hook: str, purpose: str, entry: Entry) -> tuple[str, bytes]:
    """Id and body: no more than id, purpose and kind; the rest is asked for with a token."""
    known_by = hashlib.sha256(f"{hook} {purpose} {entry.number} {entry.artifact_id}".encode()).hexdigest()[:32]
    what = "artifact.destroy" if entry.kind == ArtifactKind.TOMBSTONE else "artifact.created"
    made = datetime.fromtimestamp(entry.created_ns / NS, UTC).isoformat(timespec="milliseconds")
    data = {"id": entry.artifact_id, "purpose": purpose, "kind": entry.kind}
    body = {"type": what, "timestamp": made.replace("+00:00", "Z"), "data": data}
    return f"msg_{known_by}", json.dumps(body, separators=(",", ":")).encode()


class Hook:
    """One `[webhook.NAME]`, in a thread of its own."""

    def __init__(
        self,
        name: str,
        section: Webhook,
        pace: Pace,
        catalog: Catalog,
        journal: Journal,
        stop: threading.Event,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._name, self._section, self._pace = name, section, pace
        self._catalog, self._journal, self._stop, self._clock_ns = catalog, journal, stop, clock_ns
        self._http = httpx.Client(follow_redirects=False, timeout=section.timeout_s, trust_env=False)

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:  # nothing of one hook may end it: it is tried again and stays visible
                log.error("webhook.failed", hook=self._name, kind=type(error).__name__, error=str(error))
            self._stop.wait(self._pace.poll_s)
        self._http.close()

    def step(self) -> None:
        """Tell all that is new and due, purpose by purpose; one that is not taken holds up its purpose alone."""
        for purpose in self._section.purposes:
            place = self._catalog.hooks.place(self._name, purpose)
            while place.next_ns <= self._clock_ns() and not self._stop.is_set():
                entry = self._catalog.hooks.behind(place)
                if entry is None:
                    break
                place = self._told(place, entry)

    def _told(self, place: HookRow, entry: Entry) -> HookRow:
        why = None if entry.is_gone else self._post(place.purpose, entry)
        attempts = place.attempts + 1
        if why is None:
            place = HookRow(place.hook, place.purpose, entry.number)
        elif attempts >= self._section.give_up_after:
            log.error("webhook.given_up", hook=self._name, artifact=entry.artifact_id, why=why)
            self._journal.append(
                "webhook.given_up", purpose=place.purpose, hook=self._name, artifact=entry.artifact_id, why=why
            )
            place = HookRow(place.hook, place.purpose, entry.number)
        else:
            again_s = delay_s(self._pace.retry_first_s, LONGEST_PAUSE_S, place.attempts)
            log.warning("webhook.retry", hook=self._name, artifact=entry.artifact_id, why=why, again_s=again_s)
            place = replace(place, attempts=attempts, next_ns=self._clock_ns() + int(again_s * NS))
        self._catalog.hooks.move(place)
        return place

    def _post(self, purpose: str, entry: Entry) -> str | None:
        """None when it was taken, else why not."""
        message_id, body = message(self._name, purpose, entry)
        try:
            secret = read_hook_secret(self._section.secret_file)
            headers = signed(secret, message_id, self._clock_ns() // NS, body)
            headers["content-type"] = "application/json"
            with self._http.stream("POST", self._section.url, content=body, headers=headers) as answer:
                return None if answer.is_success else f"it answered {answer.status_code}"
        except (OSError, ValueError) as error:
            return str(error)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}"
