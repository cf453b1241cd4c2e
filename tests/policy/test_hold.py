"""What a legal hold covers: exactly what fits all that it says; and it takes two to end one where the site says so."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.hold import HeldMatter, LegalHold
from agent.policy.hold import RELEASE_WINDOW_NS, Release, covers, release

HOLD = LegalHold("case 7", "cli:ann", "the court asked", 5)
MATTER = HeldMatter("c1", "evidence", frozenset({"n1", "n2"}), 100, 200)


@pytest.mark.parametrize(
    ("bounds", "covered"),
    [
        ({"call_id": "c1"}, True),
        ({"call_id": "c2"}, False),
        ({"numbers": frozenset({"n2", "n9"})}, True),
        ({"numbers": frozenset({"n9"})}, False),
        ({"purpose": "evidence"}, True),
        ({"purpose": "training"}, False),
        ({"call_id": "c1", "purpose": "training"}, False),
        ({"from_ns": 200}, True),
        ({"from_ns": 201}, False),
        ({"to_ns": 101}, True),
        ({"to_ns": 100}, False),
        ({"from_ns": 150, "to_ns": 160}, True),
        ({"numbers": frozenset({"n1"}), "from_ns": 201}, False),
    ],
)
def test_all_that_a_hold_says_must_fit(bounds: dict[str, object], covered: bool) -> None:
    hold = replace(HOLD, **bounds)  # type: ignore[arg-type]
    assert hold.says_what and covers(hold, MATTER) is covered
    assert not covers(replace(hold, ended_ns=6), MATTER)


def test_a_call_that_is_on_or_unknown() -> None:
    assert covers(replace(HOLD, from_ns=10**9), replace(MATTER, ended_ns=None)), "it is still on"
    assert not covers(replace(HOLD, from_ns=1), replace(MATTER, started_ns=None)), "nobody knows when it was"
    assert not HOLD.says_what


numbers = st.frozensets(st.sampled_from(["n1", "n2", "n3"]))
instants = st.none() | st.integers(0, 20)
holds = st.builds(
    LegalHold,
    case=st.just("c"),
    actor=st.just("a"),
    reason=st.just("r"),
    at_ns=st.just(0),
    call_id=st.none() | st.sampled_from(["c1", "c2"]),
    numbers=numbers,
    purpose=st.none() | st.sampled_from(["evidence", "training"]),
    from_ns=instants,
    to_ns=instants,
)
matters = st.builds(
    HeldMatter,
    call_id=st.sampled_from(["c1", "c2"]),
    purpose=st.sampled_from(["evidence", "training"]),
    numbers=numbers,
    started_ns=st.integers(0, 10),
    ended_ns=st.none() | st.integers(10, 20),
)


@given(holds, matters)
def test_a_hold_that_says_less_covers_more(hold: LegalHold, matter: HeldMatter) -> None:
    wider = [replace(hold, **{name: None}) for name in ("call_id", "purpose", "from_ns", "to_ns")]  # type: ignore[arg-type]
    if covers(hold, matter):
        assert all(covers(one, matter) for one in (*wider, replace(hold, numbers=frozenset())))


@pytest.mark.parametrize(
    ("asked", "actor", "after_ns", "outcome"),
    [
        (None, "cli:ann", 0, Release.ASKED),
        ("cli:ann", "cli:ann", 5, Release.SAME_PERSON),
        ("cli:ann", "cli:bob", 5, Release.DONE),
        ("cli:ann", "cli:bob", RELEASE_WINDOW_NS - 1, Release.DONE),
        ("cli:ann", "cli:bob", RELEASE_WINDOW_NS, Release.ASKED),
        ("cli:ann", "cli:ann", RELEASE_WINDOW_NS, Release.ASKED),
        ("cli:ann", "cli:bob", -1, Release.ASKED),
    ],
)
def test_a_second_person_has_a_day(asked: str | None, actor: str, after_ns: int, outcome: Release) -> None:
    hold = replace(HOLD, asked_by=asked, asked_ns=100 if asked else None)
    assert release(hold, actor, 100 + after_ns, two_person=True) is outcome
    assert release(hold, actor, 100 + after_ns, two_person=False) is Release.DONE
