"""What happens as the outbox fills: when to warn, what must go, and which purposes have to wait. Pure.

Of any budget: from 80 % on there is an alarm; above 90 % copies of what was delivered go before their time; what is not
delivered never goes. Of the budget for all, the least important purpose waits first: of four, they wait from 92.5, 95,
97.5 and 100 %. A purpose with a budget of its own waits when that is used up.
"""

from collections.abc import Mapping

from agent.model.budget import Budget

ALARM, CALM = 0.80, 0.75
"""There is an alarm from the first on, until less than the second is used."""
FREE_ABOVE = 0.90
WHOLE = ""
"""Names the budget for all among those of purposes."""

Used = Mapping[str, int]
"""Bytes here, by purpose."""


def shares(budget: Budget, used: Used) -> dict[str, float]:
    """How much of each budget is used, 1.0 being all; that for all purposes under WHOLE."""
    found = {name: used.get(name, 0) / limit for name, limit in budget.purposes.items()}
    return found if budget.total is None else found | {WHOLE: sum(used.values()) / budget.total}


def excess(budget: Budget, used: Used) -> dict[str, int]:
    """Bytes to be freed of each budget that is used beyond what delivered copies may take."""
    limits = dict(budget.purposes) if budget.total is None else {**budget.purposes, WHOLE: budget.total}
    over = {name: (sum(used.values()) if name == WHOLE else used.get(name, 0)) for name in limits}
    found = {name: over[name] - int(FREE_ABOVE * limit) for name, limit in limits.items()}
    return {name: count for name, count in found.items() if count > 0}


def room(budget: Budget, used: Used, purpose: str) -> int | None:
    """Bytes that may be added for a purpose now; None: any."""
    left = []
    if purpose in budget.purposes:
        left.append(budget.purposes[purpose] - used.get(purpose, 0))
    if budget.total is not None:
        left.append(int(budget.total * reach(budget, purpose)) - sum(used.values()))
    return min(left) if left else None


def reach(budget: Budget, purpose: str) -> float:
    """Up to which share of the budget for all a purpose may fill it; one that nobody knows is the least important."""
    count = max(1, len(budget.order))
    rank = budget.order.index(purpose) if purpose in budget.order else count - 1
    return 1 - (1 - FREE_ABOVE) * rank / count
