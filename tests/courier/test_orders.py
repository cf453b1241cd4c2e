"""Orders to the centre: what is held is held there too, what is past its deadline deleted there, and nothing else."""

import threading
from pathlib import Path

import pytest
from holding import hold, lift

from agent.config.delivery import Courier as Pace
from agent.courier.orders import REFUSED_S, Orders
from agent.forward.destination import Poison, Retry, Unsupported
from agent.forward.folder import FolderDestination
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.journal import Journal, JournalLine, read

CALL, OTHER = "0192" + "0" * 28, "0192" + "1" * 28
T0 = 1_790_000_000_000_000_000
DEADLINE = T0 + 1_000_000_000
PACE = Pace(retry_first_s=1.0, retry_max_s=100.0)


class Vault(FolderDestination):
    """A folder that can be told to hold, and has a lock and moods."""

    def __init__(self, root: Path) -> None:
        super().__init__("centre", root)
        self.held: set[str] = set()
        self.trouble: Exception | None = None
        self.asked = 0

    def hold(self, key: str, held: bool) -> None:
        self.asked += 1
        if self.trouble:
            raise self.trouble
        (self.held.add if held else self.held.discard)(key)

    def destroy(self, key: str) -> None:
        self.asked += 1
        if self.trouble:
            raise self.trouble
        assert key not in self.held, "the centre refuses what it holds"
        super().destroy(key)


class Centre:
    """A catalog of what was sent, a destination that has it, and a clock that a test moves."""

    def __init__(self, root: Path) -> None:
        self.catalog = Catalog(root / "catalog.sqlite3")
        self.journal_dir = root / "journal"
        self.now_ns = self.believed_ns = T0
        journal = Journal(self.journal_dir, "courier", lambda: self.now_ns)
        self.root = root / "centre"
        self.vault = Vault(self.root)
        self.orders = Orders(
            *(self.vault, PACE, self.catalog, journal, threading.Event(), lambda: self.believed_ns),
            lambda: self.now_ns,
        )
        self.plain = Orders(
            *(FolderDestination("centre", self.root), PACE, self.catalog, journal, threading.Event()),
            lambda: self.believed_ns,
            lambda: self.now_ns,
        )

    def sent(self, name: str, call_id: str = CALL, deadline_ns: int = DEADLINE) -> Path:
        path = self.root / "training" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"age")
        self.catalog.add_artifact(
            Artifact(name, call_id, "training", ArtifactKind.AUDIO, f"training/{name}", "audio/ogg", 3, "p", "c", 1,
                     1 << 62, deadline_ns, "centre")
        )  # fmt: skip
        self.catalog.set_delivery(name, Delivery.SENT, 5)
        return path

    def step(self) -> int:
        self.catalog.orders.plan(self.now_ns, ["centre"])
        return self.orders.step()

    def lines(self, kind: str) -> list[JournalLine]:
        return [line for line in read(self.journal_dir) if line.kind == kind]


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre(tmp_path)


def test_what_is_past_its_central_deadline_is_deleted_there_and_a_line_says_so(centre: Centre) -> None:
    due, later, never = centre.sent("a"), centre.sent("b", deadline_ns=DEADLINE + 1), centre.sent("c", deadline_ns=0)
    centre.now_ns = 1 << 62
    assert centre.step() == 0, "the clock says so, and is not believed"
    centre.believed_ns = DEADLINE
    assert centre.step() == 1 and not due.exists() and later.exists() and never.exists()
    (line,) = centre.lines("central.deleted")
    assert line.call_id == CALL and line.fields["path"] == "training/a" and line.fields["late_s"] == 0
    assert centre.step() == 0, "once"
    centre.believed_ns = DEADLINE + 60 * 10**9
    assert centre.step() == 1 and not later.exists() and centre.lines("central.deleted")[1].fields["late_s"] == 59


def test_what_was_called_back_is_deleted_at_once(centre: Centre) -> None:
    path, other = centre.sent("a"), centre.sent("b")
    centre.catalog.corrections.withdraw("a", T0)
    assert centre.step() == 1 and not path.exists() and other.exists()
    assert centre.lines("central.deleted")[0].fields["reason"] == "it was called back"


def test_where_others_delete_nothing_is_deleted(centre: Centre) -> None:
    path = centre.sent("a")
    centre.orders._deletes = False
    centre.believed_ns = DEADLINE
    assert centre.step() == 0 and path.exists()


