"""Downloading a model by its name, from a hub that is played here: its files arrive, and progress is shown."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "model.bin": b"weights" * 1000,
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "vocabulary.json": b"[]",
    "README.md": b"not wanted",
}


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of huggingface.co's HTTP interface as a download takes."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/api/models/Someone/whisper-x/tree/"):
            tree = [{"type": "file", "path": n, "size": len(b), "oid": n.encode().hex()} for n, b in FILES.items()]
            self._answer(json.dumps(tree).encode(), "application/json")
        elif self.path.startswith("/api/models/Someone/whisper-x"):
            named = {"id": "Someone/whisper-x", "sha": SHA, "siblings": [{"rfilename": n} for n in FILES]}
            self._answer(json.dumps(named).encode(), "application/json")
        elif self.path.startswith(f"/Someone/whisper-x/resolve/{SHA}/"):
            self._answer(FILES[self.path.rsplit("/", 1)[1]], "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:x}"')
        self.send_header("X-Repo-Commit", SHA)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    handler = type("Here", (Hub,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()


def test_a_model_is_fetched_with_a_progress_bar(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = hub
    program = (
        "import sys; from pathlib import Path; from agent.transcribe.hub import fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, "Someone/whisper-x", str(tmp_path / "model")],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    arrived = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir() if p.is_file()}
    assert arrived == {name: body for name, body in FILES.items() if name != "README.md"}, asked
    assert "%" in done.stderr and "README.md" not in "".join(asked)
