"""Secret files, the site's signature, hashed numbers and signed manifests."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vault.manifest import BadManifest, check_manifest, sign_manifest
from agent.vault.numbers import number_hash
from agent.vault.secretfile import create_secret, read_secret, write_private
from agent.vault.signing import SiteKey, load_public, verify


def test_a_secret_is_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    secret = create_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600 and read_secret(path) == secret and len(secret) == 32
    with pytest.raises(FileExistsError):
        create_secret(path)
    assert read_secret(path) == secret


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_secret_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    create_secret(path)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        read_secret(path)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError):
        write_private(tmp_path / "missing" / "a", b"x")


def test_a_signature_holds_for_its_key_and_its_words_only(tmp_path: Path) -> None:
    key = SiteKey.create(tmp_path / "site.pem")
    public = load_public(tmp_path / "site.pem.pub")
    signature = SiteKey.load(tmp_path / "site.pem").sign(b"words")
    assert public == key.public and verify(public, signature, b"words")
    assert not verify(public, signature, b"other words")
    assert not verify(SiteKey.create(tmp_path / "other.pem").public, signature, b"words")
    assert not verify(b"short", signature, b"words")
    with pytest.raises(FileExistsError):
        SiteKey.create(tmp_path / "site.pem")


def test_what_is_no_key_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    write_private(path, b"not a key")
    with pytest.raises(ValueError, match="Ed25519"):
        SiteKey.load(path)
    with pytest.raises(ValueError, match="Ed25519"):
        load_public(path)


def test_numbers_meet_in_one_hash_however_they_are_written() -> None:
    key = b"k" * 32
    assert (
        number_hash(key, "+33 6 12.34-56 78") == number_hash(key, "0033612345678") == number_hash(key, "+33612345678")
    )
    assert number_hash(key, "2001") != number_hash(key, "2002")
    assert number_hash(key, "2001") != number_hash(b"l" * 32, "2001")
    assert number_hash(key, "Alice@PBX") == number_hash(key, "alice@pbx") and len(number_hash(key, "2001")) == 32


@pytest.fixture(scope="module")
def site_key(tmp_path_factory: pytest.TempPathFactory) -> SiteKey:
    return SiteKey.create(tmp_path_factory.mktemp("keys") / "site.pem")


_json = st.recursive(st.none() | st.integers() | st.text() | st.booleans(), lambda x: st.lists(x, max_size=3))


@given(value=_json)
def test_a_manifest_says_what_was_signed(site_key: SiteKey, value: object) -> None:
    body = {"format": "x", "value": value}
    assert check_manifest(sign_manifest(body, site_key), site_key.public) == body


def test_a_changed_manifest_is_refused(site_key: SiteKey, tmp_path: Path) -> None:
    signed = sign_manifest({"call": "a", "kept": False}, site_key)
    for changed in (signed.replace(b"false", b"true"), b"{}", b"[]", b"\xff", json.dumps({"body": 1}).encode()):
        with pytest.raises(BadManifest):
            check_manifest(changed, site_key.public)
    with pytest.raises(BadManifest, match="another site"):
        check_manifest(signed, SiteKey.create(tmp_path / "other.pem").public)
