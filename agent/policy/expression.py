"""Expressions of conditions, in CEL (https://cel.dev), over what is known of a call. Pure.

One that cannot be evaluated, or gives something else than true, decides that its purpose does not apply.
"""

from functools import lru_cache
from typing import Any

import cel

from agent.model.call import Call
from agent.policy.calendar import Moment
from agent.policy.people import agents, present


@lru_cache(256)
def compiled(source: str) -> cel.Program:
    """Compiled once. Raises ValueError."""
    return cel.compile(source)


def names_of(call: Call, moment: Moment) -> dict[str, Any]:
    """What an expression may speak of, `agent.model.condition.EXPRESSION_NAMES`. Unknown texts are empty."""
    here = {party.participant_id for party in present(call)}
    return {
        "call": {
            "direction": call.direction.value,
            "gateway": call.gateway,
            "tap": call.tap,
            "did": call.did or "",
            "consent": call.consent.value,
        },
        "parties": [
            {"number": p.number, "role": p.role.value, "present": p.participant_id in here} for p in call.parties
        ],
        "agent": next((party.number for party in agents(call)), ""),
        "queue": call.queue or "",
        "tags": {name: value for name, _, value in (tag.partition("=") for tag in call.tags)},
        "hour": moment.hour,
        "minute": moment.minute % 60,
        "weekday": moment.day_name,
        "holiday": moment.holiday,
    }


def refusal(source: str, names: dict[str, Any]) -> str | None:
    """Why the expression does not let its purpose apply; None when it does. Free of what it or the call says."""
    try:
        given = compiled(source).execute(names)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library is no Exception, and is no more of an answer
        return f"{FAILED} ({type(error).__name__})"
    if given is True:
        return None
    return "condition not met: expression" if given is False else f"{FAILED} (neither true nor false)"


FAILED = "expression could not be evaluated"
"""How a rule begins that says so."""
