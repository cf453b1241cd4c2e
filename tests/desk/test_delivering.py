"""What monitoring sees of delivery and of the outbox."""

from pathlib import Path

from outbox_site import Site
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.desk.delivering import Delivering
from agent.model.artifact import Delivery
from agent.model.budget import Budget
from agent.store.lanes import LookedAt

S = 1_000_000_000


def test_what_waits_fails_and_fills(tmp_path: Path) -> None:
    path = tmp_path / "state" / "catalog.sqlite3"
    clock = [0]
    budget = Budget(("training",), 9_000, {"training": 5_000})
    registry = CollectorRegistry()
    registry.register(Delivering(LookedAt(path), {"centre": None}, budget, lambda: clock[0]))

    def values() -> dict[str, float]:
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return {".".join([s.name, *s.labels.values()]): s.value for f in families for s in f.samples}

    assert values() == {} and not path.exists(), "nothing is known yet, and nothing is made"
    site = Site(tmp_path)
    clock[0] = site.now_ns + 60 * S
    for name in ("a", "b", "c"):
        site.put(name, 1000)
    site.catalog.set_delivery("b", Delivery.POISONED, 1, "refused")
    site.catalog.set_delivery("c", Delivery.SENT, 7 * S)
    site.catalog.lanes.set_failing("centre", "nobody there", 1, 2)
    site.catalog.lanes.pause("centre", "cli:ann", "", 1, clock[0] + 1)
    found = values()
    of = ".centre.training"
    assert found[f"greffier_delivery_waiting_files{of}"] == found[f"greffier_delivery_aside_files{of}"] == 1
    assert found[f"greffier_delivery_waiting_bytes{of}"] == 1000
    assert 59 < found[f"greffier_delivery_waiting_oldest_seconds{of}"] <= 60
    assert found["greffier_delivery_failing.centre"] == found["greffier_delivery_paused.centre"] == 1
    assert found["greffier_delivery_last_success_timestamp_seconds.centre"] == 7
    assert found["greffier_outbox_bytes.training"] == 3000
    assert (found["greffier_outbox_budget_bytes.training"], found["greffier_outbox_budget_bytes.all"]) == (5000, 9000)
