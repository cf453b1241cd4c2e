"""The desk over HTTP: press, ask how things stand, listen to events. Standard library only.

The token goes out only after the desk has shown a certificate that is trusted or pinned; redirects are not followed.
An exchange has one time limit for all of it, however slowly bytes drip in.
"""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

from greffier_desk.state import Reason, Standing, Verb, parse_standing

SILENCE_S = 25.0
"""An event stream without a line, not even the comment that keeps it alive, for so long is dead."""
LARGEST = 1 << 16
_REASONS = {401: Reason.TOKEN, 403: Reason.FORBIDDEN, 404: Reason.NO_CALL}


class DeskError(Exception):
    """The desk did not do it, for this `reason`; whether it was done all the same is not known when it is SILENT."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Event(NamedTuple):
    """One server-sent event; an empty `name` is a sign of life only."""

    name: str
    data: Any


class _Limit:
    """Shuts a socket when its time is over; `extend` begins the time anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.is_over = False

    def hold(self, held: socket.socket) -> None:
        self._socket = held

    def extend(self) -> None:
        self.stop()
        self._timer = threading.Timer(self._seconds, self._shut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _shut(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # under TLS too: the reader must wake up now

    def __enter__(self) -> Self:
        self.extend()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class _PinError(Exception):
    pass


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, in hex."""
    return hashlib.sha256(certificate).hexdigest()


class _Connection(http.client.HTTPConnection):
    """A connection whose certificate is looked at before anything is said."""

    def __init__(self, desk: "Desk", limit: _Limit, timeout_s: float) -> None:
        super().__init__(desk.host, desk.port, timeout=timeout_s)
        self._desk = desk
        self._limit = limit

    def connect(self) -> None:
        plain = socket.create_connection((self._desk.host, self._desk.port), self.timeout)
        self.sock = plain
        self._limit.hold(plain)
        if self._desk.context is None:
            return
        secured = self._desk.context.wrap_socket(plain, server_hostname=self._desk.host, do_handshake_on_connect=False)
        self.sock = secured
        self._limit.hold(secured)
        secured.do_handshake()
        if self._desk.pins:
            shown = fingerprint(secured.getpeercert(binary_form=True) or b"")
            if not any(hmac.compare_digest(shown, pin) for pin in self._desk.pins):
                raise _PinError


@dataclass(frozen=True)
class Desk:
    """Where the desk is and who we are. `context` None: plain HTTP, on this machine only (`config` sees to it)."""

    host: str
    port: int
    agent: str
    token: str = field(repr=False)
    context: ssl.SSLContext | None
    pins: tuple[str, ...] = ()

    def state(self, timeout_s: float) -> Standing:
        """How the agent's call stands. Raises DeskError."""
        said = self._exchange("GET", f"/v1/agents/{quote(self.agent, safe='')}/state", timeout_s)
        try:
            standing = parse_standing(said, self.agent)
        except ValueError:
            standing = None
        if standing is None:
            raise DeskError(Reason.ANSWER)
        return standing

    def press(self, verb: Verb, timeout_s: float) -> None:
        """Press; returns when the desk says that it is done. Raises DeskError."""
        said = self._exchange("POST", f"/v1/agents/{quote(self.agent, safe='')}/{verb.value}", timeout_s, b"{}")
        if not isinstance(said, dict) or not isinstance(said.get("states"), dict):
            raise DeskError(Reason.ANSWER)

    def events(self, silence_s: float = SILENCE_S) -> Iterator[Event]:
        """Events as they come; the first is a sign of life at once. Ends only by raising DeskError."""
        with _Limit(silence_s) as limit, self._open("GET", "/v1/events", limit, silence_s, None) as answer:
            yield Event("", None)
            yield from _parse_events(answer, limit)
        raise DeskError(Reason.SILENT if limit.is_over else Reason.UNREACHABLE)

    def _exchange(self, method: str, path: str, timeout_s: float, body: bytes | None = None) -> Any:
        with _Limit(timeout_s) as limit, self._open(method, path, limit, timeout_s, body) as answer:
            content = answer.read(LARGEST + 1)
            if limit.is_over:
                raise DeskError(Reason.SILENT)
        try:
            return json.loads(content[: LARGEST + 1]) if len(content) <= LARGEST else None
        except (ValueError, RecursionError):
            raise DeskError(Reason.ANSWER) from None

    @contextmanager
    def _open(
        self, method: str, path: str, limit: _Limit, timeout_s: float, body: bytes | None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, when it is a success; whatever goes wrong raises DeskError."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json, text/event-stream"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = _Connection(self, limit, timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise DeskError(_REASONS.get(answer.status, Reason.RECORDER))
            yield answer
        except _PinError:
            raise DeskError(Reason.PIN) from None
        except ssl.SSLCertVerificationError:
            raise DeskError(Reason.CERTIFICATE) from None
        except TimeoutError:
            raise DeskError(Reason.SILENT) from None
        except (OSError, http.client.HTTPException):
            raise DeskError(Reason.SILENT if limit.is_over else Reason.UNREACHABLE) from None
        finally:
            connection.close()


def _parse_events(answer: http.client.HTTPResponse, limit: _Limit) -> Iterator[Event]:
    """Server-sent events (WHATWG HTML §9.2), of limited size, each whole line a sign of life."""
    name, data, size = "", list[str](), 0
    while line := answer.readline(LARGEST):
        size += len(line)
        if size > LARGEST or not line.endswith(b"\n"):
            raise DeskError(Reason.SILENT if limit.is_over else Reason.ANSWER)
        limit.extend()
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        field_name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            try:
                event = Event(name, json.loads("\n".join(data))) if data else Event("", None)
            except (ValueError, RecursionError):
                raise DeskError(Reason.ANSWER) from None
            yield event
            name, data, size = "", [], 0
        elif not field_name:
            size = 0 if not data else size
            yield Event("", None)
        elif field_name == "event":
            name = value
        elif field_name == "data":
            data.append(value)


def shown_fingerprint(host: str, port: int, timeout_s: float) -> str:
    """SHA-256 of the certificate that is shown there, whoever that is; nothing is said to it. Raises OSError."""
    context = unverified_context()
    with socket.create_connection((host, port), timeout_s) as plain, context.wrap_socket(plain) as secured:
        return fingerprint(secured.getpeercert(binary_form=True) or b"")


def unverified_context() -> ssl.SSLContext:
    """TLS for a certificate that is known by its fingerprint: no name or authority makes it more trustworthy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified_context(ca_file: str | None) -> ssl.SSLContext:
    """TLS for a certificate of an authority that this machine, or `ca_file`, trusts. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def parse_address(url: str) -> tuple[str, int, bool]:
    """Host, port and whether it is TLS, of `https://HOST[:PORT]`. Raises ValueError; plain HTTP is for loopback."""
    parts = urlsplit(url)
    port = parts.port
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected https://HOST:PORT")
    if parts.username or parts.password:
        raise ValueError("no names or passwords belong into it")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError("http:// is for this machine only (127.0.0.1): use https:// with a pin")
    return parts.hostname, port or (8470 if parts.scheme == "http" else 443), parts.scheme == "https"
