"""The pull feed on a whole agent: fetched by the puller, acknowledged, receipts checked with public keys alone,
swept."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from running_site import GREFFIER, wait_for

from agent.model.artifact import Delivery
from agent.probe import ProbeCall, dialogue
from agent.store.journal import read

SECRET = b"k" * 32


def place(seen, seconds: float) -> str:
    """A call of this length; our id of it."""

    async def story() -> str:
        async with ProbeCall(seen.target("tcp"), agent_number="201") as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(seen.site.call_of, call.session_id)
            await call.speak(dialogue("fr").cut(0, seconds))
            await call.bye()
            return call_id

    return asyncio.run(asyncio.wait_for(story(), 120))


def pulled(text: str, edit: Callable[..., str], **more: str) -> str:
    """Evidence and training are fetched; audio of every call, no transcripts."""
    for purpose in ("evidence", "training"):
        trigger = {"trigger": '"all"', "percent": None, "keep_from": None, "destination": '"archive"'}
        text = edit(text, f"purpose.{purpose}", artifacts='["audio", "manifest"]', redact="[]", **trigger, **more)
    text = edit(text, "purpose.analytics", artifacts="[]")
    return text + '\n[courier]\npoll_s = 0.2\n[destination.archive]\nkind = "pull"\n'


def token_of(seen, folder: Path, purpose: str) -> Path:
    """A file with a new token for a feed."""
    path = folder / f"{purpose}.token"
    path.write_text(seen.site.greffier("token", "add", f"feed:{purpose}", "archive"))
    path.chmod(0o600)
    return path


def command(seen, purpose: str, token: Path, into: Path) -> list[str]:
    options = ["--url", seen.site.url, "--purpose", purpose, "--token-file", str(token), "--into", str(into)]
    return [*GREFFIER, "pull", *options]


def names_in(into: Path) -> set[str]:
    """Whole files."""
    return {path.relative_to(into).as_posix() for path in into.glob("*/*.age")}


def openssl_verifies(public_pem: Path, signed: bytes, signature: str, folder: Path) -> bool:
    """What the independent `openssl` program says."""
    (folder / "signed").write_bytes(signed)
    (folder / "signature").write_bytes(bytes.fromhex(signature))
    files = ["-in", folder / "signed", "-sigfile", folder / "signature"]
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public_pem, "-rawin", *files],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def canonical(value: object) -> bytes:
    """As docs/feed.md says that signed JSON is written: sorted, without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_call_is_fetched_acknowledged_with_a_receipt_and_swept_here(make_site, edit, tmp_path: Path) -> None:
    told: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    (tmp_path / "hook.secret").write_text(base64.b64encode(SECRET).decode())
    (tmp_path / "hook.secret").chmod(0o600)
    hook = f'\n[webhook.centre]\nurl = "http://127.0.0.1:{listener.server_port}/"\npurposes = "evidence"\n'
    hook += f'secret_file = "{tmp_path / "hook.secret"}"\n'
    seen = make_site(lambda text: pulled(text, edit, local_retention='"25 s"') + hook)
    site, into = seen.site, tmp_path / "into"
    assert "nobody may fetch evidence" in site.greffier("doctor", status=1)
    token = token_of(seen, tmp_path, "evidence")
    follower = subprocess.Popen([*command(seen, "evidence", token, into), "--follow"], stderr=subprocess.PIPE)
    try:
        call_id = place(seen, 3)
        names = {f"evidence/{call_id}.audio.flac.age", f"evidence/{call_id}.manifest.json.age"}
        wait_for("both to be fetched", lambda: names <= names_in(into), 60)
        artifacts = site.catalog().artifacts(call_id=call_id, purpose="evidence")
        wait_for(
            "both to be acknowledged",
            lambda: all(site.catalog().artifact(a.artifact_id).delivery is Delivery.SENT for a in artifacts),
        )
        wait_for("their receipts", lambda: all((into / f"{a.path}.receipt.json").exists() for a in artifacts))
    finally:
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == 0

    site_key = site.etc / "keys" / "site.pem.pub"
    for artifact in artifacts:
        assert hashlib.sha256((into / artifact.path).read_bytes()).hexdigest() == artifact.cipher_sha256
        receipt = json.loads((into / f"{artifact.path}.receipt.json").read_bytes())
        certificate, body = receipt["certificate"], receipt["body"]
        said = b"greffier receipt key 1\n" + canonical(certificate["body"])
        assert openssl_verifies(site_key, said, certificate["signature"], tmp_path)
        receipt_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(certificate["body"]["public_key"]))
        (tmp_path / "receipt.pub").write_bytes(
            receipt_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        said = b"greffier receipt 1\n" + canonical(body)
        assert openssl_verifies(tmp_path / "receipt.pub", said, receipt["signature"], tmp_path)
        assert not openssl_verifies(tmp_path / "receipt.pub", said + b" ", receipt["signature"], tmp_path)
        assert body["cipher_sha256"] == artifact.cipher_sha256 and body["artifact"] == artifact.artifact_id
        lines = [x for x in read(site.settings.journal_dir, call_id) if x.hash == body["journal"]["hash"]]
        assert [x.kind for x in lines] == ["delivered"]
    assert site.age_opens("evidence", into / f"evidence/{call_id}.audio.flac.age") is not None

    theirs = site.catalog().artifacts(call_id=call_id, purpose="training")
    assert theirs and all(a.delivery is Delivery.WAITING for a in theirs)
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
    for artifact in theirs:
        answer = httpx.get(f"{site.url}/v1/artifacts/{artifact.artifact_id}", headers=headers)
        assert answer.status_code == 404
    assert httpx.get(f"{site.url}/v1/feed?purpose=training", headers=headers).status_code == 404

    wait_for("the webhook", lambda: len(told) >= 2)
    assert {json.loads(body)["data"]["id"] for _, body in told} == {a.artifact_id for a in artifacts}
    for sent, message in told:
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + message
        expected = base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
        assert sent["webhook-signature"] == f"v1,{expected}" and call_id.encode() not in message
    listener.shutdown()

    fetched = [x for x in read(site.settings.journal_dir, call_id) if x.kind == "fetched"]
    assert {x.fields["path"] for x in fetched} == names and {x.purpose for x in fetched} == {"evidence"}
    wait_for("the deadline here", lambda: not any((site.settings.outbox_dir / a.path).exists() for a in artifacts), 60)
    assert all((site.settings.outbox_dir / a.path).exists() for a in theirs), "what nobody fetched waits"
    assert "everything is as it was written" in site.greffier("verify", "--folder", into)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_desk_killed_while_much_is_acknowledged_loses_and_doubles_nothing(make_site, edit, tmp_path: Path) -> None:
    seen = make_site(lambda text: pulled(text, edit))
    site, into = seen.site, tmp_path / "into"
    token = token_of(seen, tmp_path, "evidence")
    calls = [place(seen, 1) for _ in range(2)]
    for call_id in calls:
        site.wait_state(call_id, "finalised")
    for _ in range(2):
        puller = subprocess.Popen(command(seen, "evidence", token, into), stderr=subprocess.DEVNULL)
        wait_for("a receipt", lambda of=puller: list(into.glob("*/*.receipt.json")) or of.poll() is not None)
        site.kill("desk")
        puller.wait(60)
    wait_for("the desk", site._ready)
    site.greffier("pull", *command(seen, "evidence", token, into)[len(GREFFIER) + 1 :])
    artifacts = [a for call_id in calls for a in site.catalog().artifacts(call_id=call_id, purpose="evidence")]
    assert len(artifacts) == 4 and all(a.delivery is Delivery.SENT for a in artifacts)
    heads = {line.hash for line in read(site.settings.journal_dir) if line.kind == "delivered"}
    for artifact in artifacts:
        assert hashlib.sha256((into / artifact.path).read_bytes()).hexdigest() == artifact.cipher_sha256
        kept = (into / f"{artifact.path}.receipt.json").read_text()
        assert json.loads(kept)["body"]["journal"]["hash"] in heads
        row = site.catalog().custody.of(artifact.artifact_id)
        assert row is not None and row.receipt == kept, "the one that is kept here, whatever died meanwhile"
    assert not list((into / ".greffier-pull").glob("*.partial"))
    assert "everything is as it was written" in site.greffier("verify")
