"""The table of server transactions: what is sent again, what stops it, what ends."""

import pytest

from agent.sip.transaction import (
    INVITE_TABLE,
    LIFE_S,
    OTHER_TABLE,
    T1_S,
    Action,
    Event,
    State,
    TransactionTable,
)


def sends(table: TransactionTable, until: float, step: float = 0.1) -> list[Action]:
    """Everything due up to a time, in order."""
    found, now = [], 0.0
    while now <= until:
        found += [action for _, action in table.due(now)]
        now += step
    return found


def test_a_request_that_comes_again_gets_the_same_response(request_of) -> None:
    table = TransactionTable()
    tx = table.open(request_of("BYE"), False, "peer", 0)
    table.answer(tx, 200, b"answer", 0)
    again = table.find(request_of("BYE"))
    assert again is tx and table.happen(again, Event.AGAIN, 1) == (Action.SEND,)
    assert table.find(request_of("BYE", CSeq="2 BYE")) is None
    assert table.find(request_of("BYE", Via="SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKtwo")) is None


@pytest.mark.parametrize("reliable", [True, False])
def test_a_2xx_is_sent_until_its_ack(request_of, reliable: bool) -> None:
    table = TransactionTable()
    tx = table.open(request_of(), reliable, "peer", 0)
    table.answer(tx, 200, b"ok", 0)
    assert sends(table, 4 * T1_S) == [Action.SEND, Action.SEND]
    ack = request_of("ACK", CSeq="1 ACK", Via="SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKother")
    assert table.find(ack) is tx
    table.happen(tx, Event.ACK, 3)
    assert sends(table, 2 * LIFE_S + 5) == []
    assert len(table) == 0


def test_a_2xx_that_nobody_acknowledges_ends_the_session(request_of) -> None:
    table = TransactionTable()
    table.answer(table.open(request_of(), True, "peer", 0), 200, b"ok", 0)
    todo = sends(table, LIFE_S + 1)
    assert todo[-1] is Action.NO_ACK and todo.count(Action.NO_ACK) == 1
    assert 8 <= todo.count(Action.SEND) <= 11, "at 0.5, 1.5, 3.5, 7.5 s and then every 4 s"
    assert len(table) == 0


@pytest.mark.parametrize(("reliable", "count"), [(True, 0), (False, 3)])
def test_a_refusal_is_sent_again_only_where_packets_get_lost(request_of, reliable: bool, count: int) -> None:
    table = TransactionTable()
    tx = table.open(request_of(), reliable, "peer", 0)
    table.answer(tx, 488, b"no", 0)
    assert sends(table, 4) == [Action.SEND] * count
    assert table.find(request_of("ACK", CSeq="1 ACK")) is tx
    table.happen(tx, Event.ACK, 4)
    assert tx.state is State.CONFIRMED
    assert sends(table, LIFE_S * 2) == [] and len(table) == 0


def test_cancel_finds_its_invite_even_with_a_branch_of_its_own(request_of) -> None:
    table = TransactionTable()
    tx = table.open(request_of(), False, "peer", 0)
    assert table.find(request_of("CANCEL", CSeq="1 CANCEL")) is tx
    assert table.find(request_of("CANCEL", CSeq="1 CANCEL", Via="SIP/2.0/UDP h;branch=z9hG4bKother")) is tx
    assert table.find(request_of("CANCEL", CSeq="2 CANCEL")) is None


def test_peers_without_branches_are_told_apart_by_tag(request_of) -> None:
    table = TransactionTable()
    tx = table.open(request_of(Via="SIP/2.0/UDP 192.0.2.9"), False, "peer", 0)
    assert table.find(request_of(Via="SIP/2.0/UDP 192.0.2.9")) is tx
    assert table.find(request_of(Via="SIP/2.0/UDP 192.0.2.9", From="<sip:src@192.0.2.9>;tag=other")) is None


@pytest.mark.parametrize("table", [INVITE_TABLE, OTHER_TABLE])
def test_every_state_can_be_reached_and_ends(table) -> None:
    edges: dict[State, set[State]] = {}
    for (state, _), (then, _) in table.items():
        edges.setdefault(state, set()).add(then)
    reached, waiting = {State.PROCEEDING}, [State.PROCEEDING]
    while waiting:
        new = edges.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    assert set(edges) <= reached and State.TERMINATED in reached
    assert all((state, Event.LATE) in table for state in edges), "nothing is kept for ever"
