"""Relief of a full outbox: delivered copies go, the oldest first, and nothing else ever does."""

from pathlib import Path

import pytest
from holding import hold
from outbox_site import Site

from agent.model.artifact import Delivery
from agent.model.budget import Budget
from agent.retain.budget import Relief
from agent.retain.sweep import sweep
from agent.store.journal import Journal, read


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def relieved(site: Site, budget: Budget) -> tuple[Relief, set[str]]:
    """What is still here after a relief and the sweep that follows."""
    journal = Journal(site.journal_dir, "courier", lambda: site.now_ns)
    relief = Relief(budget, site.catalog, journal)
    relief.step(site.now_ns)
    sweep(site.catalog, journal, site.outbox, site.now_ns)
    return relief, {p.name for p in site.outbox.rglob("*") if p.is_file()}


def test_above_90_percent_the_oldest_delivered_copies_go_with_a_line_each(site: Site) -> None:
    for n in range(10):
        site.put(f"a{n}", 1000, purpose="training" if n % 2 else "evidence")
        if n not in (0, 5):
            site.catalog.set_delivery(f"a{n}", Delivery.SENT, site.now_ns)
    relief, here = relieved(site, Budget(("evidence", "training"), 8_000))
    assert here == {"a0", "a4", "a5", "a6", "a7", "a8", "a9"}, "7,000 of 7,200; what waits stays"
    assert site.lines("local.early") == ["training/a1", "evidence/a2", "training/a3"]
    assert sorted(site.lines("local.deleted")) == sorted(site.lines("local.early"))
    assert relief.step(site.now_ns) == 0


def test_what_waits_is_held_or_has_no_destination_never_goes(site: Site) -> None:
    for name in ("waits", "aside", "stays"):
        site.put(name, 1000)
    site.catalog.set_delivery("aside", Delivery.POISONED, 1, "refused")
    site.catalog.set_delivery("stays", Delivery.LOCAL_ONLY, 1)
    _, here = relieved(site, Budget(("training",), 1_000))
    assert here == {"waits", "aside", "stays"}
    site.catalog.set_delivery("waits", Delivery.SENT, 1)
    hold(site.catalog, site.catalog.artifact("waits").call_id)
    assert relieved(site, Budget(("training",), 1_000))[1] == {"waits", "aside", "stays"}


def test_a_purposes_own_budget_touches_only_that_purpose(site: Site) -> None:
    for n in range(4):
        site.put(f"t{n}", 1000)
        site.put(f"e{n}", 1000, purpose="evidence")
        site.catalog.set_delivery(f"t{n}", Delivery.SENT, 1)
        site.catalog.set_delivery(f"e{n}", Delivery.SENT, 1)
    _, here = relieved(site, Budget(("evidence", "training"), 8_500, {"training": 2_000}))
    assert here == {"e0", "e1", "e2", "e3", "t3"}, "what went of training is enough for all"


def test_an_alarm_is_given_once_until_it_is_calm_again(site: Site) -> None:
    site.put("a", 850)
    budget = Budget(("training",), 1_000)
    relief, _ = relieved(site, budget)
    relief.step(site.now_ns)
    assert [x.fields["used_percent"] for x in read(site.journal_dir) if x.kind == "budget.alarm"] == [85]
    site.catalog.mark_local_deleted("a", 1)
    relief.step(site.now_ns)
    site.put("b", 900)
    relief.step(site.now_ns)
    assert len([x for x in read(site.journal_dir) if x.kind == "budget.alarm"]) == 2
