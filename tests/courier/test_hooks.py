"""Webhooks: signed as the scheme says, ids only, retried until taken or given up, each purpose by itself."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.config.delivery import Courier as Pace
from agent.config.feed import Webhook
from agent.courier.hooks import Hook, read_hook_secret
from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read

SECRET = bytes(range(32))
CALL = "0192" + "0" * 28
NS = 1_000_000_000


class Listener:
    """A server that keeps what it is told, and answers with the next of `statuses`, then 204."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 204)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ids(self) -> list[str]:
        return [json.loads(body)["data"]["id"] for _, body in self.got]


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


class Told:
    """A catalog, and a hook of two purposes whose clock the test moves."""

    def __init__(self, folder: Path, url: str) -> None:
        self.catalog = Catalog(folder / "catalog.sqlite3")
        self.journal_dir = folder / "journal"
        self.now_ns = 1_790_000_000 * NS
        secret_file = folder / "hook.secret"
        secret_file.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
        secret_file.chmod(0o600)
        self.section = Webhook(url=url, purposes=("evidence", "training"), secret_file=secret_file, give_up_after=3)

    def hook(self) -> Hook:
        journal = Journal(self.journal_dir, "courier", lambda: self.now_ns)
        pace = Pace(retry_first_s=10.0)
        return Hook("centre", self.section, pace, self.catalog, journal, threading.Event(), lambda: self.now_ns)

    def put(self, name: str, purpose: str = "evidence", kind: str = "audio") -> None:
        path = f"{purpose}/{name}"
        self.catalog.add_artifact(
            Artifact(name, CALL, purpose, ArtifactKind(kind), path, "audio/ogg", 1, "p", "c", self.now_ns, 1, 1, None)
        )


@pytest.fixture
def told(tmp_path: Path, listener: Listener) -> Told:
    return Told(tmp_path, listener.url)


def test_a_message_is_signed_and_says_no_more_than_which(told: Told, listener: Listener) -> None:
    told.put("before there was a hook")
    told.hook().step()
    told.put("a1")
    told.put("t1", kind="tombstone")
    told.put("other", purpose="analytics")
    told.hook().step()
    (headers, body), (_, second) = listener.got
    assert json.loads(body) == {
        "type": "artifact.created",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "data": {"id": "a1", "purpose": "evidence", "kind": "audio"},
    }
    assert json.loads(second)["type"] == "artifact.destroy"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == str(told.now_ns // NS) and headers["webhook-id"].startswith("msg_")
    assert headers["content-type"] == "application/json"
    told.hook().step()
    assert len(listener.got) == 2, "a new process tells nothing twice"


def test_what_is_not_taken_is_told_again_later_and_holds_up_its_purpose_alone(told: Told, listener: Listener) -> None:
    hook = told.hook()
    hook.step()
    told.put("a1")
    told.put("a2")
    told.put("t1", purpose="training")
    listener.statuses = [500]
    hook.step()
    assert listener.ids() == ["a1", "t1"]
    told.now_ns += 5 * NS
    hook.step()
    assert listener.ids() == ["a1", "t1"], "not yet"
    told.now_ns += 6 * NS
    told.hook().step()
    assert listener.ids() == ["a1", "t1", "a1", "a2"]
    first, again = (listener.got[n][0] for n in (0, 2))
    assert first["webhook-id"] == again["webhook-id"] and first["webhook-timestamp"] != again["webhook-timestamp"]


def test_a_redirect_is_not_followed_and_after_some_attempts_the_next_is_told(told: Told, listener: Listener) -> None:
    hook = told.hook()
    hook.step()
    told.put("a1")
    told.put("a2")
    listener.statuses = [301, 404, 302]
    for _ in range(3):
        hook.step()
        told.now_ns += 3600 * NS
    assert listener.ids() == ["a1", "a1", "a1", "a2"]
    (line,) = [line for line in read(told.journal_dir) if line.kind == "webhook.given_up"]
    assert (line.fields["artifact"], line.fields["hook"]) == ("a1", "centre")


def test_nobody_is_told_of_what_was_taken_back_meanwhile(told: Told, listener: Listener) -> None:
    hook = told.hook()
    hook.step()
    told.put("a1")
    told.put("a2")
    told.catalog.corrections.withdraw("a1", told.now_ns)
    hook.step()
    assert listener.ids() == ["a2"]


def test_nobody_listens_and_a_secret_that_cannot_be_read_lose_nothing(told: Told, listener: Listener) -> None:
    hook = told.hook()
    hook.step()
    told.put("a1")
    told.section.secret_file.chmod(0o644)
    hook.step()
    assert listener.got == []
    told.section.secret_file.chmod(0o600)
    told.now_ns += 60 * NS
    listener.close()
    hook.step()
    assert told.catalog.hooks.place("centre", "evidence").attempts == 2


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", base64.b64encode(b"x" * 65).decode()])
def test_a_secret_is_whole_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=str(path)) as refused:
        read_hook_secret(path)
    assert "c2hvcnQ" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://centre.example/hook", "ftp://x/", "https://", "https://u:p@x/", "https://x/#f", "https://x:99999/"]
)
def test_an_address_is_https_unless_it_is_this_machines(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"https"):
        Webhook(url=url, purposes=("evidence",), secret_file=tmp_path / "s")
    Webhook(url="http://[::1]:80/x", purposes=("evidence",), secret_file=tmp_path / "s")
