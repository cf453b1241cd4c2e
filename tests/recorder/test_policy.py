"""What decides while the configuration changes: live calls keep their purposes, lists are always those in force."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import Settings, parse
from agent.model.call import Call, Party, Role
from agent.recorder.policy import Rulebook, lists_of, policy_of
from agent.vault.lists import KEY_FILE, OPT_OUT, PROTECTED, Entry, Hasher, write_list
from agent.vault.secretfile import create_secret

TEXT = """
[site]
state_dir = "state"
keys_dir = "keys"
[purpose.training]
trigger = "all"
"""
CALL = Call("1" * 32, "r", "siprec", "sbc", 0, parties=(Party("a", "2001", role=Role.AGENT),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site's folder, with the keys that decide."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "state").mkdir()
    create_secret(tmp_path / "keys" / "percent.key")
    return tmp_path


def settings(folder: Path, text: str = TEXT) -> Settings:
    return parse(text, folder / "greffier.toml")


def book(folder: Path) -> Rulebook:
    return Rulebook(settings(folder), policy_of(settings(folder)))


def outcomes(decisions) -> dict[str, bool]:
    return {d.purpose: d.applies for d in decisions}


def test_a_live_call_keeps_its_purposes_and_conditions_and_new_calls_have_the_new_ones(folder):
    rules = book(folder)
    before = rules.decide(CALL, 0)
    changed = TEXT.replace('"all"', '"all"\nwhen = { agent = "9*" }') + '[purpose.quality]\ntrigger = "all"\n'
    rules.take(settings(folder, changed))
    assert outcomes(rules.again(CALL, before, 1)) == {"training": True}
    assert [p.name for p in rules.began_with(CALL.call_id).purposes] == ["training"]
    new = replace(CALL, call_id="2" * 32)
    assert outcomes(rules.decide(new, 2)) == {"training": False, "quality": True}
    assert rules.names() == {"training", "quality"}
    rules.ended(CALL.call_id)
    assert [p.name for p in rules.began_with(CALL.call_id).purposes] == ["training", "quality"]


def test_a_live_call_is_decided_on_again_by_the_lists_in_force(folder):
    rules = book(folder)
    before = rules.decide(CALL, 0)
    hasher = Hasher.made(folder / "keys", "33")
    write_list(folder / "state" / "lists" / PROTECTED, (Entry(hasher("2001")),))
    rules.take(settings(folder))
    (after,) = rules.again(CALL, before, 1)
    assert not after.applies and "protected" in after.rule


def test_a_longer_look_back_than_at_the_start_is_refused_and_nothing_is_changed(folder):
    rules = book(folder)
    was = rules.policy
    with pytest.raises(ValueError, match="restart"):
        rules.take(settings(folder, TEXT + "holdback_s = 9\n"))
    assert rules.policy is was
    rules.take(settings(folder, TEXT + "holdback_s = 1\n"))


def test_lists_that_cannot_be_understood_are_no_empty_lists(folder):
    lists = folder / "state" / "lists"
    write_list(lists / OPT_OUT, (Entry("0" * 32),))
    with pytest.raises(ValueError, match=KEY_FILE):
        lists_of(settings(folder))
    Hasher.made(folder / "keys", "33")
    assert lists_of(settings(folder)).opt_out == {"0" * 32}
    (lists / PROTECTED).write_text("2001\n")
    with pytest.raises(ValueError, match="line 1"):
        policy_of(settings(folder))
