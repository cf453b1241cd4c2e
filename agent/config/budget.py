"""From the sections of the configuration to the budget of the outbox."""

from collections.abc import Mapping

from agent.config.delivery import Courier
from agent.config.purposes import PurposeSection, by_importance
from agent.model.budget import Budget


def budget_of(purposes: Mapping[str, PurposeSection], courier: Courier) -> Budget:
    """As a model value."""
    order = tuple(name for name in by_importance(purposes) if purposes[name].artifacts)
    limits = {name: section.disk_budget for name, section in purposes.items() if section.disk_budget is not None}
    return Budget(order, courier.outbox_budget, limits)
