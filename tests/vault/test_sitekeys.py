"""The chain of the site's keys: followed from any of them, broken by any change, whole after a kill at any step."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.store.checkpoint import seal
from agent.store.journal import Journal
from agent.store.verify import verify_journal
from agent.vault import sitekeys
from agent.vault.manifest import check_manifest, sign_manifest
from agent.vault.sealed import PLAIN
from agent.vault.signing import SiteKey, load_public, verify
from agent.vault.sitekeys import BadChain, follow, rotate, trusted


def nothing(_old: bytes, _new: bytes) -> None:
    """No journal."""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    SiteKey.create(tmp_path / "site.pem")
    return tmp_path


def test_a_site_that_never_changed_its_key_has_one(keys: Path) -> None:
    assert trusted(keys) == (load_public(keys / "site.pem.pub"),)


def test_what_old_keys_signed_stays_good_and_every_key_leads_to_all(keys: Path) -> None:
    signed = [sign_manifest({"n": 0}, SiteKey.load(keys / "site.pem"))]
    publics = [load_public(keys / "site.pem.pub")]
    told: list[tuple[bytes, bytes]] = []
    for n in (1, 2):
        rotate(keys, PLAIN, n, lambda old, new: told.append((old, new)))
        signed.append(sign_manifest({"n": n}, SiteKey.load(keys / "site.pem")))
        publics.append(load_public(keys / "site.pem.pub"))
    assert trusted(keys) == tuple(publics) and told == [(publics[0], publics[1]), (publics[1], publics[2])]
    assert [check_manifest(data, trusted(keys))["n"] for data in signed] == [0, 1, 2]
    assert all(trusted(keys, pinned) == tuple(publics) for pinned in publics)
    with pytest.raises(BadChain, match="trusted"):
        trusted(keys, SiteKey.create(keys / "stranger.pem").public)
    assert {path.name for path in keys.glob("site*")} == {"site.pem", "site.pem.pub", "site-keys.json"}
    assert (keys / "site-keys.json").stat().st_mode & 0o777 == 0o644
    assert (keys / "site.pem").stat().st_mode & 0o777 == 0o600


def test_any_changed_link_breaks_the_chain(keys: Path) -> None:
    for n in (1, 2):
        rotate(keys, PLAIN, n, nothing)
    links = json.loads((keys / "site-keys.json").read_bytes())
    changes: list[Callable[[list[dict[str, object]]], object]] = [
        lambda x: x.pop(0),
        lambda x: x.reverse(),
        lambda x: x[1].update(at_ns=7),
        lambda x: x[0].update(public=x[1]["public"]),
        lambda x: x[0].update(previous=x[1]["public"]),
        lambda x: x[1].update(by_previous=x[1]["by_new"]),
        lambda x: x[1].update(by_new=x[1]["by_previous"]),
        lambda x: x[1].pop("by_new"),
        lambda x: x.clear(),
    ]
    for change in changes:
        changed = json.loads(json.dumps(links))
        change(changed)
        with pytest.raises(BadChain):
            follow(json.dumps(changed).encode())
    for spoiled in (b"", b"{}", b"[1]", b"\xff"):
        with pytest.raises(BadChain):
            follow(spoiled)
    (keys / "site-keys.json").write_text(json.dumps(links[:1]))
    with pytest.raises(BadChain, match=r"site\.pem\.pub"):
        trusted(keys)


@pytest.mark.parametrize("step", range(5))
def test_a_kill_at_any_step_is_mended_by_doing_it_again(keys: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    first = load_public(keys / "site.pem.pub")
    told: list[bytes] = []
    writes = iter(range(100))
    original = sitekeys.write_private

    def killed(path: Path, data: bytes, mode: int = 0o600) -> None:
        if next(writes) == step:
            raise KeyboardInterrupt
        original(path, data, mode)

    for module in ("agent.vault.sealed", "agent.vault.signing", "agent.vault.sitekeys"):
        monkeypatch.setattr(f"{module}.write_private", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(keys, PLAIN, 1, lambda _old, new: told.append(new))
    monkeypatch.undo()
    assert first in trusted(keys), "between the steps everything verifies"
    SiteKey.load(keys / "site.pem")
    old, new = rotate(keys, PLAIN, 2, lambda _old, new: told.append(new))
    assert (old, new) == (first, load_public(keys / "site.pem.pub"))
    assert trusted(keys) == (first, new) and SiteKey.load(keys / "site.pem").public == new
    assert set(told) == {new}, "one new key, told of once or twice"
    assert not list(keys.glob("site.next*"))


def test_a_key_restored_from_an_old_copy_is_not_built_upon(keys: Path) -> None:
    old = (keys / "site.pem").read_bytes()
    rotate(keys, PLAIN, 1, nothing)
    (keys / "site.pem").write_bytes(old)
    with pytest.raises(BadChain, match="old copy"):
        rotate(keys, PLAIN, 2, nothing)


def test_who_runs_follows_the_change(keys: Path) -> None:
    running = SiteKey.load(keys / "site.pem")
    assert not sitekeys.follow_change(keys, running)
    rotate(keys, PLAIN, 1, nothing)
    assert sitekeys.follow_change(keys, running) and not sitekeys.follow_change(keys, running)
    assert verify(load_public(keys / "site.pem.pub"), running.sign(b"x"), b"x")


def test_a_checkpoint_by_a_key_that_was_given_up_is_named(keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, "scribe", lambda: 1)
    stolen = SiteKey.load(keys / "site.pem")
    journal.append("a")
    seal(folder, stolen, 1)
    rotate(keys, PLAIN, 1, nothing)
    journal.append("b")
    seal(folder, SiteKey.load(keys / "site.pem"), 2)
    assert verify_journal(folder, trusted(keys)) == []
    assert verify_journal(folder, trusted(keys)[:1]), "without the chain the second seal is a stranger's"
    journal.append("forged")
    seal(folder, stolen, 3)
    (problem,) = verify_journal(folder, trusted(keys))
    assert "given up" in problem.what and "line 3" in problem.where
