"""A timestamp authority on loopback: `openssl ts -reply` behind HTTP, with certificates made for the test."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from certificates import Authority, Issued

from agent.vault.cms import pack

POLICY = "1.3.6.1.4.1.99999.1"
CONFIG = """
[tsa]
default_tsa = local
[local]
dir = {folder}
serial = {folder}/serial
signer_cert = {signer.certificate}
signer_key = {signer.key}
signer_digest = sha256
default_policy = {policy}
other_policies = 1.3.6.1.4.1.99999.2
digests = sha256
accuracy = secs:1
tsa_name = yes
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """Certificates and answers of one authority. `ca` is the file of those who believe it.

    `critical`: its certificate says, as it must, that it signs timestamps and nothing else; `chain`: its tokens bring
    the certificate of its root.
    """

    def __init__(
        self, folder: Path, name: str = "tsa", *, critical: bool = True, rsa: bool = False, chain: bool = False
    ) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        authority = Authority(self.folder, f"{name} root")
        self.signer: Issued = authority.issue(name, timestamping="critical" if critical else "loose", rsa=rsa)
        self.ca = authority.file
        self.url = ""
        self.asked = 0
        self.twist: Callable[[bytes], bytes] | None = None
        """What is done to an answer before it is sent."""
        self.away = False
        (self.folder / "serial").write_text("01\n")
        self._config = self.folder / "tsa.cnf"
        text = CONFIG.format(folder=self.folder, signer=self.signer, policy=POLICY)
        self._config.write_text(text + (f"certs = {self.ca}\n" if chain else ""))
        self._lock = threading.Lock()

    def answer(self, query: bytes) -> bytes:
        """TimeStampResp to a TimeStampReq."""
        with self._lock:
            (self.folder / "query").write_bytes(query)
            command = ["openssl", "ts", "-reply", "-config", self._config, "-queryfile", self.folder / "query"]
            subprocess.run([*command, "-out", self.folder / "reply"], check=True, capture_output=True)
            return (self.folder / "reply").read_bytes()

    def answer_as_message(self, query: bytes) -> bytes:
        """The same, by a signer that `openssl ts` would not have: it signs what another authority stamped."""
        other = TimestampAuthority(self.folder, "good")
        other.answer(query)
        work = other.folder
        signer = ["-signer", self.signer.certificate, "-inkey", self.signer.key]
        kind = ["-econtent_type", "1.2.840.113549.1.9.16.1.4", "-md", "sha256"]
        out = ["-outform", "DER", "-out", work / "signed"]
        steps: tuple[list[str | Path], ...] = (
            ["ts", "-reply", "-in", work / "reply", "-token_out", "-out", work / "token"],
            ["cms", "-verify", "-noverify", "-inform", "DER", "-in", work / "token", "-out", work / "tst"],
            ["cms", "-sign", "-binary", "-nodetach", *kind, *signer, "-in", work / "tst", *out],
        )
        for step in steps:
            subprocess.run(["openssl", *step], check=True, capture_output=True)
        return pack(0x30, bytes.fromhex("3003020100") + (work / "signed").read_bytes())


@contextmanager
def serving(authority: TimestampAuthority) -> Iterator[TimestampAuthority]:
    """The authority behind `authority.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            authority.asked += 1
            if authority.away or self.headers["Content-Type"] != "application/timestamp-query":
                self.send_error(503)
                return
            data = authority.answer(query)
            data = authority.twist(data) if authority.twist else data
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
