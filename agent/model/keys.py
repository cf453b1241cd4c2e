"""Keys that mean something: feature codes that press the gate, and the customer's choice about being recorded."""

from dataclasses import dataclass

from agent.model.call import Consent, Role
from agent.model.gate import GateVerb

KEY_NAMES = "0123456789*#ABCD"
"""Keys by event number (RFC 4733 §3.2)."""


@dataclass(frozen=True, slots=True)
class KeyCode:
    """`keys`, pressed one after the other by somebody of `roles` (empty: by anybody), do this."""

    keys: str
    does: GateVerb | Consent
    roles: frozenset[Role] = frozenset()
