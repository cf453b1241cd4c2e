"""`greffier policy` without a running agent: lists that hold no number, decisions tried and explained."""

import json
import time
from pathlib import Path

import pytest
from running_site import RunningSite

from agent.model.call import Call, Consent, Direction, Party, Role
from agent.model.events import CallContext
from agent.model.gate import GateMark, GateState
from agent.model.purpose import Decision, Trigger
from agent.policy.lists import PROTECTED_RULE
from agent.scribe.names import Names
from agent.vault.secretfile import read_secret


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


NUMBER, SPELT = "+33612345678", "06 12 34 56 78"


def test_a_number_is_put_on_a_list_found_and_taken_off_and_stored_nowhere(site: RunningSite) -> None:
    for which, number in (("opt-out", NUMBER), ("protect", "2999")):
        assert "not on the list" in site.greffier("policy", which, "check", number, status=1)
        assert "on the list" in site.greffier("policy", which, "add", number, "--note", "letter of 3 November")
        assert "already" in site.greffier("policy", which, "add", number)
        shown = site.greffier("policy", which, "list")
        assert "letter of 3 November" in shown and number not in shown
    site.greffier("policy", "opt-out", "check", SPELT)
    assert "not on the list" in site.greffier("policy", "protect", "check", NUMBER, status=1), "lists are apart"
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.name == "opt-out.txt" for path in files)
    for path in files:
        data = path.read_bytes()
        assert b"612345678" not in data, path
    hashed = site.settings.lists_dir.joinpath("opt-out.txt").read_text()[:10]
    site.greffier("policy", "opt-out", "remove", f"#{hashed}")
    assert "not on the list" in site.greffier("policy", "opt-out", "check", NUMBER, status=1)
    journal = site.settings.journal_dir.joinpath("cli.jsonl").read_text()
    assert [journal.count(f'"list.{what}"') for what in ("added", "removed")] == [2, 1]


def test_a_spoiled_list_is_said_and_not_repeated(site: RunningSite) -> None:
    site.settings.lists_dir.mkdir(parents=True)
    site.settings.lists_dir.joinpath("opt-out.txt").write_text("0612345678\n")
    said = site.greffier("policy", "opt-out", "list", status=1)
    assert "line 1" in said and "0612345678" not in said


def test_a_call_is_tried_against_the_configuration(site: RunningSite) -> None:
    text = site.config.read_text().replace(
        '# when = { direction = "inbound", queue = ["sales*"], did = ["0800*"], exclude_numbers = ["2999"] }',
        'when = { agent = "20*", tags = "vip", hours = "mon-fri 08:00-20:00", holidays = "exclude" }',
    )
    site.config.write_text(text)
    site.greffier("policy", "protect", "add", "2099")

    def tried(call: str) -> dict[str, tuple[bool, str]]:
        rows = json.loads(site.greffier("policy", "try", "--json", "--call", call))
        return {row["purpose"]: (row["applies"], row["rule"]) for row in rows}

    met = tried(f'agent=2001 customer={NUMBER} tags=vip at="2026-11-25 10:00"')
    assert met["analytics"] == (True, "trigger all")
    assert met["training"] == (True, "10 % of such calls"), "without a reference nothing is drawn"
    assert "armed" in met["evidence"][1]
    assert tried('agent=2001 tags=vip at="2026-11-11 10:00"')["analytics"] == (False, "condition not met: holidays")
    assert tried('agent=2001 tags=vip at="2026-11-25 21:00"')["analytics"] == (False, "condition not met: hours")
    assert set(tried("agent=2099 tags=vip").values()) == {(False, PROTECTED_RULE)}
    first, again = (tried("agent=2001 reference=r1")["training"] for _ in range(2))
    assert first == again and first[1].startswith("trigger percent")
    assert "'agnt' is not known" in site.greffier("policy", "try", "--call", "agnt=1", status=2)


