"""In what order things go, several at once; neither an outage nor one bad artifact changes it for the others."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from holding import hold
from hypothesis import given
from hypothesis import strategies as st
from outbox_site import PACE, Site
from running_site import wait_for

from agent.config.destinations import FolderSection as Section
from agent.config.purposes import PurposeSection, by_importance
from agent.courier.patience import Patience
from agent.forward.destination import Poison, Receipt, Retry
from agent.forward.folder import FolderDestination
from agent.model.artifact import Delivery


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Watched:
    """A folder that notes what it is given, and may be told to fail."""

    name = "centre"

    def __init__(self, site: Site, *, slow_s: float = 0.0) -> None:
        self._folder = FolderDestination("centre", site.root / "centre")
        self._slow_s = slow_s
        self.given: list[str] = []
        self.terms: list[Any] = []
        self.busy: Counter[str] = Counter()
        self.most_at_once = 0
        self.error: Exception | None = None
        self.bad: set[str] = set()
        self.swept: list[list[str]] = []

    def put(self, local: Path, key: str, *rest: Any) -> Receipt:
        self.given.append(key)
        self.terms.append(rest[-1])
        if self.error is not None:
            raise self.error
        if key in self.bad:
            raise Retry("it breaks off")
        self.busy[key] += 1
        assert self.busy[key] == 1, "two uploads of one artifact"
        self.most_at_once = max(self.most_at_once, self.busy.total())
        time.sleep(self._slow_s)
        receipt = self._folder.put(local, key, *rest)
        del self.busy[key]
        return receipt

    def sweep(self, remembered: Any) -> None:
        self.swept.append(list(remembered))


def test_the_most_important_purpose_goes_first_and_of_each_the_oldest(site: Site) -> None:
    for number in range(30):
        site.put(f"t{number:02}", 10)
        site.put(f"x{number:02}", 10, purpose="unheard-of")
        site.put(f"e{number:02}", 10, purpose="evidence")
    there = Watched(site)
    site.lane(there, order=("evidence", "training")).step()
    expected = [f"{p}/{p[0]}{n:02}" for p in ("evidence", "training") for n in range(30)]
    assert there.given == expected + [f"unheard-of/x{n:02}" for n in range(30)]


def test_evidence_that_comes_in_overtakes_a_long_queue(site: Site) -> None:
    for number in range(40):
        site.put(f"t{number:02}", 10)
    there = Watched(site)
    put = there.put

    def comes_in(*what: Any) -> Receipt:
        if len(there.given) == 5:
            site.put("e", 10, purpose="evidence")
            site.now_ns += int(2 * PACE.poll_s * 1e9)
        return put(*what)

    there.put = comes_in  # type: ignore[method-assign]
    site.lane(there, order=("evidence", "training")).step()
    assert there.given.index("evidence/e") == 6


def test_importance_is_by_number_then_by_the_order_of_the_configuration() -> None:
    sections = {
        name: PurposeSection.model_validate({"trigger": "all", "importance": rank})
        for name, rank in (("evidence", 0), ("training", 0), ("alerts", 5), ("spare", -1))
    }
    assert by_importance(sections) == ("alerts", "evidence", "training", "spare")


def test_several_go_at_once_and_none_twice(site: Site) -> None:
    for number in range(60):
        site.put(f"t{number:02}", 100)
    there = [Watched(site, slow_s=0.02)] * 4
    lane = site.lane(*there)
    stop = lane._stop
    running = threading.Thread(target=lane.run)
    running.start()
    wait_for("all to arrive", lambda: set(site.states().values()) == {Delivery.SENT})
    stop.set()
    running.join(10)
    assert sorted(there[0].given) == [f"training/t{n:02}" for n in range(60)]
    assert there[0].most_at_once == 4 and not running.is_alive()
    assert sorted(site.lines("delivered")) == sorted(there[0].given)


def test_after_an_outage_the_oldest_go_first_all_the_same(site: Site) -> None:
    for number in range(20):
        site.put(f"t{number:02}", 10)
        site.put(f"e{number:02}", 10, purpose="evidence")
    there = Watched(site)
    there.error = Retry("nobody there")
    lane = site.lane(there)
    rests = []
    for _ in range(12):
        rests.append(lane.step())
        site.now_ns += int((rests[-1] + 0.001) * 1e9)
    assert len(set(there.given)) >= 2, "not only one artifact was tried"
    assert rests[-1] > 60 and site.catalog.lanes.lane("centre").failing == "nobody there"
    assert len(site.lines("delivery.failed")) == 1
    there.error = None
    there.given.clear()
    lane.step()
    site.now_ns += int(1e9)
    lane.step()
    first, rest = there.given[0], there.given[1:]
    expected = [f"{p}/{p[0]}{n:02}" for p in ("evidence", "training") for n in range(20)]
    assert rest == [name for name in expected if name != first], "but for the one that was tried, all in order"
    assert site.catalog.lanes.lane("centre").failing == ""


def test_one_artifact_that_always_breaks_off_does_not_hold_up_the_others(site: Site) -> None:
    for number in range(10):
        site.put(f"t{number}", 10)
    there = Watched(site)
    there.bad = {"training/t0"}
    lane = site.lane(there)
    began_ns = site.now_ns
    while list(site.states().values()).count(Delivery.SENT) < 9:
        site.now_ns += int((lane.step() + 0.001) * 1e9)
    assert site.now_ns - began_ns < 60e9 and site.states()["t0"] is Delivery.WAITING
    tries = there.given.count("training/t0")
    for _ in range(100):
        site.put(f"more{_}", 10)
        site.now_ns += int((lane.step() + 0.001) * 1e9)
    assert there.given.count("training/t0") - tries <= 3, "it is tried seldom by then"
    there.bad.clear()
    site.now_ns += int(PACE.retry_max_s * 1e9)
    lane.step()
    assert set(site.states().values()) == {Delivery.SENT}


def test_a_destination_that_refuses_everything_in_the_same_words_rests(site: Site) -> None:
    for number in range(50):
        site.put(f"t{number:02}", 10)
    there = Watched(site)
    there.error = Poison("access is denied")
    lane = site.lane(there)
    assert lane.step() < 2 and len(there.given) == 3
    assert Counter(site.states().values()) == {Delivery.POISONED: 3, Delivery.WAITING: 47}
    there.error = None
    site.now_ns += int(3e9)
    lane.step()
    site.now_ns += int(1e9)
    lane.step()
    assert set(site.states().values()) == {Delivery.SENT}, "those three go too, as soon as anything does"


def test_a_pause_holds_and_a_retry_wakes(site: Site) -> None:
    site.put("a", 10)
    there = Watched(site)
    there.error = Retry("nobody there")
    lane = site.lane(there)
    while len(there.given) < 4:
        site.now_ns += int(1e9)
        lane.step()
    tries = len(there.given)
    site.now_ns += int(1.5e9)
    lane.step()
    assert len(there.given) == tries, "it rests"
    there.error = None
    lanes = site.catalog.lanes
    lanes.pause("centre", "cli:root", "works on the line", site.now_ns, site.now_ns + int(5e9))
    lanes.retry(site.now_ns)
    site.now_ns += int(1.5e9)
    assert lane.step() == PACE.poll_s and len(there.given) == tries, "paused is paused"
    site.now_ns += int(4e9)
    lane.step()
    assert set(site.states().values()) == {Delivery.SENT}, "the pause was over at its time"


def test_the_centre_is_told_until_when_and_whether_held(site: Site) -> None:
    site.put("a", 10)
    site.catalog._base.run("UPDATE artifacts SET central_deadline_ns = ?", [1_948_000_000_000_000_000])
    hold(site.catalog, site.catalog.artifact("a").call_id)
    there = Watched(site)
    site.lane(there).step()
    (terms,) = there.terms
    assert terms.retain_until_ns == 1_948_000_000_000_000_000 and terms.held
    assert terms.tags == {"purpose": "training", "central-deadline": "2031-09-24"}


def test_once_an_hour_uploads_that_nobody_remembers_are_swept_unless_the_destination_fails(site: Site) -> None:
    for name in ("a", "b", "c"):
        site.put(name, 10)
    site.catalog.set_upload_id("b", "begun")
    there = Watched(site)
    there.bad = {"training/b"}
    lane = site.lane(there)
    lane.step()
    assert there.swept == [], "it fails just now"
    while site.states()["c"] is not Delivery.SENT:
        site.now_ns += int((lane.step() + 0.001) * 1e9)
    lane.step()
    assert there.swept == [["begun"]]
    site.now_ns += int(3601e9)
    there.bad.clear()
    lane.step()
    assert there.swept == [["begun"], ["begun"]], "the catalog says what is remembered"


def test_closed_hours_send_nothing(site: Site) -> None:
    site.put("a", 10)
    there = Watched(site)
    closed = Section.model_validate({"kind": "folder", "path": "/x", "limit_mbit": 0}).bandwidth()
    site.lane(there, bandwidth=closed).step()
    assert there.given == []


def test_the_queue_is_read_through_its_index(site: Site) -> None:
    base, asked = site.catalog._base, []
    rows = base.rows
    base.rows = lambda sql, values=(): asked.append((sql, values)) or rows(sql, values)  # type: ignore[assignment]
    site.catalog.next_waiting("centre", "training", 5, 16)
    site.catalog.due_poisoned("centre", 5, 1)
    for sql, values in asked:
        plan = " ".join(row["detail"] for row in rows(f"EXPLAIN QUERY PLAN {sql}", values))
        assert "SEARCH artifacts USING INDEX" in plan and "TEMP B-TREE" not in plan, plan
    assert len(asked) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 50)), max_size=40))
def test_a_lane_never_rests_longer_than_it_may_and_not_at_all_after_a_success(steps) -> None:
    clock = [0.0]
    patience = Patience(1.0, 100.0, lambda: clock[0])
    for name, works, passed in steps:
        if works:
            patience.succeeded()
            assert patience.rest_s() == 0 and patience.failures == 0
        else:
            again = patience.failed(name, 3)
            assert 0 < patience.rest_s() <= 100 and 0.8 <= again <= 100
        clock[0] += passed


def test_one_that_is_set_aside_while_in_hand_is_handed_to_nobody_else(site: Site) -> None:
    site.put("a", 10)
    shelf = site.lane(Watched(site))._shelf
    artifact = shelf.take()
    assert artifact is not None and shelf.has("a")
    site.catalog.set_delivery("a", Delivery.POISONED, site.now_ns, "refused")
    shelf.clear()
    assert shelf.take() is None, "whoever has it has not put it back"
    shelf.put_back(artifact)
    shelf.put_back(artifact)
    assert not shelf.has("a")


def test_what_is_withdrawn_while_it_is_sent_is_not_let_go_of_under_the_hands_of_who_sends_it(site: Site) -> None:
    site.put("a", 10)
    there = Watched(site)
    lane = site.lane(there)
    abandoned: list[str] = []
    there.abandon = lambda key, _: abandoned.append(key)  # type: ignore[attr-defined]
    artifact = lane._shelf.take()
    assert artifact is not None
    site.catalog.corrections.withdraw("a", site.now_ns)
    lane._abandon()
    assert abandoned == []
    lane._shelf.put_back(artifact)
    lane._abandon()
    assert abandoned == ["training/a"]
