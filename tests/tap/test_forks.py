"""Two plain calls of one conversation become one call of two channels (S04), and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Direction, Role
from agent.sip.message import parse
from agent.tap.siprec.forks import Side, parameters, read

HEADERS = ("x-refci", "Cisco-Guid", "Session-ID")
OFFER = "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP {codec}\na={flow}\n"


def sender(side: str, refci: str = "27298698", near: str = "2001", far: str = "+33612345678") -> str:
    """A From value as Unified CM writes it."""
    said = f"x-{side}end;x-refci={refci};x-nearendclusterid=site;x-nearenddevice=SEP2834A28318CE;x-nearendaddr={near}"
    said += f";x-farendrefci=27298699;x-farendclusterid=site;x-farenddevice=trunk;x-farendaddr={far}"
    return f'"Recording" <sip:{near}@10.1.1.5;{said}>'


def invite(*lines: str) -> bytes:
    head = [
        "INVITE sip:r@h SIP/2.0",
        "Via: SIP/2.0/UDP a;branch=z9hG4bKa",
        "To: <sip:r@h>",
        "Call-ID: a",
        "CSeq: 1 INVITE",
    ]
    return "\r\n".join([*head, *lines, "", ""]).encode()


def leg(gateway, side: str, cseq: int = 1, codec: int = 8, flow: str = "sendonly", body: str | None = None, **who: str):
    """INVITE (and ACK) of one side."""
    offer = OFFER.format(codec=codec, flow=flow) if body is None else body

    def written(method: str, text: str = "") -> bytes:
        data = gateway.write(method, cseq, text)
        return data.replace(b"<sip:+33612345678@gw>", sender(side, **who).encode())

    answer = gateway.ask(written("INVITE", offer))
    gateway.say(written("ACK"))
    return answer


@pytest.mark.parametrize("first", ["near", "far"])
def test_two_sides_are_one_call_whichever_comes_first(tap, make_gateway, code, first: str) -> None:
    second = "far" if first == "near" else "near"
    legs = {side: make_gateway(tap) for side in (first, second)}
    for side in (first, second):
        assert code(leg(legs[side], side)) == 200
    started, joined = tap.expect("started", "changed")
    assert {p.number: p.role for p in started.call.parties} == {"2001": Role.AGENT, "+33612345678": Role.CUSTOMER}
    assert started.call.direction is joined.direction is Direction.UNKNOWN and joined.parties == started.call.parties
    assert {s.participant_id: s.channel for s in joined.streams} == {"near": 0, "far": 1}
    assert all(s.active for s in joined.streams) and tap.srs.live == 1
    assert code(legs[first].ask(legs[first].write("BYE", 2))) == 200
    _, _, half = tap.expect("started", "changed", "changed")
    assert {s.participant_id: s.active for s in half.streams} == {first: False, second: True} and len(tap.media) == 1
    assert code(legs[second].ask(legs[second].write("BYE", 2))) == 200
    assert tap.expect("started", "changed", "changed", "ended")[-1].call_id == started.call_id
    assert tap.media == {} and tap.srs.live == 0


def test_hold_of_one_side_leaves_the_other_and_a_transfer_names_the_new_party(tap, make_gateway) -> None:
    near, far = make_gateway(tap), make_gateway(tap)
    leg(near, "near"), leg(far, "far")
    leg(near, "near", 2, flow="inactive")
    *_, held = tap.expect("started", "changed", "changed")
    assert {s.participant_id: s.active for s in held.streams} == {"near": False, "far": True}
    leg(far, "far", 2, far="2002", codec=0)
    *_, moved = tap.expect("started", *["changed"] * 3)
    assert [(p.number, p.left_ns is None) for p in moved.parties] == [
        ("2001", True),
        ("+33612345678", False),
        ("2002", True),
    ]
    assert {s.participant_id: (s.channel, s.codec) for s in moved.streams} == {
        "near": (0, "PCMA"),
        "far-2": (1, "PCMU"),
    }
    leg(near, "near", 3)  # its From is that of before the transfer: it undoes nothing
    *_, resumed = tap.expect("started", *["changed"] * 4)
    assert resumed.parties == moved.parties and all(s.active for s in resumed.streams)


def test_without_an_offer_each_side_gets_one_of_ours(tap, make_gateway) -> None:
    near, far = make_gateway(tap), make_gateway(tap)
    reply = OFFER.format(codec=0, flow="sendonly")
    for gateway, side in ((near, "near"), (far, "far")):
        invited = gateway.write("INVITE", 1).replace(b"<sip:+33612345678@gw>", sender(side).encode())
        assert gateway.ask(invited).count("m=audio") == 1
    assert tap.events == []
    near.say(near.write("ACK", 1, reply))
    (started,) = tap.expect("started")
    assert {s.channel for s in started.call.streams} == {0, 1}
    far.say(far.write("ACK", 1, reply))
    _, changed = tap.expect("started", "changed")
    assert {s.codec for s in changed.streams} == {"PCMU"}


def test_what_is_no_second_side_is_a_call_of_its_own(make_tap, make_gateway) -> None:
    tap = make_tap(max_calls=4)
    gateways = [make_gateway(tap) for _ in range(6)]
    leg(gateways[0], "near"), leg(gateways[1], "near")  # the same side twice
    leg(gateways[2], "far")
    leg(gateways[3], "far")  # a third and fourth of one key
    assert tap.srs.live == 3
    offer = OFFER.format(codec=8, flow="sendonly")
    gateways[4].invite(body=offer, Cisco_Guid="5")
    tap.clock.ahead_s = 11
    answer = gateways[5].invite(body=offer, Cisco_Guid="5")
    assert answer.startswith("SIP/2.0 503"), "too late to join, and max_calls counts calls"
    assert tap.srs.live == 4


def test_the_same_reference_of_one_phone_joins_however_late(tap, make_gateway) -> None:
    leg(make_gateway(tap), "near")
    tap.clock.ahead_s = 600
    leg(make_gateway(tap), "far")
    tap.expect("started", "changed")


def test_gateways_that_use_the_same_key_are_never_mixed(tap, make_gateway) -> None:
    for host, side in (("127.0.0.1", "near"), ("127.0.0.2", "far"), ("127.0.0.2", "near"), ("127.0.0.1", "far")):
        leg(make_gateway(tap, host=host), side)
    one, two, *joined = tap.expect("started", "started", "changed", "changed")
    assert [one.call.gateway, two.call.gateway] == ["127.0.0.1", "127.0.0.2"]
    assert [e.call_id for e in joined] == [two.call_id, one.call_id] and one.call_id != two.call_id


def test_nobody_says_who_called_and_a_call_between_agents_is_internal(tap, make_gateway) -> None:
    leg(make_gateway(tap), "near", far="2002")
    (started,) = tap.expect("started")
    assert started.call.direction is Direction.INTERNAL


def test_a_key_that_is_used_again_after_the_end_is_another_call(tap, make_gateway, code) -> None:
    for side in ("near", "far"):
        gateway = make_gateway(tap)
        leg(gateway, side)
        assert code(gateway.ask(gateway.write("BYE", 2))) == 200
    first, _, second, _ = tap.expect("started", "ended", "started", "ended")
    assert first.call_id != second.call_id and tap.media == {}


def test_a_second_side_joins_when_max_calls_is_reached(make_tap, make_gateway, code) -> None:
    tap = make_tap(max_calls=1)
    assert code(leg(make_gateway(tap), "near")) == code(leg(make_gateway(tap), "far")) == 200
    assert code(leg(make_gateway(tap), "far", refci="6")) == 503


def test_a_header_that_both_repeat_is_enough(tap, make_gateway) -> None:
    for _ in range(2):
        make_gateway(tap).invite(body=OFFER.format(codec=8, flow="sendonly"), Cisco_Guid="1-2-3-4")
    _, joined = tap.expect("started", "changed")
    assert [s.channel for s in joined.streams] == [0, 1]


def test_both_dialogs_go_on_after_a_restart(tap, make_gateway, code) -> None:
    near, far = make_gateway(tap), make_gateway(tap)
    leg(near, "near"), leg(far, "far")
    started, _ = tap.expect("started", "changed")
    tap.restart([tap.srs.snapshot(started.call_id)])
    leg(far, "far", 2, flow="inactive")
    *_, held = tap.expect("started", "changed", "changed")
    assert {s.participant_id: s.active for s in held.streams} == {"near": True, "far": False}
    for gateway in (far, near):
        assert code(gateway.ask(gateway.write("BYE", 3))) == 200
    tap.expect("started", *["changed"] * 3, "ended")
    assert tap.media == {}


def test_the_second_side_joins_after_a_restart(tap, make_gateway) -> None:
    leg(make_gateway(tap), "near")
    (started,) = tap.expect("started")
    tap.restart([tap.srs.snapshot(started.call_id)])
    leg(make_gateway(tap), "far")
    _, joined = tap.expect("started", "changed")
    assert joined.call_id == started.call_id and [s.channel for s in joined.streams] == [0, 1]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"From: {sender('near')};tag=1"], ("x-refci:site:27298698", Side.NEAR, "2001", "+33612345678")),
        (["From: <sip:2001@h>;X-FarEnd;X-RefCI=\"7\";x-farendaddr=5;tag=1"], ("x-refci::7", Side.FAR, "2001", "5")),
        (["From: <sip:1@h>;tag=1", "Contact: <sip:1@h;x-nearend;x-refci=9>"], ("x-refci::9", Side.NEAR, "1", "")),
        (["From: \"a <b>;x-refci=1\" <sip:1@h>;tag=1"], None),
        (["From: <sip:1@h>;tag=1", "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=" + "0" * 32], None),
    ],
)  # fmt: skip
def test_the_forms_that_gateways_write(lines: list[str], expected) -> None:
    fork = read(parse(invite(*lines)), HEADERS)
    assert (fork and (fork.key, fork.side, fork.near, fork.far)) == expected


@given(st.text(max_size=300))
def test_any_header_is_read_without_an_error(value: str) -> None:
    parameters(value)


TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789.-+", min_size=1, max_size=20)


@given(st.dictionaries(TOKEN.map(lambda t: "x-" + t.lower()), TOKEN, max_size=8), st.booleans(), st.booleans())
def test_parameters_are_found_inside_and_outside_and_quoted(said: dict[str, str], inside: bool, quoted: bool) -> None:
    text = "".join(f';{k.upper()}="{v}"' if quoted else f";{k}={v}" for k, v in said.items())
    assert parameters(f'"x; y=1" <sip:1@h{text if inside else ""}>{"" if inside else text}') == said


def test_a_second_side_that_is_settled_first_begins_the_call(tap, make_gateway, code) -> None:
    """The near end offers nothing and ends before it has answered our offer: what the far end says is recorded."""
    near, far = make_gateway(tap), make_gateway(tap)
    assert code(near.ask(near.write("INVITE", 1).replace(b"<sip:+33612345678@gw>", sender("near").encode()))) == 200
    leg(far, "far")
    (started,) = tap.expect("started")
    assert any(s.active for s in started.call.streams)
    assert code(near.ask(near.write("BYE", 2))) == 200
    assert code(far.ask(far.write("BYE", 2))) == 200
    assert tap.kinds()[-1] == "ended" and tap.media == {}
