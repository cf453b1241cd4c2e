"""A web server that takes files by PUT as destination (RFC 9110 §9.3.4).

A file is only ever created (`If-None-Match: *`), goes with its SHA-256 (`Content-Digest`, RFC 9530), and is read back
whole before it counts as delivered; with `verify = "checksum"` the digest that the server states (`Repr-Digest`) is
believed. There is no going on with a PUT: what broke off is sent again from its beginning.
"""

import base64
import hashlib
import secrets
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import httpx

from agent.config.destinations import PutSection
from agent.forward.destination import (
    Poison,
    Receipt,
    Retry,
    Terms,
    Throttle,
    Unlimited,
    Unsupported,
    UploadState,
    unchanged,
)
from agent.vault.secretfile import read_secret

PIECE_BYTES = 64 << 10
TIMEOUT = httpx.Timeout(60, connect=5)
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_THERE_ALREADY = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_WAIT: dict[int, str] = {
    HTTPStatus.REQUEST_TIMEOUT: "the server waited too long for it",
    HTTPStatus.TOO_EARLY: "the server asks to come again",
    HTTPStatus.TOO_MANY_REQUESTS: "the server has too much to do",
    HTTPStatus.INSUFFICIENT_STORAGE: "the server is full",
}
_MEND: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the server does not accept our token or certificate",
    HTTPStatus.FORBIDDEN: "the server does not permit it",
    HTTPStatus.NOT_FOUND: "there is nothing at this url",
    HTTPStatus.METHOD_NOT_ALLOWED: "the server does not do this at this url",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the server takes no file as large as this",
}


class Found(Enum):
    """What is under a name at the server."""

    NOTHING = "nothing"
    SAME = "same"
    OTHER = "other"


