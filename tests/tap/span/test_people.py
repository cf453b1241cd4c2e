"""Who takes part in an overheard call, by what headers and transfers say of it."""

from urllib.parse import quote

import pytest
from overheard import OTHER, PBX, PHONE, TRUNK, Talk, active, described, hear, kinds, listening

from agent.model.call import Direction, Role
from agent.model.events import CallChanged, CallStarted


def test_a_caller_that_withholds_its_number_is_a_customer() -> None:
    talk = Talk("anonymous", "201", PBX, PHONE)
    (started,) = hear(listening(), talk.answered())
    assert isinstance(started, CallStarted)
    assert started.call.direction is Direction.INBOUND
    assert [p.role for p in started.call.parties] == [Role.CUSTOMER, Role.AGENT]


def test_an_extension_in_from_is_believed_more_than_the_number_of_the_house() -> None:
    """Many PBX assert the public number of the house for every extension."""
    talk = Talk(headers="P-Asserted-Identity: <sip:+33140000000@pbx>\r\n")
    (started,) = hear(listening(), talk.answered())
    assert [p.number for p in started.call.parties] == ["201", "+33612345678"]


def test_the_number_asserted_stands_for_one_withheld() -> None:
    talk = Talk("anonymous", "201", PBX, PHONE, headers="P-Asserted-Identity: <sip:+33612345678@pbx>\r\n")
    (started,) = hear(listening(), talk.answered())
    assert [p.number for p in started.call.parties] == ["+33612345678", "201"]


def test_who_answers_for_a_group_is_known_by_the_answer() -> None:
    talk, watcher = Talk("+33612345678", "600600", PBX, PHONE), listening()
    hear(watcher, [talk.request("INVITE", described(PBX, 7000))])
    more = "P-Asserted-Identity: <sip:203@pbx>\r\n"
    (started,) = hear(watcher, [talk.response(200, described(PHONE, 4000), more=more)])
    assert [p.number for p in started.call.parties] == ["+33612345678", "203"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_pbx_that_connects_somebody_else_says_so(method: str) -> None:
    """An attended transfer as the phone that stays sees it: a re-INVITE or UPDATE with another identity, no REFER."""
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    more = "P-Asserted-Identity: <sip:+33700000000@pbx>\r\n"
    events = hear(
        watcher,
        [
            talk.request(method, described(PBX, 6100, "8 101"), to="b", cseq=5, back=True, more=more),
            talk.response(200, described(PHONE, 4000), cseq=5, method=method, back=True),
        ],
    )
    last = events[-1]
    assert isinstance(last, CallChanged)
    assert active(last) == {"201": (PBX, 6100), "+33700000000": (PHONE, 4000)}
    left = {p.number: p.left_ns is not None for p in last.parties}
    assert left == {"201": False, "+33612345678": True, "+33700000000": False}


def test_an_attended_transfer_goes_on_as_the_call_that_was_transferred() -> None:
    """RFC 5589 §7: 201 talks to a customer, asks 202, and refers the customer to 202 in place of itself."""
    customer = Talk("+33612345678", "201", TRUNK, PHONE)
    consult = Talk("201", "202", PHONE, OTHER, at_s=110)
    watcher = listening()
    (first,) = hear(watcher, customer.answered())
    hold = customer.request("INVITE", described(PHONE, 6000, "8 101", "a=sendonly\r\n"), to="b", cseq=5, back=True)
    held = customer.response(200, described(TRUNK, 4000, "8 0 101", "a=recvonly\r\n"), cseq=5, back=True)
    hear(watcher, [hold, held])
    (second,) = hear(
        watcher,
        [
            consult.request("INVITE", described(PHONE, 4002)),
            consult.response(200, described(OTHER, 6200, "8 101")),
            consult.request("ACK", to="b"),
        ],
    )
    replaces = f"{consult.call_id};to-tag=b;from-tag=a"
    named = f"Refer-To: <sip:202@{OTHER}?Replaces={quote(replaces)}>\r\n"
    customer.at_s = consult.at_s
    refer = customer.request("REFER", to="b", cseq=6, back=True, more=named)
    final = Talk("+33612345678", "202", TRUNK, OTHER, at_s=customer.at_s)
    events = hear(
        watcher,
        [
            refer,
            final.request("INVITE", described(TRUNK, 4004), more=f"Replaces: {replaces}\r\n"),
            final.response(200, described(OTHER, 6202, "8 101")),
            consult.request("BYE", to="b", cseq=9, back=True),
            customer.request("BYE", to="b", cseq=7, back=True),
        ],
    )
    assert kinds(events).count("started") == 0
    assert [e.call_id for e in events if e.kind == "ended"] == [second.call_id]
    last = [e for e in events if e.call_id == first.call_id][-1]
    assert active(last) == {"+33612345678": (OTHER, 6202), "202": (TRUNK, 4004)}


def test_an_answer_in_a_prack() -> None:
    """RFC 3262 §5: the offer comes in the reliable 183, its answer in the PRACK."""
    talk, watcher = Talk(), listening()
    events = hear(
        watcher,
        [
            talk.request("INVITE"),
            talk.response(183, described(PBX, 6000)),
            talk.request("PRACK", described(PHONE, 4000, "8 101"), to="b", cseq=2),
            talk.response(200, cseq=2, method="PRACK"),
            talk.response(200),
            talk.request("ACK", to="b"),
        ],
    )
    assert kinds(events)[0] == "started" and kinds(events).count("started") == 1
    last = events[-1]
    call = last.call if isinstance(last, CallStarted) else last
    assert active(call) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}


def test_compact_names_are_understood() -> None:
    talk = Talk()
    short = [
        (b"Via:", b"v:"),
        (b"From:", b"f:"),
        (b"To:", b"t:"),
        (b"Call-ID:", b"i:"),
        (b"Content-Type:", b"c:"),
        (b"Content-Length:", b"l:"),
    ]
    messages = []
    for message in talk.answered():
        data = message.data
        for long, compact in short:
            data = data.replace(long, compact)
        messages.append(type(message)(message.at_ns, "udp", message.source, message.destination, data))
    (started,) = hear(listening(), messages)
    assert active(started.call) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}
