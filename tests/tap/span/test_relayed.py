"""What a mirror port sees twice in other words: hops of a proxy, legs of a PBX, copies that come late."""

from dataclasses import replace

import pytest
from overheard import OTHER, PBX, PHONE, TRUNK, S, Talk, active, described, hear, kinds, listening

from agent.model.call import Role
from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.tap.span.message import Overheard
from agent.tap.span.watcher import RINGING_NS


def relayed(message: Overheard, sdp: tuple[str, str] | None = None) -> Overheard:
    """The copy of a message on the other side of a proxy: another branch on top, other ends, perhaps other media."""
    text = message.data.decode().replace("branch=z9hG4bK", "branch=z9hG4bKhop2")
    if sdp is not None:
        head, _, body = text.partition("\r\n\r\n")
        body = body.replace(*sdp)
        text = head.split("Content-Length")[0] + f"Content-Length: {len(body)}\r\n\r\n{body}"
    over = {PHONE: PBX, PBX: OTHER}
    source, destination = (over[host] for host, _ in (message.source, message.destination))
    return Overheard(message.at_ns + 1, "udp", (source, 5060), (destination, 5060), text.encode())


def replaced(message: Overheard, old: bytes, new: bytes) -> Overheard:
    """The same with other words in it."""
    assert old in message.data
    return replace(message, data=message.data.replace(old, new))


def test_a_proxy_that_relays_media_is_heard_on_one_hop() -> None:
    talk, watcher = Talk(), listening()
    invite = talk.request("INVITE", described(PHONE, 4000))
    answer = talk.response(200, described(PBX, 7002))
    far = relayed(answer, (f"{PBX}\r\n", f"{OTHER}\r\n"))
    ack, bye = talk.request("ACK", to="b"), talk.request("BYE", to="b", cseq=2)
    events = hear(watcher, [invite, relayed(invite, (PHONE, PBX)), far, answer, ack, relayed(ack), bye, relayed(bye)])
    assert kinds(events) == ["started", "ended"]
    assert isinstance(events[0], CallStarted)
    assert active(events[0].call) == {"201": (PBX, 7002), "+33612345678": (PHONE, 4000)}


def test_a_fork_that_the_proxy_cancels_is_not_the_call() -> None:
    talk, watcher = Talk(), listening()
    invite = talk.request("INVITE", described(PHONE, 4000))
    cancel = relayed(talk.request("CANCEL"))
    refused = relayed(talk.response(487))
    nack = replaced(relayed(talk.request("ACK", to="lost")), b"hop21ACK", b"hop21INVITE")
    answer = talk.response(200, described(PBX, 6000))
    events = hear(watcher, [invite, relayed(invite), cancel, refused, nack, answer])
    assert kinds(events) == ["started"]


def test_an_answer_that_crosses_a_cancel_is_a_call() -> None:
    talk, watcher = Talk(), listening()
    invite, cancel = talk.request("INVITE", described(PHONE, 4000)), talk.request("CANCEL")
    assert hear(watcher, [invite, cancel]) == []
    assert kinds(hear(watcher, [talk.response(200, described(PBX, 6000))])) == ["started"]


def test_a_cancelled_call_whose_end_is_not_seen_ends_soon() -> None:
    talk, watcher = Talk(), listening()
    early = talk.request("INVITE", described(PHONE, 4000)), talk.response(183, described(PBX, 6000))
    assert kinds(hear(watcher, [*early, talk.request("CANCEL")])) == ["started"]
    (ended,) = watcher.expire(talk.at_s * S + 40 * S)
    assert isinstance(ended, CallEnded) and ended.cause == "cancelled"


def test_an_ack_of_a_refusal_begins_nothing() -> None:
    talk, watcher = Talk(), listening()
    events = hear(
        watcher,
        [
            talk.request("INVITE", described(PHONE, 4000)),
            talk.response(407),
            replaced(talk.request("ACK", to="b"), b"bK1ACK", b"bK1INVITE"),
            talk.request("ACK", to="b"),
        ],
    )
    assert events == []
    again = talk.request("INVITE", described(PHONE, 4000), cseq=2), talk.response(200, described(PBX, 6000), cseq=2)
    assert kinds(hear(watcher, again)) == ["started"]


def test_a_fork_answered_too_late_is_hung_up_and_the_call_goes_on() -> None:
    talk, watcher = Talk(), listening()
    events = hear(watcher, [*talk.answered(), talk.response(200, described(OTHER, 6100), to="late")])
    assert kinds(events) == ["started"]
    assert hear(watcher, [talk.request("ACK", to="late"), talk.request("BYE", to="late", cseq=2)]) == []
    assert watcher.live == 1
    assert kinds(hear(watcher, [talk.request("BYE", to="b", cseq=3)])) == ["ended"]


