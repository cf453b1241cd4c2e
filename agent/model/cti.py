"""What a telephone system says of a call: presses by the agent's hand or by the dialplan, and what it is about."""

from dataclasses import dataclass

from agent.model.call import Consent
from agent.model.gate import GateVerb


@dataclass(frozen=True, slots=True)
class CallOf:
    """Which call is meant: the newest of an agent's `extension`, or the one with this SIP Call-ID or session id.

    Where both are said, it is the call of that `reference`, and the agent must be in it.
    """

    extension: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class PressSaid:
    """Pause, resume, keep or drop. `by_agent`: the agent asked for it (with a feature code); else the dialplan did."""

    call: CallOf
    verb: GateVerb
    by_agent: bool
    purpose: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContextSaid:
    """Queue, tags (`word` or `name=value`) and consent; what is None or empty was not said."""

    call: CallOf
    queue: str | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something was meant for us and is not understood; `what` names it, without what it holds."""

    what: str


Said = PressSaid | ContextSaid | Unclear
"""What a telephone system says."""
