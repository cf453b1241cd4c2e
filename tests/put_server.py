"""A small web server that takes files by PUT, keeps them in a folder, and misbehaves where a test says so."""

import base64
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import Authority, Issued


class PutServer(ThreadingHTTPServer):
    """RFC 9110 conditional PUT, RFC 9530 digests."""

    daemon_threads = True

    def __init__(self, folder: Path, shown: Issued | None, clients: Authority | None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.folder = folder
        self.token: str | None = None
        self.answer: int | None = None
        """Given to every PUT, whatever it says."""
        self.states_digest = True
        self.spoils = False
        """What is stored is not what came."""
        self.requests: list[str] = []
        self._tls: ssl.SSLContext | None = None
        if shown is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(shown.certificate, shown.key)
            if clients is not None:
                self._tls.load_verify_locations(clients.file)
                self._tls.verify_mode = ssl.CERT_REQUIRED

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a handshake holds up nobody."""
        try:
            if self._tls is not None:
                request = self._tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:
            pass  # cut off, or no TLS that we understand
        finally:
            request.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.server_port}/in"


class _Handler(BaseHTTPRequestHandler):
    server: PutServer
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if len(data) < int(self.headers["Content-Length"]):
            return
        path = self._path()
        if self.server.answer is not None:
            self._say(self.server.answer)
        elif not self._may():
            self._say(401)
        elif self.headers.get("If-None-Match") == "*" and path.exists():
            self._say(412)
        elif self.headers.get("Content-Digest") != f"sha-256={_digest(data)}":
            self._say(400, b'{"type": "https://iana.org/assignments/http-problem-types#digest-mismatching-values"}')
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"#" + data[1:] if self.server.spoils else data)
            self._say(201, digest=_digest(path.read_bytes()))

    def do_GET(self) -> None:
        path = self._path()
        if not self._may():
            self._say(401)
        elif not path.exists():
            self._say(404)
        else:
            self._say(200, path.read_bytes(), _digest(path.read_bytes()))

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        path = self._path()
        if not self._may():
            self._say(401)
            return
        there = path.exists()
        path.unlink(missing_ok=True)
        self._say(204 if there else 404)

    def _path(self) -> Path:
        self.server.requests.append(self.command)
        return self.server.folder / self.path.removeprefix("/in/")

    def _may(self) -> bool:
        return self.server.token is None or self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _say(self, status: int, body: bytes = b"", digest: str | None = None) -> None:
        self.send_response(status)
        if digest is not None and self.server.states_digest:
            self.send_header("Repr-Digest", f"sha-512=:AAAA:, sha-256={digest}")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _digest(data: bytes) -> str:
    return f":{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@contextmanager
def put_server(
    folder: Path, shown: Issued | None = None, clients: Authority | None = None, port: int = 0
) -> Iterator[PutServer]:
    """The server, started, and gone at the end. With a certificate to show it speaks TLS."""
    folder.mkdir(exist_ok=True)
    server = PutServer(folder, shown, clients, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
