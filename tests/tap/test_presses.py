"""Presses inside a recording session: whose they are, who may, and that success means that the gate stands."""

import time
from concurrent.futures import Future

import pytest
from running_site import wait_for

from agent.config.presses import Keys
from agent.model.call import Consent
from agent.model.gate import AGENT_CAUSE, GateAnswer, GateCommand

KEYPAD = Keys(pause="*71", resume="*72", consent_given="1", consent_refused="2", consent_withdrawn="9")


def pressed(tap) -> list[tuple[str, str]]:
    """Verb and actor of each press."""
    return [(command.verb.value, command.actor) for command in tap.presses]


def dial(gateway, code, keys: str, cseq: int = 10, **headers: str) -> list[int]:
    """Keys by INFO, one after the other; the status of each."""
    kind = "application/dtmf-relay"
    bodies = [f"Signal={key}\nDuration=160\n" for key in keys]
    return [code(gateway.ask(gateway.write("INFO", cseq + n, b, kind, **headers))) for n, b in enumerate(bodies)]


def begin(tap, gateway, both, **headers: str):
    """A call of agent 201 with +33612345678 that gateway sends."""
    body, kind = both()
    gateway.invite(body=body, kind=kind, **headers)
    return wait_for("the call", lambda: next((e.call for e in tap.events if e.kind == "started"), None), 10)


def test_the_record_key_pauses_and_resumes(tap, gateway, both, code) -> None:
    call = begin(tap, gateway, both)
    assert code(gateway.ask(gateway.write("INFO", 2, Record="off"))) == 200
    assert code(gateway.ask(gateway.write("INFO", 3, Record="on"))) == 200
    assert pressed(tap) == [("pause", "agent:201"), ("resume", "agent:201"), ("keep", "agent:201")]
    assert {c.call_id for c in tap.presses} == {call.call_id}
    assert all(c.cause == AGENT_CAUSE and c.purpose is None and c.reaches_back and c.reason for c in tap.presses)


def test_success_is_said_when_the_gate_is_closed_and_nobody_else_waits(tap, gateway, make_gateway, both, code) -> None:
    begin(tap, gateway, both)
    tap.obeys = False
    press = gateway.write("INFO", 2, Record="off")
    gateway.say(press)
    wait_for("the press", lambda: tap.told or None, 10)
    gateway.say(press)  # and again: it is one press
    other = make_gateway(tap)
    assert code(other.ask(other.write("OPTIONS", 1))) == 200
    assert gateway.hear(0.3) is None, "no answer while the gate is open"
    assert len(tap.told) == 1
    _done(tap.told[0])
    assert code(gateway.hear() or "") == 200
    gateway.say(press)
    assert code(gateway.hear() or "") == 200, "a retransmission gets the answer again"
    assert len(tap.told) == 1


def test_a_gate_that_does_not_obey_is_failure(tap, gateway, both, code) -> None:
    begin(tap, gateway, both)
    tap.obeys = False
    before = time.monotonic()
    assert code(gateway.ask(gateway.write("INFO", 2, Record="off"))) == 500
    assert time.monotonic() - before >= 0.9
    _done(tap.told[0])  # too late to be told
    assert gateway.hear(0.3) is None
    gateway.say(gateway.write("INFO", 3, Record="on"))
    wait_for("both presses", lambda: len(tap.told) == 3 or None, 10)
    _done(tap.told[1])
    tap.told[2][1].set_exception(LookupError("no live call"))
    assert code(gateway.hear() or "") == 500, "half of it is not success"


def _done(told: tuple[GateCommand, Future[GateAnswer]]) -> None:
    told[1].set_result(GateAnswer(told[0].call_id, {}, (), 0, {}))


def test_only_who_is_in_the_dialog_may_press(tap, gateway, both, code) -> None:
    begin(tap, gateway, both)
    ours = gateway.to_tag
    for strange in ("", ";tag=guessed"):
        gateway.to_tag = strange
        assert code(gateway.ask(gateway.write("INFO", 2, Record="off"))) == 403
    gateway.to_tag = ours
    assert code(gateway.ask(gateway.write("INFO", 3, Record="perhaps"))) == 400
    gateway.call_id += "x"
    assert code(gateway.ask(gateway.write("INFO", 4, Record="off"))) == 481
    assert tap.presses == []


def test_a_press_that_was_overtaken_changes_nothing(tap, gateway, both, code) -> None:
    begin(tap, gateway, both)
    assert code(gateway.ask(gateway.write("INFO", 5, Record="off"))) == 200
    assert code(gateway.ask(gateway.write("INFO", 4, Record="on"))) == 500
    assert pressed(tap) == [("pause", "agent:201")]