def test_a_copy_that_comes_late_changes_nothing() -> None:
    talk, watcher = Talk(), listening()
    hold = talk.request("INVITE", described(PHONE, 4000, more="a=sendonly\r\n"), to="b", cseq=2)
    held = talk.response(200, described(PBX, 6000, "8 101", more="a=recvonly\r\n"), cseq=2)
    resume = talk.request("INVITE", described(PHONE, 4000), to="b", cseq=3)
    resumed = talk.response(200, described(PBX, 6000, "8 101"), cseq=3)
    events = hear(watcher, [*talk.answered(), hold, held, resume, resumed])
    assert kinds(events) == ["started", "changed", "changed"]
    assert hear(watcher, [hold, held, resumed, resume]) == []


@pytest.mark.parametrize("status", [200, 481])
def test_the_answer_to_a_bye_is_enough(status: int) -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    (ended,) = hear(watcher, [talk.response(status, cseq=9, method="BYE", back=True)])
    assert isinstance(ended, CallEnded) and ended.cause == "bye"


def test_a_bye_that_wants_a_password_does_not_end_the_call_twice() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    assert hear(watcher, [talk.response(407, cseq=9, method="BYE", back=True)]) == []
    assert watcher.live == 1


@pytest.mark.parametrize("status", [408, 481])
def test_a_dialog_that_is_no_more_has_ended(status: int) -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, [*talk.answered(), talk.request("INVITE", described(PHONE, 4000), to="b", cseq=2)])
    assert kinds(hear(watcher, [talk.response(status, cseq=2)])) == ["ended"]


def test_the_agent_is_known_on_the_leg_where_its_number_is() -> None:
    """From the trunk to a number of the site, from the PBX to the extension: one call, the agent's voice its own."""
    header = "X-Call-ID: 7f3a9c\r\n"
    trunk = Talk("+33612345678", "+33140000000", TRUNK, PBX, headers=header)
    phone = Talk("+33612345678", "201", PBX, PHONE, headers=header, at_s=102)
    watcher = listening()
    events = hear(
        watcher,
        [
            trunk.request("INVITE", described(TRUNK, 8000)),
            phone.request("INVITE", described(PBX, 7000)),
            phone.response(200, described(PHONE, 4000)),
            trunk.response(200, described(PBX, 7002)),
        ],
    )
    assert [e for e in events if isinstance(e, CallStarted)] == events[:1]
    last = events[-1]
    assert isinstance(last, CallStarted | CallChanged)
    call = last.call if isinstance(last, CallStarted) else last
    assert active(call) == {"+33612345678": (PHONE, 4000), "201": (PBX, 7000)}
    spoken = {p.role for p in call.parties for s in call.streams if s.active and s.participant_id == p.participant_id}
    assert spoken == {Role.AGENT, Role.CUSTOMER}


def test_legs_of_one_call_id_are_one_call() -> None:
    a = Talk("201", "202", PHONE, PBX)
    b = Talk("201", "202", PBX, OTHER, call_id=a.call_id, at_s=102)
    second = b.request("INVITE", described(PBX, 7000)), b.response(200, described(OTHER, 6000))
    second = [replaced(m, b"tag=a", b"tag=q") for m in second]
    events = hear(listening(), [a.request("INVITE", described(PHONE, 4000)), *second, *a.answered()[3:]])
    assert kinds(events).count("started") == 1


def test_a_flood_that_nobody_answers_keeps_no_call_out() -> None:
    watcher = listening(max_calls=10)
    hear(watcher, [Talk().request("INVITE", described(PHONE, 4000)) for _ in range(500)])
    assert kinds(hear(watcher, Talk().answered())) == ["started"]


def test_a_restart_waits_for_packets_before_it_calls_a_call_silent() -> None:
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered())
    again = listening()
    again.restore(watcher.snapshot(started.call_id))
    later = talk.at_s * S + 1800 * S
    assert again.expire(later, {}.get) == [], "half an hour into the call, and nothing heard since the restart yet"
    assert kinds(again.expire(later + 300 * S, {}.get)) == ["ended"]


def test_after_a_restart_the_other_leg_still_joins() -> None:
    header = "X-Call-ID: 7f3a9c\r\n"
    phone = Talk("201", "202", PHONE, PBX, headers=header)
    watcher, again = listening(), listening()
    (started,) = hear(watcher, phone.answered())
    again.restore(watcher.snapshot(started.call_id))
    far = Talk("201", "202", PBX, OTHER, headers=header, at_s=110)
    assert "started" not in kinds(hear(again, far.answered()))


def test_what_is_kept_of_a_description_is_little() -> None:
    many = "".join(f"m=audio {5000 + n} RTP/AVP {' '.join(map(str, range(128)))}\r\n" for n in range(15))
    talk, watcher = Talk(), listening()
    hear(watcher, [talk.request("INVITE", described(PHONE, 4000, more=many))])
    (started,) = hear(watcher, [talk.response(200, described(PBX, 6000))])
    assert len(watcher.snapshot(started.call_id)) < 20_000
    assert watcher.expire(talk.at_s * S + RINGING_NS + S) == []
