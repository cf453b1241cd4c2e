"""How much of the disk artifacts may take (docs/delivery.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that all artifacts here may take (None: no limit of ours), and those of single purposes; `order` names the
    purposes that keep anything, the most important first."""

    order: tuple[str, ...] = ()
    total: int | None = None
    purposes: Mapping[str, int] = field(default_factory=dict)
