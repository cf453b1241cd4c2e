"""The courier: everything arrives once verified, oldest first; failures are said once, waited out and lose nothing."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from outbox_site import CALL, PACE, Site
from running_site import wait_for
from servers import rclone, running, s3_section, write_credentials

from agent.courier.orphans import Orphans
from agent.forward.destination import Receipt, Retry
from agent.forward.folder import FolderDestination
from agent.forward.s3 import S3Destination
from agent.model.artifact import Delivery
from agent.store.journal import Journal, read
from agent.store.rows import CorrectionRow


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_waits_is_delivered_oldest_first_with_a_line_each(site: Site) -> None:
    for name in ("b", "a", "c"):
        site.put(name)
    assert site.lane(FolderDestination("centre", site.root / "centre")).step() == PACE.poll_s
    assert set(site.states().values()) == {Delivery.SENT}
    assert site.lines("delivered") == ["training/b", "training/a", "training/c"]
    for path in (site.root / "centre" / "training").iterdir():
        assert path.read_bytes() == (site.outbox / "training" / path.name).read_bytes()


def test_a_destination_that_is_away_is_waited_for_longer_each_time_and_said_once(site: Site) -> None:
    site.put("a")
    lane = site.lane(FolderDestination("centre", site.root / "mnt" / "centre"))
    delays = []
    for _ in range(10):
        delays.append(lane.step())
        site.now_ns += int(200e9)
    assert delays[0] <= 1.0 < delays[2] <= 4.0 and max(delays) <= PACE.retry_max_s
    assert site.states() == {"a": Delivery.WAITING} and site.lines("delivery.failed") == ["training/a"]
    assert site.catalog.delivery_state("a").attempts == 10
    (site.root / "mnt").mkdir()
    lane.step()
    assert site.states() == {"a": Delivery.SENT}


def test_a_poisoned_artifact_holds_up_no_other_and_goes_once_mended(site: Site) -> None:
    bad = site.put("a")
    good = bad.read_bytes()
    bad.write_bytes(b"changed")
    site.put("b")
    lane = site.lane(FolderDestination("centre", site.root / "centre"))
    lane.step()
    assert site.states() == {"a": Delivery.POISONED, "b": Delivery.SENT}
    site.now_ns += int(101e9)
    lane.step()
    assert site.lines("delivery.failed") == ["training/a"], "the same reason is said once"
    bad.write_bytes(good)
    site.now_ns += int(101e9)
    lane.step()
    assert site.states()["a"] is Delivery.SENT


def test_a_kill_between_arrival_and_note_delivers_again_without_harm(site: Site) -> None:
    path = site.put("a")
    centre = site.root / "centre"
    (centre / "training").mkdir(parents=True)
    (centre / "training" / "a").write_bytes(path.read_bytes())
    site.lane(FolderDestination("centre", centre)).step()
    assert site.states() == {"a": Delivery.SENT} and site.lines("delivered") == ["training/a"]


def test_what_is_being_corrected_is_not_sent_and_what_was_withdrawn_never_is(site: Site) -> None:
    for name in ("a", "b"):
        site.put(name)
    lane = site.lane(FolderDestination("centre", site.root / "centre"))
    lane._shelf._fill()  # the rows were read before
    site.catalog.corrections.ask([CorrectionRow(CALL, "training", "mask", 0, 8000, "cli:root", "card", 5)])
    lane.step()
    assert set(site.states().values()) == {Delivery.WAITING} and not (site.root / "centre").exists()
    assert site.catalog.due_deliveries(site.now_ns) == []
    site.catalog.corrections.withdraw("a", site.now_ns)
    assert not site.catalog.corrections.may_have_left("a")
    (row,) = site.catalog.corrections.of_call(CALL)
    site.catalog.corrections.turn(row, "done", site.now_ns)
    site.lane(FolderDestination("centre", site.root / "centre")).step()
    assert site.states() == {"a": Delivery.WITHDRAWN, "b": Delivery.SENT}
    assert not (site.root / "centre" / "training" / "a").exists() and site.catalog.corrections.may_have_left("b")


def test_what_was_withdrawn_on_its_way_counts_as_left_and_is_no_failure(site: Site) -> None:
    path = site.put("a")
    folder = FolderDestination("centre", site.root / "centre")

    class Withdrawing:
        """The scribe withdraws it while it is being sent."""

        name = "centre"

        def put(self, *what: Any) -> Receipt:
            site.catalog.corrections.withdraw("a", site.now_ns)
            path.unlink()
            site.catalog.mark_local_deleted("a", site.now_ns)
            return folder.put(*what)

        def check(self) -> None:
            """Nothing."""

    site.lane(Withdrawing()).step()
    assert site.states() == {"a": Delivery.WITHDRAWN} and site.lines("delivery.failed") == []
    assert site.catalog.corrections.may_have_left("a") and site.catalog.due_deliveries(1 << 62) == []


def test_what_was_begun_of_a_withdrawn_artifact_is_let_go_of_at_the_destination(site: Site, free_ports) -> None:
    server = rclone(free_ports(1)[0], site.root / "s3")
    path = site.put("a", size=11 << 20)
    with running(server):
        server.make_bucket("recordings")
        cloud = S3Destination("centre", s3_section(server, write_credentials(site.root / "s3.toml")), 5 << 20)
        client = cloud._client

        def breaks_off(**fields: Any) -> None:
            raise ConnectionClosedError(endpoint_url=server.url)

        client.upload_part = breaks_off
        lane = site.lane(cloud)
        lane.step()
        begun = client.list_multipart_uploads(Bucket="recordings")["Uploads"]
        assert [u["Key"] for u in begun] == ["training/a"]
        site.catalog.corrections.withdraw("a", site.now_ns)
        path.unlink()
        site.catalog.mark_local_deleted("a", site.now_ns)
        site.now_ns += int(10e9)
        lane.step()
        assert not client.list_multipart_uploads(Bucket="recordings").get("Uploads")
    assert site.catalog.delivery_state("a").upload_id is None
    assert site.catalog.begun_and_withdrawn(site.now_ns + (1 << 60)) == [], "and never asked for again"
    assert site.catalog.corrections.may_have_left("a"), "the tombstone goes out all the same"


def test_a_destination_that_is_away_lets_go_later_and_holds_up_nothing(site: Site) -> None:
    site.put("a")
    centre = site.root / "mnt" / "centre"
    lane = site.lane(FolderDestination("centre", centre))
    lane.step()
    site.catalog.corrections.withdraw("a", site.now_ns)
    site.now_ns += int(200e9)
    lane.step()
    assert len(site.catalog.begun_and_withdrawn(1 << 61)) == 1
    (centre / "training").mkdir(parents=True)
    (centre / "training" / ".a.partial").write_bytes(b"half")
    site.put("b")
    site.now_ns += int(200e9)
    lane.step()
    assert [p.name for p in (centre / "training").iterdir()] == ["b"]
    assert site.catalog.begun_and_withdrawn(1 << 61) == []


def test_uploads_that_nobody_remembers_are_looked_for_every_hour_and_it_holds_up_nothing(site: Site) -> None:
    folder, asked, now_s = FolderDestination("centre", site.root / "centre"), [], [0.0]

    def sweep(remembered: Any) -> None:
        asked.append(set(remembered))
        raise Retry("away")

    folder.sweep = sweep
    site.put("a")
    site.catalog.set_upload_id("a", "begun")
    orphans = Orphans(site.catalog, lambda: now_s[0])
    for at_s in (0, 3599, 3600, 7000):
        now_s[0] = at_s
        orphans.step(folder)
    assert asked == [{"begun"}] * 2
    site.lane(folder).step()
    assert len(asked) == 3 and site.states() == {"a": Delivery.SENT}


def test_the_upload_id_outlives_the_process(site: Site, free_ports) -> None:
    (port,) = free_ports(1)
    server = rclone(port, site.root / "s3")
    site.put("a", size=11 << 20)
    with running(server):
        server.make_bucket("recordings")
        credentials = write_credentials(site.root / "s3.toml")
        cloud = S3Destination("centre", s3_section(server, credentials), 5 << 20)
        client = cloud._client
        upload_part = client.upload_part

        def dies(**fields):
            server.kill()
            return upload_part(**fields)

        client.upload_part = dies
        site.lane(cloud).step()
        begun = site.catalog.delivery_state("a").upload_id
        assert begun and site.states() == {"a": Delivery.WAITING}
        server.start()
        site.now_ns += int(10e9)
        site.lane(S3Destination("centre", s3_section(server, credentials), 5 << 20)).step()
    assert site.states() == {"a": Delivery.SENT} and site.catalog.delivery_state("a").upload_id is None


CONFIG = """
[site]
state_dir = "state"
run_dir = "run"
[courier]
poll_s = 0.1
[destination.centre]
kind = "folder"
path = "centre"
"""


def test_the_process_delivers_then_deletes_at_the_deadline_and_stops_when_told(site: Site) -> None:
    kept, past = site.put("kept"), site.put("past", local_deadline_ns=1)
    (site.root / "greffier.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "agent.courier", "--config", str(site.root / "greffier.toml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for("the deletion", lambda: not past.exists())
        wait_for("the delivery", lambda: set(site.states().values()) == {Delivery.SENT})
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert kept.exists() and (site.root / "centre" / "training" / "past").exists()
    kinds = [line.kind for line in read(site.journal_dir) if line.fields.get("path") == "training/past"]
    assert kinds == ["delivered", "local.deleted"]


def test_a_worker_goes_on_after_a_disk_that_was_full(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.put("a")
    lane = site.lane(FolderDestination("centre", site.root / "centre"))
    failing = iter([OSError(28, "no space left on device")])
    append = Journal.append

    def full_once(self: Journal, *what: Any, **more: Any) -> Any:
        for error in failing:
            raise error
        return append(self, *what, **more)

    monkeypatch.setattr(Journal, "append", full_once)
    thread = threading.Thread(target=lane.run, daemon=True)
    thread.start()

    def arrived() -> bool:
        site.now_ns += 10**9
        return site.states()["a"] is Delivery.SENT

    wait_for("the artifact to arrive all the same", arrived)
    lane._stop.set()
    thread.join(10)
    assert not thread.is_alive()
