"""docs/formats.md against a real call: every field that is delivered is named there, and the bytes are as it says."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from working import CALL, Reader, greffier, opened, run, settle, tones

from agent.scribe import engineroom
from agent.vault.signing import load_public

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z_0-9]+)`", PAGE))
ELSEWHERE = {"quality", "sound", "transcript", "redaction", "written_by"}
"""Fields of which the page names some, and another the rest."""


def fields(value: Any, under: str = "") -> set[str]:
    """All names of a document, but for those below what another page describes."""
    if isinstance(value, dict):
        own = set() if under in ELSEWHERE else set(value)
        return own.union(*(fields(v, under or (k if k in ELSEWHERE else "")) for k, v in value.items()))
    return set().union(*(fields(v, under) for v in value)) if isinstance(value, list) else set()


@pytest.fixture
def site(make_site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("reader", "bonjour madame"))
    made = make_site("auto", window="1 h")
    made.tape(CALL, tones(4), keep_at=0, paused=(8000, 16000))
    made.scribe = run(made)
    return made


@pytest.mark.parametrize("name", ["evidence/manifest.json", "evidence/transcript.json", "analytics/transcript.json"])
def test_every_field_that_is_delivered_is_named(site, name: str) -> None:
    document = json.loads(opened(site, name))
    found = fields(document.get("body", document))
    assert len(found) > 15 and found - NAMED == set()


def test_a_manifest_is_three_lines_and_the_second_is_what_is_signed(site) -> None:
    data = opened(site, "evidence/manifest.json")
    first, second, third = data.splitlines()
    assert first == b'{"body":' and third.startswith(b',"public_key":"')
    said = json.loads(data)
    key = Ed25519PublicKey.from_public_bytes(load_public(site.root / "keys" / "site.pem.pub"))
    key.verify(bytes.fromhex(said["signature"]), b"greffier manifest 1\n" + second)
    assert said["public_key"] == load_public(site.root / "keys" / "site.pem.pub").hex()


def test_digests_and_names_of_objects_are_as_the_page_says(site) -> None:
    listed = json.loads(opened(site, "evidence/manifest.json"))["body"]["artifacts"]
    assert {a["kind"] for a in listed} == {"audio", "transcript", "subtitles"}
    for one in listed:
        purpose, _, rest = one["path"].partition("/")
        call, kind, _ = rest.split(".", 2)
        assert (purpose, call, kind) == ("evidence", CALL, one["kind"])
        cipher = (site.settings.outbox_dir / one["path"]).read_bytes()
        assert hashlib.sha256(cipher).hexdigest() == one["cipher_sha256"] and len(cipher) == one["size_bytes"]
        assert cipher.startswith(b"age-encryption.org/v1\n")
        name = f"evidence/{rest.split('.', 1)[1].removesuffix('.age')}"
        assert hashlib.sha256(opened(site, name)).hexdigest() == one["plain_sha256"]
        assert one["media_type"].split(";")[0] in PAGE


def test_a_new_revision_carries_its_number_and_says_what_it_replaces(site) -> None:
    greffier(site, "mask", CALL, "--from", "1", "--to", "2", "--reason", "x", "--purpose", "training")
    settle(site.scribe)
    body = json.loads(opened(site, "training/manifest-2.json"))["body"]
    assert body["version"] == 2 and fields(body) - NAMED == set()
    assert f"training/{CALL}.audio.opus.age" in {one["path"] for one in body["replaces"]}
