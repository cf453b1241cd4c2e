"""Who is in a call now. Pure."""

from agent.model.call import Call, Party, Role


def present(call: Call) -> list[Party]:
    """Who has not left."""
    return [party for party in call.parties if party.left_ns is None]


def agents(call: Call) -> list[Party]:
    """Who has the call on our side now; where everyone has left, who left last."""
    found = [party for party in call.parties if party.role is Role.AGENT]
    here = [party for party in found if party.left_ns is None]
    return here or sorted(found, key=lambda party: party.left_ns or 0)[-1:]
