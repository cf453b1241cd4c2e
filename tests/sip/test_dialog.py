"""Dialogs: made by an INVITE, found by tags leniently, and the requests we send inside them."""

import pytest

from agent.sip.client import ClientTable
from agent.sip.dialog import Dialog, DialogTable, begin
from agent.sip.errors import SipError
from agent.sip.message import branch, parse, tag
from agent.sip.respond import respond
from agent.sip.timer import MIN_SE_S, SessionTimer, agree, fields
from agent.sip.transaction import LIFE_S, T1_S

SOURCE = ("192.0.2.9", 5060)


@pytest.fixture
def dialog(request_of) -> Dialog:
    invite = request_of(Record_Route="<sip:proxy.example;lr>", Allow="INVITE, update,BYE")
    return begin(invite, respond(invite, 200, SOURCE, to_tag="ours"), "ours", SOURCE)


def test_our_request_goes_back_the_way_the_invite_came(dialog: Dialog) -> None:
    bye = parse(bytes(dialog.request("BYE", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKus", {})))
    assert (tag(bye, "from"), tag(bye, "to")) == ("ours", "theirs")
    assert bye.uri == "sip:src@192.0.2.9:5060"
    assert bye.headers.get_first("route") == "<sip:proxy.example;lr>"
    assert bye.headers.get_first("cseq") == "1 BYE"
    assert dialog.next_hop == ("proxy.example", 5060) and dialog.peer_allows == {"INVITE", "UPDATE", "BYE"}


def test_without_a_contact_the_source_is_the_target(request_of) -> None:
    invite = request_of(drop=("Contact",))
    found = begin(invite, respond(invite, 200, SOURCE, to_tag="ours"), "ours", ("2001:db8::9", 5070))
    assert found.target == "sip:[2001:db8::9]:5070" and found.next_hop == ("2001:db8::9", 5070)


@pytest.mark.parametrize(
    ("to", "sender", "found"),
    [
        ("<sip:x>;tag=ours", "<sip:y>;tag=theirs", True),
        ("<sip:x>;tag=ours", "<sip:y>;tag=changed", True),
        ("<sip:x>", "<sip:y>;tag=theirs", True),
        ("<sip:x>;tag=lost", "<sip:y>;tag=theirs", True),
        ("<sip:x>;tag=lost", "<sip:y>;tag=changed", False),
    ],
)
def test_requests_are_placed_leniently(dialog: Dialog, request_of, to: str, sender: str, found: bool) -> None:
    table = DialogTable()
    table.add(dialog)
    assert (table.find(request_of("BYE", To=to, From=sender)) is dialog) is found
    assert table.find(request_of("BYE", To=to, From=sender, Call_ID="other")) is None
    table.remove(dialog)
    assert len(table) == 0 and table.find(request_of("BYE", To=to, From=sender)) is None


def test_response_is_as_the_rfc_wants_it(request_of) -> None:
    invite = request_of(Via="SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa, SIP/2.0/TCP b;branch=z9hG4bKb")
    answer = parse(bytes(respond(invite, 200, ("192.0.2.9", 1024), to_tag="ours")))
    top = answer.headers.get("via")[0]
    assert "rport=1024" in top and "received=192.0.2.9" in top
    assert branch(answer)[0] == "z9hG4bKa"
    assert tag(answer, "to") == "ours" and tag(answer, "from") == "theirs"
    kept = parse(bytes(respond(request_of(To="<sip:a>;tag=old"), 481, SOURCE, to_tag="new")))
    assert tag(kept, "to") == "old"


@pytest.mark.parametrize(
    ("headers", "interval", "peer_refreshes"),
    [
        ({"Supported": "timer", "Session_Expires": "600;refresher=uac"}, 600, True),
        ({"Supported": "timer", "Session_Expires": "600;refresher=uas"}, 600, False),
        ({"Session_Expires": "600"}, 600, True),
        ({"Supported": "timer", "Min_SE": "3600"}, 3600, True),
        ({"Supported": "timer"}, 1800, True),
        ({"Session_Expires": "20"}, MIN_SE_S, True),
        ({}, 0, True),
        ({"Session_Expires": "soon"}, 0, True),
    ],
)
def test_session_timer(request_of, headers: dict[str, str], interval: int, peer_refreshes: bool) -> None:
    timer = agree(request_of(**headers))
    assert (timer.interval_s, timer.peer_refreshes) == (interval, peer_refreshes)
    assert 0 <= timer.patience_s <= interval


def test_too_short_an_interval_is_refused_where_that_is_understood(request_of) -> None:
    with pytest.raises(SipError) as error:
        agree(request_of(Supported="timer", Session_Expires="60"))
    assert error.value.status == 422


def test_who_must_refresh_is_said(request_of) -> None:
    invite = request_of(Supported="timer", Require="siprec")
    assert fields(SessionTimer(600, True), invite) == {
        "Session-Expires": "600;refresher=uac",
        "Require": "siprec, timer",
    }
    assert "timer" not in fields(SessionTimer(600, False), invite)["Require"]


def test_our_requests_are_sent_until_answered() -> None:
    table = ClientTable()
    tx = table.send("z9hG4bKus", "BYE", b"bye", None, False, 0.0)
    assert table.due(T1_S - 0.01) == ([], []) and table.due(T1_S) == ([tx], [])
    ok = parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKus\r\nCSeq: 1 BYE\r\n\r\n")
    assert table.answered(ok) is tx and table.answered(ok) is None
    late = table.send("z9hG4bKtwo", "BYE", b"bye", None, True, 0.0)
    assert table.due(LIFE_S - 1) == ([], []) and table.due(LIFE_S) == ([], [late]) and len(table) == 0