class PutDestination:
    """Files under `url`, `prefix` and the artifact's own path."""

    def __init__(self, name: str, section: PutSection, throttle: Throttle | None = None) -> None:
        self.name = name
        self._section = section
        self._throttle = throttle or Unlimited()
        self._made: httpx.Client | None = None

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState, terms: Terms) -> Receipt:
        """See Destination.put. What is there is never replaced; PUT has no words for terms."""
        unchanged(local, cipher_sha256)
        url = self._url(key)
        with self._words():
            found = self._look(url, cipher_sha256, size)
            if found is Found.NOTHING:
                found = self._send(url, self._pieces(local), cipher_sha256, size)
        if found is Found.OTHER:
            raise Poison(f"another file has this name at {self.name}; move it away")
        return Receipt(url)

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold."""
        raise Unsupported("a web server knows no legal hold")

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        with self._words():
            self._delete(self._url(key))

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon: a PUT that was not finished made nothing."""

    def sweep(self, remembered: Collection[str]) -> None:
        """See Destination.sweep: there are none."""

    def check(self) -> None:
        """See Destination.check."""
        url, data = self._url(f".greffier-{secrets.token_hex(4)}"), b"trial"
        with self._words():
            found = self._send(url, iter((data,)), hashlib.sha256(data).hexdigest(), len(data))
            self._delete(url)
        if found is not Found.SAME:
            raise Retry("what is written there is not what is read back")

    # ---- requests

    def _send(self, url: str, pieces: Iterator[bytes], cipher_sha256: str, size: int) -> Found:
        """Create a file, and see what is there then."""
        digest = base64.b64encode(bytes.fromhex(cipher_sha256)).decode()
        headers = {
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            "Content-Digest": f"sha-256=:{digest}:",
            "If-None-Match": "*",
            "Want-Repr-Digest": "sha-256=10",
        }
        answer = self._client.put(url, content=pieces, headers=headers | self._token())
        if answer.status_code in _THERE_ALREADY:
            found = self._look(url, cipher_sha256, size)
            if found is Found.NOTHING:
                raise Retry(f"the server answered {answer.status_code}, and there is nothing under this name")
            return found
        _raise_for(answer)
        if self._section.verify == "checksum" and stated_sha256(answer.headers) == cipher_sha256:
            return Found.SAME
        found = self._look(url, cipher_sha256, size)
        if found is Found.NOTHING:
            raise Retry("the server took it and does not have it")
        if found is Found.OTHER:
            self._delete(url)
            raise Retry("what was read back is not what was sent; it was removed there")
        return found

    def _look(self, url: str, cipher_sha256: str, size: int) -> Found:
        """Compare what is there with what should be: read back whole, or by the digest that the server states."""
        if self._section.verify == "checksum":
            head = self._client.head(url, headers={"Want-Repr-Digest": "sha-256=10"} | self._token())
            if head.status_code in _GONE:
                return Found.NOTHING
            if head.is_success and (stated := stated_sha256(head.headers)) is not None:
                return Found.SAME if stated == cipher_sha256 else Found.OTHER
        digest, count = hashlib.sha256(), 0
        headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"} | self._token()
        with self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code in _GONE:
                return Found.NOTHING
            _raise_for(answer)
            for piece in answer.iter_raw(PIECE_BYTES):
                digest.update(piece)
                count += len(piece)
                if count > size:
                    return Found.OTHER
        return Found.SAME if count == size and digest.hexdigest() == cipher_sha256 else Found.OTHER

    def _delete(self, url: str) -> None:
        answer = self._client.delete(url, headers=self._token())
        if answer.status_code not in _GONE:
            _raise_for(answer)

    def _pieces(self, local: Path) -> Iterator[bytes]:
        with local.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                self._throttle.take(len(piece))
                yield piece

    # ---- the client

    def _url(self, key: str) -> str:
        return self._section.url + quote(self._section.prefix + key)

    def _token(self) -> dict[str, str]:
        if self._section.token_file is None:
            return {}
        try:
            token = read_secret(self._section.token_file).decode("ascii").strip()
        except OSError as error:
            raise Poison(f"token_file: {error}") from None
        except ValueError:
            raise Poison("token_file must hold one bearer token, in ASCII") from None
        return {"Authorization": f"Bearer {token}"}

    @property
    def _client(self) -> httpx.Client:
        if self._made is None:
            section = self._section
            try:
                context = ssl.create_default_context(cafile=section.ca_file)
                if section.client_certificate is not None:
                    context.load_cert_chain(section.client_certificate, section.client_key)
            except OSError as error:  # SSLError is one
                raise Poison(f"ca_file, client_certificate or client_key: {error.strerror or error}") from None
            self._made = httpx.Client(verify=context, timeout=TIMEOUT, trust_env=False, follow_redirects=False)
        return self._made

    @contextmanager
    def _words(self) -> Iterator[None]:
        """Turn the library's errors into Retry and Poison; certificates and tokens may be mended after a Poison."""
        try:
            yield
        except Poison:
            self._made = None
            raise
        except httpx.HTTPError as error:
            self._made = None
            tls = _tls_error(error)
            if isinstance(tls, ssl.SSLCertVerificationError):
                raise Poison(f"the server's certificate is not accepted: {tls.verify_message}") from None
            if tls is not None and "ALERT" in (tls.reason or ""):
                raise Poison("the server does not accept our certificate, or wants one") from None
            raise Retry(f"the server cannot be reached or broke off ({type(error).__name__})") from None
        except OSError as error:
            raise Poison(f"the local file cannot be read: {error.strerror}") from None


def stated_sha256(headers: httpx.Headers) -> str | None:
    """The SHA-256 of a whole file that a server states (RFC 9530 `Repr-Digest`), hexadecimal."""
    for member in headers.get("Repr-Digest", "").split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                return base64.b64decode(value.strip(":"), validate=True).hex()
            except ValueError:
                return None
    return None


def _raise_for(answer: httpx.Response) -> None:
    """Raises Retry or Poison unless the server did what it was asked."""
    if answer.is_success:
        return
    status = answer.status_code
    if status in _WAIT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Retry(_WAIT.get(status, f"the server answered {status}"))
    if status == HTTPStatus.BAD_REQUEST and b"digest" in answer.read()[:4096].lower():  # RFC 9530, its problem types
        raise Retry("what arrived is not what was sent: damaged on the way")
    raise Poison(_MEND.get(status, f"the server answered {status}"))


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS that is behind another."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