def test_what_is_held_is_held_at_the_centre_and_released_before_it_is_deleted(centre: Centre) -> None:
    held, free = centre.sent("a"), centre.sent("b", OTHER)
    placed = hold(centre.catalog, CALL)
    centre.believed_ns = DEADLINE
    assert centre.step() == 2 and held.exists() and not free.exists()
    assert centre.vault.held == {"training/a"} and centre.step() == 0
    assert centre.catalog.orders.of_hold(placed.number) == [("done", "", 1)]
    late = centre.sent("c")
    assert centre.step() == 1 and centre.vault.held == {"training/a", "training/c"}, "sent since"
    lift(centre.catalog, placed)
    assert centre.orders.step() == 0, "not deleted before it is released"
    assert centre.step() == 2 and centre.vault.held == set()
    assert centre.step() == 2 and not held.exists() and not late.exists()
    kinds = [line.kind for line in read(centre.journal_dir)]
    assert [kinds.count(f"central.{k}") for k in ("held", "released", "deleted")] == [2, 2, 3]


def test_two_holds_and_one_released_still_hold(centre: Centre) -> None:
    centre.sent("a")
    first, second = hold(centre.catalog, CALL), hold(centre.catalog, CALL, "training")
    assert centre.step() == 1
    lift(centre.catalog, first)
    assert centre.step() == 0 and centre.vault.held == {"training/a"}
    lift(centre.catalog, second)
    assert centre.step() == 1 and centre.vault.held == set()


def test_a_centre_that_cannot_hold_is_named_and_nothing_is_deleted_from_here(centre: Centre) -> None:
    path = centre.sent("a")
    placed = hold(centre.catalog, CALL)
    centre.orders = centre.plain
    centre.believed_ns = DEADLINE
    assert centre.step() == centre.step() == 0 and path.exists()
    ((state, why, many),) = centre.catalog.orders.of_hold(placed.number)
    assert (state, many) == ("unsupported", 1) and "knows no legal hold" in why
    assert len(centre.lines("central.unsupported")) == 1
    lift(centre.catalog, placed)
    assert centre.step() == 1 and not path.exists() and len(centre.lines("central.unsupported")) == 1


def test_a_centre_that_is_away_is_asked_again_longer_each_time(centre: Centre) -> None:
    path = centre.sent("a")
    centre.believed_ns = DEADLINE
    centre.vault.trouble = Retry("nobody answers")
    for _ in range(8):
        centre.step()
        centre.step()
        centre.now_ns += 101 * 10**9
    assert centre.vault.asked == 8 and len(centre.lines("central.failed")) == 1
    (order,) = centre.catalog.orders.failing()
    assert (order.verb, order.attempts, order.detail) == ("destroy", 8, "nobody answers")
    centre.vault.trouble = None
    assert centre.step() == 1 and not path.exists() and centre.catalog.orders.failing() == []


def test_a_lock_is_reported_once_and_tried_again_each_day(centre: Centre) -> None:
    path = centre.sent("a")
    centre.believed_ns = DEADLINE
    centre.vault.trouble = Poison("locked until 2030-01-01 by Object Lock")
    centre.step()
    centre.now_ns += int((REFUSED_S - 1) * 1e9)
    centre.step()
    assert centre.vault.asked == 1
    centre.now_ns += 10**9
    centre.step()
    assert centre.vault.asked == 2 and len(centre.lines("central.failed")) == 1
    centre.vault.trouble = None
    centre.now_ns += int(REFUSED_S * 1e9)
    assert centre.step() == 1 and not path.exists()


def test_a_hold_that_comes_between_list_and_deletion_is_heeded(centre: Centre) -> None:
    path = centre.sent("a")
    centre.believed_ns = DEADLINE
    listed = centre.catalog.orders.due_deletions("centre", DEADLINE, T0)
    hold(centre.catalog, CALL)
    assert len(listed) == 1 and not centre.orders._give(listed[0]) and path.exists()


def test_the_opposite_asked_for_meanwhile_stays_to_be_done(centre: Centre) -> None:
    centre.sent("a")
    placed = hold(centre.catalog, CALL)
    centre.catalog.orders.plan(T0, ["centre"])
    (order,) = centre.catalog.orders.due_holds("centre", T0)
    lift(centre.catalog, placed)
    centre.catalog.orders.plan(T0, ["centre"])
    centre.orders._give(order)
    (now,) = centre.catalog.orders.due_holds("centre", T0)
    assert now.verb == "release" and centre.step() == 1 and centre.vault.held == set()


def test_a_folder_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Retry):
        FolderDestination("centre", tmp_path / "away").destroy("training/a")
    FolderDestination("centre", tmp_path).destroy("training/never-was")
    with pytest.raises(Unsupported):
        FolderDestination("centre", tmp_path).hold("training/a", held=True)
