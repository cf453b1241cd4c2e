"""A legal hold on a call, as tests of other rooms place and lift it."""

from agent.model.hold import LegalHold
from agent.store.catalog import Catalog


def hold(catalog: Catalog, call_id: str, purpose: str | None = None) -> LegalHold:
    """Place one."""
    return catalog.legal_holds.place(
        LegalHold("case 7", "cli:root", "the court asked", 5, call_id=call_id, purpose=purpose)
    )


def lift(catalog: Catalog, placed: LegalHold) -> None:
    """End it."""
    assert catalog.legal_holds.end(placed.number, 6)
