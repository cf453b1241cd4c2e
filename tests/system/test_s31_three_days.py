"""S31: three days of calls without a network at an accelerated clock, filed as the scribe does it; then recovery."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from running_site import wait_for
from servers import rclone, running, s3_section, write_credentials
from wan import wan

from agent.config.delivery import Courier as Pace
from agent.courier.lane import Lane
from agent.courier.valve import Valve
from agent.forward.s3 import S3Destination
from agent.forward.throttle import TokenBucket, burst_of
from agent.model.artifact import Delivery
from agent.model.budget import Budget
from agent.model.purpose import ArtifactKind, Purpose, Trigger
from agent.policy.calendar import FRANCE
from agent.retain.budget import Relief
from agent.retain.sweep import sweep
from agent.scribe import testimony
from agent.scribe.allowance import Allowance, NoRoom
from agent.scribe.filing import Filing
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read
from agent.vault.age import decrypt, new_identity

HOUR_S = 3600.0
DAYS, CALLS_A_DAY = 3, 24
LIMIT_MBIT = 4.0
BUDGET = 1_650_000
"""Bytes: a little less than three days make."""
PARALLEL = 3
PACE = Pace(poll_s=0.2, retry_first_s=2, retry_max_s=900)


class Clock:
    """Real time, and what a test leaps over."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def leap(self, seconds: float) -> None:
        self._ahead_s += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def utc_ns(self) -> int:
        return 1_790_000_000_000_000_000 + int(self.monotonic() * 1e9)


@pytest.mark.slow
def test_s31_three_days_without_a_network_lose_nothing_and_recover_in_order(tmp_path: Path, free_ports) -> None:
    clock, readers = Clock(), {name: new_identity() for name in ("evidence", "training", "analytics")}
    purposes = [
        Purpose(name, Trigger.ALL, (ArtifactKind.AUDIO,), (reader.recipient,), "centre", local_retention_s=7 * 86400)
        for name, reader in readers.items()
    ]
    order = tuple(readers)
    catalog, journals = Catalog(tmp_path / "catalog.sqlite3"), tmp_path / "journal"
    outbox = tmp_path / "outbox"
    scribes, couriers = (Journal(journals, name, clock.utc_ns) for name in ("scribe", "courier"))
    budget = Budget(order, total=BUDGET)
    allowance = Allowance(budget, catalog.lanes, scribes)
    filing = Filing(outbox, catalog, testimony.Testimony(scribes, journals), clock.utc_ns, allowance)
    relief = Relief(budget, catalog, couriers)
    plain: dict[str, bytes] = {}
    held_back: list[tuple[str, Purpose]] = []
    dice = np.random.default_rng(31)

    def file(call_id: str, purpose: Purpose) -> None:
        data = plain.setdefault(f"{purpose.name}/{call_id}.audio.flac.age", dice.bytes(8_000))
        try:
            filing.file(
                call_id, purpose, ArtifactKind.AUDIO, 1, "flac", "audio/flac", lambda: data, filing.of_call(call_id)
            )
        except NoRoom:
            held_back.append((call_id, purpose))

    def care() -> None:
        relief.step(clock.utc_ns())
        sweep(catalog, couriers, outbox, clock.utc_ns())
        allowance.refresh()
        waiting, held_back[:] = held_back[:], []
        for call_id, purpose in waiting:
            if purpose.name in allowance.closed([purpose.name]):
                held_back.append((call_id, purpose))
            else:
                file(call_id, purpose)

    port, behind = free_ports(2)
    server = rclone(behind, tmp_path / "s3")
    stop = threading.Event()
    with running(server), wan(port, behind) as line:
        server.make_bucket("recordings")
        credentials = write_credentials(tmp_path / "s3.toml")
        section = s3_section(server, credentials, endpoint_url=line.url, limit_mbit=LIMIT_MBIT)
        valve = Valve("centre", section.bandwidth(), FRANCE, catalog.lanes, clock.utc_ns, clock.monotonic)
        throttle = TokenBucket(valve.rate, clock.monotonic, stop.wait)
        places = [S3Destination("centre", section, 5 << 20, throttle) for _ in range(PARALLEL)]
        lane = Lane(places, valve, order, PACE, outbox, catalog, couriers, stop, clock.utc_ns, clock.monotonic)
        most = 0
        for number in range(DAYS * CALLS_A_DAY):
            for purpose in purposes:
                file(f"{number:032x}", purpose)
            lane.step()
            care()
            most = max(most, sum(p.stat().st_size for p in outbox.rglob("*.age")))
            clock.leap(24 / CALLS_A_DAY * HOUR_S)
        assert 0.9 * BUDGET < most <= BUDGET, "the budget is used and holds"
        assert {p.name for _, p in held_back} == {"training", "analytics"}, "the most important never waits"
        assert {a.delivery for a in catalog.artifacts()} == {Delivery.WAITING}
        assert len([x for x in read(journals) if x.kind == "delivery.failed"]) == 1
        assert catalog.lanes.lane("centre").failing
        waited = [a.path for p in order for a in catalog.artifacts(purpose=p)]
        size = sum(a.size_bytes for a in catalog.artifacts())

        line.up()
        clock.leap(PACE.retry_max_s)
        began_s = time.monotonic()
        running_lane = threading.Thread(target=lane.run)
        running_lane.start()
        try:
            wait_for("what waited", lambda: not catalog.artifacts(delivery=Delivery.WAITING), 60)
            took_s = time.monotonic() - began_s
            while held_back:
                care()
                wait_for("the rest", lambda: not catalog.artifacts(delivery=Delivery.WAITING), 60)
        finally:
            stop.set()
            running_lane.join(20)
        client = server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="recordings")
        there = {entry["Key"] for page in pages for entry in page.get("Contents", ())}
        for name in list(plain)[:20]:
            cipher = client.get_object(Bucket="recordings", Key=name)["Body"].read()
            assert decrypt(cipher, readers[name.split("/")[0]].secret) == plain[name]
    assert there == set(plain), "everything arrived"
    delivered = [str(x.fields["path"]) for x in read(journals) if x.kind == "delivered"]
    assert sorted(delivered) == sorted(plain), "once"
    assert line.puts == len(plain), "and nothing was sent twice"
    first = delivered[: len(waited)]
    off = [abs(first.index(path) - place) for place, path in enumerate(waited)]
    assert max(off) <= 2 * PARALLEL, "evidence first, the oldest first, but for those that are under way at once"
    rate = LIMIT_MBIT * 125_000
    assert size <= rate * took_s + burst_of(rate), "within the bandwidth"
    moments = line.up_bytes
    for second in range(int(took_s)):
        inside = sum(n for at_s, n in moments if began_s + second <= at_s < began_s + second + 1)
        assert inside <= 1.3 * (rate + burst_of(rate)) + 100_000, "headers and all"
    kinds = {x.kind for x in read(journals)}
    assert {"budget.alarm", "derivation.waits", "derivation.resumed", "local.early"} <= kinds
