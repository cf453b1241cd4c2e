"""The feed over HTTP: pages, files from any byte on, acknowledgements. Redirects are not followed.

The token goes out only after the certificate was verified; plain HTTP is for this machine only.
"""

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode, urlsplit

PIECE = 1 << 18
LARGEST_ANSWER = 16 << 20
TIMEOUT_S = 60.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.age")
"""Nothing else: not a receipt, nor what begins with a dot."""
_CURSOR = re.compile(r"[!-~]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,4}", re.ASCII)
LARGEST_RECEIPT = 64 << 10


class PullError(Exception):
    """It cannot go on: what is wrong, in words. Nothing is gained by trying again."""


class TryAgain(Exception):
    """It did not work now and may later, in `after_s` seconds if the box said so."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class CursorGone(Exception):
    """The box no longer knows the cursor: the feed is read from its beginning."""


class NotNow(Exception):
    """This artifact cannot be had now: it comes again in the feed, or a tombstone does."""


class TakenBack(Exception):
    """This artifact was taken back, or is no longer there."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a tombstone calls back."""

    path: PurePosixPath
    sha256: str


@dataclass(frozen=True, slots=True)
class Item:
    """One artifact of the feed. `path` is relative and stays below the folder."""

    id: str
    kind: str
    path: PurePosixPath
    size: int
    sha256: str
    destroys: tuple[Destroyed, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the feed."""

    items: tuple[Item, ...]
    cursor: str | None
    more: bool


def safe_path(text: object, purpose: str) -> PurePosixPath:
    """`PURPOSE/NAME.age`, and nothing that could lead elsewhere. Raises ValueError."""
    parts = str(text).split("/")
    if len(parts) != 2 or parts[0] != purpose or not _NAME.fullmatch(parts[1]):
        raise ValueError("a path that is not PURPOSE/NAME.age")
    return PurePosixPath(*parts)


def parse_page(said: Any, purpose: str) -> Page:
    """What the feed answered. Raises ValueError for anything that is not as docs/feed.md says."""
    try:
        if said["purpose"] != purpose:
            raise ValueError("another purpose")
        cursor = None if said["cursor"] is None else str(said["cursor"])
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            raise ValueError("a cursor that is none")
        return Page(tuple(_item(one, purpose) for one in said["items"]), cursor, bool(said["more"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from None


def _item(said: Any, purpose: str) -> Item:
    destroys = tuple(Destroyed(safe_path(one["path"], purpose), _digest(one["sha256"])) for one in said["destroys"])
    if not _ID.fullmatch(said["id"]) or type(said["size"]) is not int or said["size"] < 0:
        raise ValueError("an id or size that is none")
    path = safe_path(said["path"], purpose)
    if destroys and said["kind"] != "tombstone":
        raise ValueError("something to destroy, and no tombstone")
    return Item(said["id"], str(said["kind"]), path, said["size"], _digest(said["sha256"]), destroys)


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("a digest that is none")
    return text


def tls_context(ca_file: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """Verifies the box by the system's authorities or those of `ca_file`; shows a client certificate if there is one.
    Raises PullError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        names = ", ".join(name for name in (ca_file, certificate, key) if name)
        raise PullError(f"{names}: cannot be used: {getattr(error, 'strerror', None) or error}") from None
    return context


@dataclass
class Feed:
    """The feed of one purpose. `context` None: plain HTTP to this machine."""

    url: str
    purpose: str
    token: str | None = field(repr=False)
    context: ssl.SSLContext | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._host, self._prefix = parts.hostname or "", parts.path.rstrip("/")
        if parts.scheme not in ("http", "https") or not self._host or parts.query or parts.username:
            raise PullError(f"{self.url}: expected an address such as https://box.example:8470")
        if parts.scheme == "http" and self._host not in LOOPBACK:
            raise PullError(f"{self.url}: plain http is for this machine only, the token would be read on the way")
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._is_tls = parts.scheme == "https"

    def page(self, after: str | None, wait_s: float, limit: int = 100) -> Page:
        """What is new behind a cursor. Raises CursorGone, TryAgain, PullError."""
        query = {"purpose": self.purpose, "limit": str(limit), "wait": f"{wait_s:g}"}
        if after is not None:
            query["after"] = after
        with self._open("GET", f"/v1/feed?{urlencode(query)}", patience_s=self.timeout_s + wait_s) as answer:
            if answer.status == http.client.GONE:
                raise CursorGone
            said = self._json(answer)
        try:
            return parse_page(said, self.purpose)
        except ValueError as error:
            raise PullError(f"{self.url} answers in another way than a feed does: {error}") from None

    @contextmanager
    def fetch(self, item: Item, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """From which byte on it comes (0 if the box did not go on where we were), and the bytes. Raises NotNow,
        TakenBack, TryAgain, PullError, also while they are read."""
        headers = {"Range": f"bytes={start}-", "If-Range": f'"{item.sha256}"'} if start else {}
        with self._open("GET", f"/v1/artifacts/{item.id}", headers=headers) as answer:
            if answer.status == http.client.CONFLICT:
                raise NotNow
            if answer.status in (http.client.GONE, http.client.NOT_FOUND):
                raise TakenBack
            if answer.status == http.client.PARTIAL_CONTENT:
                if not (answer.getheader("content-range") or "").startswith(f"bytes {start}-"):
                    raise PullError(f"{self.url} sends another range than was asked for")
                yield start, self._pieces(answer)
                return
            self._check(answer)
            yield 0, self._pieces(answer)

    def acknowledge(self, item: Item) -> bytes:
        """The receipt; its signatures are for whoever holds the site's public key (docs/feed.md). Raises NotNow,
        TakenBack, TryAgain, PullError."""
        body = json.dumps({"sha256": item.sha256}).encode()
        with self._open("POST", f"/v1/artifacts/{item.id}/ack", body=body) as answer:
            if answer.status in (http.client.GONE, http.client.NOT_FOUND):
                raise TakenBack
            if answer.status == http.client.CONFLICT:
                raise NotNow
            self._check(answer)
            receipt = self._read(answer, LARGEST_RECEIPT)
        try:
            said = json.loads(receipt)["body"]
            is_ours = (said["artifact"], said["cipher_sha256"]) == (item.id, item.sha256)
        except (ValueError, KeyError, TypeError, RecursionError):
            is_ours = False
        if not is_ours:
            raise PullError(f"{self.url} answers with something that is no receipt for {item.path}")
        return receipt

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        patience_s: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        patience_s = self.timeout_s if patience_s is None else patience_s
        connection: http.client.HTTPConnection
        if self._is_tls:
            context = self.context or ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=patience_s, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=patience_s)
        sent = {"Accept": "*/*", **(headers or {})}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            with self._network():
                connection.request(method, self._prefix + path, body, sent)
                answer = connection.getresponse()
            yield answer
        finally:
            connection.close()

    @contextmanager
    def _network(self) -> Iterator[None]:
        """What goes wrong on the way, in words; what goes wrong here, such as a full disk, is not of it."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            why = f"{self.url}: its certificate is not trusted ({error.verify_message}); name its authority with --ca"
            raise PullError(why) from None
        except ssl.SSLError as error:
            raise TryAgain(f"{self.url}: TLS failed: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise TryAgain(f"{self.url}: no answer: {why}") from None

    def _read(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        with self._network():
            return answer.read(most)

    def _pieces(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        while piece := self._read(answer, PIECE):
            yield piece

    def _json(self, answer: http.client.HTTPResponse) -> Any:
        self._check(answer)
        try:
            return json.loads(self._read(answer, LARGEST_ANSWER))
        except (ValueError, RecursionError):
            raise PullError(f"{self.url} answers in another way than a feed does: no JSON") from None

    def _check(self, answer: http.client.HTTPResponse) -> None:
        if answer.status == http.client.OK:
            return
        words = self._words(answer)
        if answer.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN, http.client.NOT_FOUND):
            raise PullError(
                f"{self.url} refuses ({answer.status}): {words}; is the token one of `greffier token add "
                f"feed:{self.purpose}`?"
            )
        if answer.status == http.client.TOO_MANY_REQUESTS or answer.status >= http.client.INTERNAL_SERVER_ERROR:
            after = answer.getheader("retry-after") or ""
            raise TryAgain(f"{self.url}: {answer.status}: {words}", float(after) if _SECONDS.fullmatch(after) else None)
        raise PullError(f"{self.url}: {answer.status}: {words}")

    def _words(self, answer: http.client.HTTPResponse) -> str:
        """What the box says is wrong."""
        try:
            said = json.loads(self._read(answer, LARGEST_ANSWER))["detail"]
        except (ValueError, KeyError, TypeError, RecursionError):
            said = None
        words = said if isinstance(said, str) else answer.reason
        return "".join(c if c.isprintable() else "?" for c in words[:300])
