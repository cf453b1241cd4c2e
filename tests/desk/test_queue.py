"""What monitoring sees of calls that wait for their text."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.desk.queue import Queue
from agent.store.catalog import Catalog
from agent.store.rows import CallRow
from agent.store.waiting import WaitingCalls

S = 1_000_000_000


def values(queue: Queue) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(queue)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {s.name: s.value for f in families for s in f.samples}


def test_how_many_wait_and_how_long_the_oldest_has(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    queue = Queue(WaitingCalls(path), lambda: 1000 * S)
    assert values(queue) == {} and not path.exists(), "nothing is known yet, and nothing is made"
    catalog = Catalog(path)
    assert values(queue)["greffier_text_waiting_oldest_seconds"] == 0
    for number, state in enumerate(("live", "ended", "interrupted", "finalised", "forgotten")):
        row = CallRow(f"{number:032x}", "", "siprec", "gw", "inbound", None, None, 1, None, None, "live", 0)
        catalog.start_call(row)
        if state != "live":
            catalog.end_call(row.call_id, (900 + number) * S, "bye", 0)
            catalog.set_state(row.call_id, state)
    found = values(queue)
    assert found["greffier_text_waiting_calls"] == 2 and found["greffier_text_waiting_oldest_seconds"] == 99
    assert found["greffier_text_waiting_again_calls"] == 0
