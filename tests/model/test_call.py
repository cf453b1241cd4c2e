"""A call: whose it is as parties come and go."""

from dataclasses import replace

from agent.model.call import Call, Direction, Party, Role

FIRST = Party("a", "201", "", Role.AGENT, 1)
SECOND = Party("b", "203", "", Role.AGENT, 5)


def agent(*parties: Party) -> str | None:
    call = Call("c" * 32, "r", "siprec", "192.0.2.1", 1, Direction.INBOUND, parties=parties)
    return call.agent.number if call.agent else None


def test_a_call_is_the_first_agents_who_is_in_it_and_after_a_transfer_the_next_ones() -> None:
    gone = replace(FIRST, left_ns=4)
    assert agent() is None
    assert agent(FIRST, SECOND) == "201"
    assert agent(gone) == "201", "while nobody else has come"
    assert agent(gone, SECOND) == "203"
    assert agent(gone, replace(SECOND, left_ns=9)) == "203"
