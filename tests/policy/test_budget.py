"""Budgets of the outbox: what must go, who must wait, in which order."""

from hypothesis import given
from hypothesis import strategies as st

from agent.model.budget import Budget
from agent.policy.budget import WHOLE, excess, room, shares

ORDER = ("evidence", "training", "analytics", "insight")
BUDGET = Budget(ORDER, 10_000, {"training": 2_000})
Amounts = st.dictionaries(st.sampled_from(ORDER), st.integers(0, 12_000))


def test_the_least_important_waits_first_and_the_most_important_may_use_all() -> None:
    used = {"evidence": 9_300}
    assert [room(BUDGET, used, p) for p in ORDER] == [700, 450, 200, -50]
    assert room(BUDGET, used, "unheard-of") == -50
    assert room(BUDGET, {"training": 1_990}, "training") == 10 and room(Budget(ORDER), used, "evidence") is None


def test_a_purpose_that_uses_up_its_own_does_not_stop_others() -> None:
    used = {"training": 2_000}
    assert room(BUDGET, used, "training") == 0 and room(BUDGET, used, "insight") == 7_250
    assert shares(BUDGET, used) == {"training": 1.0, WHOLE: 0.2} and excess(BUDGET, used) == {"training": 200}


@given(used=Amounts, purpose=st.sampled_from(ORDER))
def test_room_filled_never_passes_any_budget_and_delivered_copies_go_before_anybody_waits(used, purpose) -> None:
    left = room(BUDGET, used, purpose)
    assert left is not None
    if left > 0:
        more = used | {purpose: used.get(purpose, 0) + left}
        assert sum(more.values()) <= 10_000 and more.get("training", 0) <= max(2_000, used.get("training", 0))
    else:
        assert WHOLE in excess(BUDGET, used) or "training" in excess(BUDGET, used)