def put_calls(site: RunningSite) -> str:
    """Six calls of the past; the id of the last."""
    names = Names(read_secret(site.settings.site.keys_dir / "numbers.key"))
    site.settings.site.state_dir.mkdir(exist_ok=True)
    catalog = site.catalog()
    now_ns = time.time_ns()
    for n in range(6):
        agent, queue = ("2001", "sales") if n % 2 else ("2002", "support")
        parties = (Party("a", agent, role=Role.AGENT), Party("c", NUMBER, role=Role.CUSTOMER))
        call_id = f"{n:032x}"
        call = Call(call_id, f"r{n}", "siprec", "sbc", now_ns, Direction.INBOUND, parties, queue=queue)
        catalog.start_call(names.call_row(call))
        catalog.set_parties(call_id, names.party_rows(call))
        place, taken = n * 10 + 0.5, n == 0
        sign = "<" if taken else ">="
        catalog.add_decisions(
            call_id,
            [
                Decision("training", taken, Trigger.PERCENT, f"trigger percent: {place:.4f} {sign} 10"),
                Decision("analytics", True, Trigger.ALL, "trigger all"),
            ],
        )
    return call_id


def test_past_calls_are_tried_and_what_only_a_number_could_tell_is_said(site: RunningSite) -> None:
    put_calls(site)

    def tried(path: Path) -> dict[str, dict[str, object]]:
        rows = json.loads(site.greffier("policy", "try", "--since", "yesterday", "--json", "--config", path))
        return {row.pop("purpose"): row for row in rows}

    training = tried(site.config)["training"]
    assert training["calls"] == 6 and training["applied_then"] == training["would_apply"] == 1

    new = site.etc / "new.toml"
    text = site.config.read_text().replace("percent = 10", "percent = 25")
    unchanged = 'trigger = "all"\nartifacts'
    assert unchanged in text
    when = "when = { queue = 'sales', agent = '2001', exclude_numbers = ['0612345678'] }"
    new.write_text(text.replace(unchanged, f'trigger = "all"\n{when}\nartifacts'))
    rows = tried(new)
    assert (rows["training"]["would_apply"], rows["training"]["newly"]) == (3, 2), "by the same draw"
    assert (rows["analytics"]["would_apply"], rows["analytics"]["no_longer"]) == (3, 3), "whole numbers are compared"

    wild = "when = { numbers = ['+33*'], queue = 'sales', expression = \"agent == '2001'\" }"
    new.write_text(text.replace(unchanged, f'trigger = "all"\n{wild}\nartifacts'))
    analytics = tried(new)["analytics"]
    assert (analytics["not_evaluated"], analytics["no_longer"], analytics["would_apply"]) == (3, 3, 0)
    assert analytics["because_of"] == {"numbers": 3, "expression": 3}
    table = site.greffier("policy", "try", "--since", "1 days", "--config", new)
    assert "numbers (3), expression (3)" in " ".join(table.split())


def test_a_call_is_explained_with_every_decision_and_press_in_order(site: RunningSite) -> None:
    call_id = put_calls(site)
    catalog, at_ns = site.catalog(), time.time_ns() + 5_000_000_000
    said = CallContext(call_id, at_ns, "sales", ("vip",), Consent.REFUSED, "pbx:asterisk", "ami")
    catalog.add_context(said)
    catalog.add_decisions(call_id, [Decision("analytics", False, Trigger.ALL, "consent refused", at_ns=at_ns)])
    for verb, state, by in (
        ("select", GateState.RECORDING, "policy"),
        ("pause", GateState.PAUSED, "agent:2001"),
        ("exclude", GateState.IDLE, "policy"),
    ):
        at_ns += 1
        reason = "card" if verb == "pause" else ""
        catalog.add_mark(GateMark(call_id, at_ns, "analytics", verb, state, 8000, by, reason))
    shown = site.greffier("policy", "explain", call_id)
    lines = [line for line in shown.splitlines() if "│" in line]
    order = ["trigger all", "vip", "consent refused", "select", "pause", "exclude"]
    places = [next(n for n, line in enumerate(lines) if word in line) for word in order]
    assert places == sorted(places)
    assert "agent:2001" in shown and "pbx:asterisk" in shown
    assert "analytics: idle; last decided: consent refused" in shown
    assert NUMBER not in shown and "612345678" not in shown