def test_a_site_may_refuse_presses_by_info(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(info_presses=False)
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    assert code(gateway.ask(gateway.write("INFO", 2, Record="off"))) == 403
    assert dial(gateway, code, "*71", P_Asserted_Identity="<sip:201@pbx>") == [200, 200, 200]
    assert tap.told == []


def test_where_nobody_can_tell_which_agent_it_was_the_gateway_presses(tap, gateway, both, code) -> None:
    body, kind = both()
    gateway.invite(body=body.replace("+33612345678", "202"), kind=kind)  # 201 talks to 202
    gateway.ask(gateway.write("INFO", 2, Record="off"))
    assert pressed(tap) == [("pause", "gateway:127.0.0.1")]


def test_on_a_phone_fork_the_agent_is_whose_phone_forks(tap, gateway, code) -> None:
    """Two extensions talk to each other; the leg of either side presses for the one whose phone it is."""
    offer = "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8\na=sendonly\n"
    forks = b"<sip:2001@gw;x-farend;x-refci=7;x-nearendaddr=2001;x-farendaddr=2002>"
    invite = gateway.write("INVITE", 1, offer).replace(b"<sip:+33612345678@gw>", forks)
    assert code(gateway.ask(invite)) == 200
    gateway.say(gateway.write("ACK", 1))
    assert code(gateway.ask(gateway.write("INFO", 2, Record="off"))) == 200
    assert pressed(tap) == [("pause", "agent:2001")]


@pytest.mark.parametrize("who", ["201", "sip:201@pbx"])
def test_a_feature_code_by_info_of_the_agent(make_tap, make_gateway, both, code, who: str) -> None:
    tap = make_tap()
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    assert dial(gateway, code, "5*7*71", P_Asserted_Identity=f"<{who}>") == [200] * 6
    assert pressed(tap) == [("pause", "agent:201")]
    assert dial(gateway, code, "*72", 30, P_Asserted_Identity=f"<{who}>") == [200] * 3
    assert pressed(tap)[1:] == [("resume", "agent:201")]


def test_the_last_key_of_a_code_is_answered_when_the_gate_stands(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(info_keys="agent")
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    tap.obeys = False
    assert dial(gateway, code, "*71") == [200, 200, 500]
    assert pressed(tap) == [("pause", "agent:201")]


def test_a_customer_and_nobody_in_particular_press_no_feature_code(make_tap, make_gateway, both, code) -> None:
    tap = make_tap()
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    assert dial(gateway, code, "*71", P_Asserted_Identity="<sip:+33612345678@pbx>") == [200] * 3
    assert dial(gateway, code, "*71", 20) == [200] * 3, "the gateway does not say whose keys these are"
    assert tap.told == []
    assert dial(gateway, code, "*7", 30, P_Asserted_Identity="<sip:201@pbx>") == [200] * 2
    assert dial(gateway, code, "1", 40) == [200], "keys of two are no code"
    assert tap.presses == []


def test_keys_too_far_apart_are_no_code(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(info_keys="agent")
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    dial(gateway, code, "*7")
    tap.clock.ahead_s += 60
    dial(gateway, code, "1", 20)
    assert tap.told == []


def test_the_customers_choice_by_key(make_tap, make_gateway, both, code) -> None:
    tap = make_tap()
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    customer = {"P_Asserted_Identity": "<sip:+33612345678@pbx>"}
    assert dial(gateway, code, "1", 10, P_Asserted_Identity="<sip:201@pbx>") == [200], "not the agent's to say"
    assert tap.notes == []
    dial(gateway, code, "1", 20, **customer)
    dial(gateway, code, "2", 30, **customer)  # a menu's business: the choice was made
    tap.clock.ahead_s += 600
    dial(gateway, code, "9", 40, **customer)
    assert [(n.consent, n.actor, n.source) for n in tap.notes] == [
        (Consent.GIVEN, "gateway:127.0.0.1", "dtmf"),
        (Consent.WITHDRAWN, "gateway:127.0.0.1", "dtmf"),
    ]


def test_a_choice_that_comes_too_late_is_none(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(info_keys="customer")
    tap.use_keys(KEYPAD)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    tap.clock.ahead_s += 61
    assert dial(gateway, code, "1") == [200]
    assert tap.notes == []


def streams(both, version: int, one: str, two: str) -> str:
    """Description and metadata in which stream 1 and 2 have these directions."""
    body, _ = both(version)
    first, middle, last = body.split("a=sendonly")
    return f"{first}a={one}{middle}a={two}{last}"


def test_a_session_that_the_gateway_stops_is_paused_until_it_goes_on(tap, gateway, both, code) -> None:
    begin(tap, gateway, both)
    kind = both()[1]
    steps = [("inactive", "sendonly"), ("inactive", "inactive"), ("inactive", "inactive"), ("sendonly", "inactive")]
    told = []
    for version, (one, two) in enumerate(steps, 2):
        assert code(gateway.invite(version, streams(both, version, one, two), kind)) == 200
        told.append(pressed(tap))
    pause, resume = ("pause", "gateway:127.0.0.1"), ("resume", "gateway:127.0.0.1")
    assert told == [[], [pause], [pause], [pause, resume]]
    assert {(c.cause, c.reaches_back, c.purpose) for c in tap.presses} == {("siprec", False, None)}
    order = [e.kind for e in tap.events]
    assert order == ["started", "changed", "changed", "changed"]


def test_a_session_without_any_stream_left_is_paused(tap, gateway, both, code) -> None:
    begin(tap, gateway, both)
    body, kind = both(2)
    gone = body.replace("m=audio 40000", "m=audio 0").replace("m=audio 40002", "m=audio 0")
    assert code(gateway.invite(2, gone, kind)) == 200
    assert [verb for verb, _ in pressed(tap)] == ["pause"]


def test_a_session_that_begins_stopped_is_paused_from_the_start_and_after_a_restart(tap, gateway, both, code) -> None:
    gateway.invite(1, streams(both, 1, "inactive", "inactive"), both()[1])
    (started,) = tap.expect("started")
    assert [verb for verb, _ in pressed(tap)] == ["pause"]
    tap.restart([tap.srs.snapshot(started.call_id)])
    body, kind = both(2)
    assert code(gateway.invite(2, body, kind)) == 200
    assert [verb for verb, _ in pressed(tap)] == ["pause", "resume"]


def test_a_site_may_take_inactive_for_a_hold_and_no_more(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(inactive_pauses=False)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    assert code(gateway.invite(2, streams(both, 2, "inactive", "inactive"), both()[1])) == 200
    tap.expect("started", "changed")
    assert tap.presses == []


SAYS = {"consent_headers": "X-Consent", "tag_headers": ["X-Tags", "X-Campaign=campaign"]}


def test_consent_and_tags_of_the_first_invite_are_the_calls(make_tap, make_gateway, both) -> None:
    tap = make_tap(**SAYS)
    call = begin(tap, make_gateway(tap), both, X_Consent="Yes", X_Tags="vip", X_Campaign="gold")
    assert (call.consent, call.tags) == (Consent.GIVEN, ("campaign=gold", "vip"))
    assert tap.notes == []


def test_headers_that_are_not_configured_say_nothing(tap, gateway, both) -> None:
    call = begin(tap, gateway, both, X_Consent="yes", X_Tags="vip")
    assert (call.consent, call.tags) == (Consent.UNKNOWN, ())


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO"])
def test_consent_and_tags_said_later(make_tap, make_gateway, both, code, method: str) -> None:
    tap = make_tap(**SAYS)
    gateway = make_gateway(tap)
    call = begin(tap, gateway, both, X_Campaign="gold")
    body = both(2)[0] if method == "INVITE" else ""
    said = {"X_Consent": "withdrawn", "X_Tags": "vip", "X_Campaign": "silver"}
    assert code(gateway.ask(gateway.write(method, 2, body, "multipart/mixed;boundary=b", **said))) == 200
    (note,) = tap.notes
    assert (note.call_id, note.consent, note.queue) == (call.call_id, Consent.WITHDRAWN, None)
    assert (note.add_tags, note.remove_tags) == (("campaign=silver", "vip"), ("campaign=gold",))
    assert (note.actor, note.source) == ("gateway:127.0.0.1", "info" if method == "INFO" else "header")
    assert code(gateway.ask(gateway.write("INFO", 3, **said))) == 200
    assert len(tap.notes) == 1, "said once"
    tap.restart([tap.srs.snapshot(call.call_id)])
    assert code(gateway.ask(gateway.write("INFO", 4, **said))) == 200
    assert len(tap.notes) == 1, "and known after a restart"


def test_consent_by_info_is_answered_when_it_is_so_and_by_nobody_outside(make_tap, make_gateway, both, code) -> None:
    tap = make_tap(**SAYS)
    gateway = make_gateway(tap)
    begin(tap, gateway, both)
    ours, gateway.to_tag = gateway.to_tag, ""
    assert code(gateway.ask(gateway.write("INFO", 2, X_Consent="withdrawn"))) == 403
    assert tap.notes == []
    gateway.to_tag, tap.obeys = ours, False
    assert code(gateway.ask(gateway.write("INFO", 3, X_Consent="withdrawn"))) == 500
