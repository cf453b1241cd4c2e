"""Calls built from overheard SIP: what phones and a PBX say, messages missing, repeated, forked, moved and joined."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overheard import OTHER, PBX, PHONE, TRUNK, S, Talk, active, described, hear, kinds, listening
from structlog.testing import capture_logs

from agent.model.call import Codec, Direction, Role
from agent.model.events import CallChanged, CallEnded, CallKeyed, CallStarted
from agent.model.keys import KEY_NAMES
from agent.tap.span.message import Overheard
from agent.tap.span.strays import Heard, Stray
from agent.tap.span.watcher import LONGEST_SILENCE_NS, RINGING_NS, SILENT_NS


def test_a_call_from_invite_to_bye() -> None:
    talk, watcher = Talk(), listening()
    started, *rest = hear(watcher, talk.answered())
    assert isinstance(started, CallStarted) and rest == []
    call = started.call
    assert (call.tap, call.gateway, call.reference) == ("span", PBX, talk.call_id)
    assert call.started_ns == 104 * S and call.direction is Direction.OUTBOUND
    assert [(p.number, p.role) for p in call.parties] == [("201", Role.AGENT), ("+33612345678", Role.CUSTOMER)]
    assert not {p.participant_id for p in call.parties} & {"201", "+33612345678"}, "an id is no number"
    assert active(call) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}
    one, two = call.streams
    assert (one.channel, one.peer_host, one.peer_port, one.codec, one.payload_type) == (0, PHONE, 4000, Codec.PCMA, 8)
    assert (two.channel, two.peer_host, two.peer_port) == (1, PBX, 6000)
    assert [f.codec for f in two.formats] == [Codec.PCMA, Codec.TELEPHONE_EVENT, Codec.PCMU]
    assert watcher.live == 1
    (ended,) = hear(watcher, [talk.request("BYE", to="b", back=True, cseq=7)])
    assert ended == CallEnded(call.call_id, 106 * S, "bye") and watcher.live == 0


def test_everything_twice_is_the_same() -> None:
    """A mirror of two ports shows each packet twice; a copy of the INVITE after the end begins no call."""
    talk, watcher = Talk(), listening()
    messages = [*talk.answered(), talk.request("BYE", to="b", cseq=2)]
    doubled = [m for message in messages for m in (message, message)]
    assert kinds(hear(watcher, doubled)) == ["started", "ended"]
    assert hear(watcher, messages) == []


@pytest.mark.parametrize("missing", ["requests", "responses"])
def test_one_direction_is_enough_for_one_voice(missing: str) -> None:
    talk, watcher = Talk(), listening()
    messages = [m for m in talk.answered() if (m.data.startswith(b"SIP/2.0")) == (missing == "requests")]
    (started,) = hear(watcher, messages)
    assert isinstance(started, CallStarted)
    expected = {"201": (PBX, 6000)} if missing == "requests" else {"+33612345678": (PHONE, 4000)}
    assert active(started.call) == expected


def test_an_offer_that_comes_with_the_answer_is_answered_in_the_ack() -> None:
    talk, watcher = Talk(), listening()
    events = hear(
        watcher,
        [
            talk.request("INVITE"),
            talk.response(200, described(PBX, 6000)),
            talk.request("ACK", described(PHONE, 4000), to="b"),
        ],
    )
    assert kinds(events) == ["started", "changed"]
    assert active(events[-1]) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}


def test_early_media_is_heard_and_the_branch_that_answers_is_the_call() -> None:
    talk, watcher = Talk(), listening()
    events = hear(
        watcher,
        [
            talk.request("INVITE", described(PHONE, 4000)),
            talk.response(183, described(PBX, 6000), to="one"),
            talk.response(183, described(OTHER, 7000), to="two"),
            talk.response(200, "", to="one"),
        ],
    )
    assert kinds(events) == ["started", "changed", "changed"]
    assert [active(e.call if isinstance(e, CallStarted) else e)["201"] for e in events] == [
        (PBX, 6000),
        (OTHER, 7000),
        (PBX, 6000),
    ]
    assert {s.channel for s in events[-1].streams if s.participant_id == events[-1].parties[0].participant_id} == {0}


@pytest.mark.parametrize(("status", "cause"), [(486, "refused"), (487, "cancelled"), (603, "refused")])
def test_a_call_that_is_not_answered(status: int, cause: str) -> None:
    talk, watcher = Talk(), listening()
    ringing = [talk.request("INVITE", described(PHONE, 4000)), talk.response(183, described(PBX, 6000))]
    assert kinds(hear(watcher, ringing)) == ["started"]
    (ended,) = hear(watcher, [talk.response(status)])
    assert isinstance(ended, CallEnded) and ended.cause == cause
    other = Talk()
    assert hear(watcher, [other.request("INVITE", described(PHONE, 4002)), other.response(status)]) == []
    assert watcher.live == 0


def test_a_demand_for_a_password_is_not_the_end() -> None:
    talk, watcher = Talk(), listening()
    assert hear(watcher, [talk.request("INVITE", described(PHONE, 4000)), talk.response(407)]) == []
    again = [talk.request("INVITE", described(PHONE, 4000), cseq=2), talk.response(200, described(PBX, 6000), cseq=2)]
    assert kinds(hear(watcher, again)) == ["started"]


def test_hold_resume_and_a_refused_change() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    hold = [
        talk.request("INVITE", described(PHONE, 4000, more="a=sendonly\r\n"), to="b", cseq=2),
        talk.response(200, described(PBX, 6000, more="a=recvonly\r\n"), cseq=2),
    ]
    held = hear(watcher, hold)[-1]
    assert isinstance(held, CallChanged) and set(active(held)) == {"201"}
    resume = [
        talk.request("INVITE", described(PHONE, 4000), to="b", cseq=3),
        talk.response(200, described(PBX, 6000), cseq=3),
    ]
    resumed = hear(watcher, resume)[-1]
    assert set(active(resumed)) == {"201", "+33612345678"} and len(resumed.streams) == 2
    refused = [
        talk.request("INVITE", described(PBX, 6002), to="b", cseq=9, back=True),
        talk.response(488, cseq=9, back=True),
    ]
    after = hear(watcher, refused)[-1]
    assert active(after) == active(resumed), "what was refused does not count"


def test_a_new_address_and_codec_in_the_middle() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    events = hear(
        watcher,
        [
            talk.request("INVITE", described(OTHER, 4400, "0"), to="b", cseq=2),
            talk.response(200, described(PBX, 6000, "0"), cseq=2),
        ],
    )
    last = events[-1]
    assert active(last) == {"201": (PBX, 6000), "+33612345678": (OTHER, 4400)}
    moved = next(s for s in last.streams if s.port == 4400)
    assert moved.channel == 1 and moved.codec is Codec.PCMU and moved.stream == 2
    assert next(s for s in last.streams if s.port == 4000).active is False


def test_two_sides_of_a_pbx_are_one_call_by_a_header_and_heard_once() -> None:
    inside = Talk(headers="X-Call-ID: abc;x=1\r\n")
    outside = Talk(a=PBX, b=TRUNK, headers="X-Call-ID: abc\r\n", at_s=100)
    watcher = listening()
    first, second = inside.answered(), outside.answered()
    events = hear(watcher, [m for pair in zip(first, second, strict=True) for m in pair])
    started = [e for e in events if isinstance(e, CallStarted)]
    assert len(started) == 1 and watcher.live == 1
    assert active(started[0].call) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}
    assert hear(watcher, [inside.request("BYE", to="b", cseq=2)])[-1].kind == "changed"
    (ended,) = hear(watcher, [outside.request("BYE", to="b", cseq=2)])
    assert isinstance(ended, CallEnded)
    assert kinds(hear(listening(merge_headers=()), [*Talk(headers="X-Call-ID: q\r\n").answered()])) == ["started"]


def test_calls_without_a_common_header_stay_two() -> None:
    watcher = listening()
    assert kinds(hear(watcher, [*Talk().answered(), *Talk(a=PBX, b=TRUNK).answered()])) == ["started", "started"]
    assert watcher.live == 2


def test_a_blind_transfer_is_the_same_call_with_another_party() -> None:
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered())
    hear(watcher, [talk.request("REFER", to="b", cseq=5, back=True, more="Refer-To: <sip:202@10.0.0.1>\r\n")])
    other = Talk(caller="201", called="202", a=PHONE, b=OTHER, at_s=talk.at_s)
    events = hear(watcher, [talk.request("BYE", to="b", cseq=6, back=True), *other.answered()])
    assert "started" not in kinds(events)
    last = [e for e in events if isinstance(e, CallChanged)][-1]
    assert last.call_id == started.call_id
    assert active(last) == {"201": (OTHER, 6000), "202": (PHONE, 4000)}
    parties = {p.number: p for p in last.parties}
    assert parties["+33612345678"].left_ns is not None and parties["202"].joined_ns > parties["201"].joined_ns
    channels = {s.participant_id: s.channel for s in last.streams}
    assert channels[parties["201"].participant_id] == 0 and len(set(channels.values())) == 3


def test_a_dialog_that_replaces_another_belongs_to_it() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    more = f"Replaces: {talk.call_id};to-tag=b;from-tag=a\r\n"
    other = Talk(caller="203", called="201", a=OTHER, b=PHONE, at_s=talk.at_s)
    events = hear(
        watcher,
        [
            other.request("INVITE", described(OTHER, 4400), more=more),
            other.response(200, described(PHONE, 4002)),
            talk.request("BYE", to="b", cseq=2),
        ],
    )
    assert "started" not in kinds(events) and "ended" not in kinds(events) and watcher.live == 1
    assert active(events[-1]) == {"203": (PHONE, 4002), "201": (OTHER, 4400)}


def test_an_address_belongs_to_who_named_it_last() -> None:
    """A BYE was lost, the phone takes its next call at the same port: nothing of it may become part of the old one."""
    watcher = listening()
    (old,) = hear(watcher, Talk().answered())
    events = hear(watcher, Talk(called="+33700000000", at_s=200).answered())
    assert kinds(events) == ["ended", "started"] and events[0].call_id == old.call_id
    assert watcher.live == 1


def test_who_is_not_believed_and_who_is_not_wanted() -> None:
    talk = Talk(a="192.0.2.1")
    heard = hear(listening(), talk.answered())
    assert all(set(active(e.call)) == {"201"} for e in heard if isinstance(e, CallStarted)), "only our side's answer"
    assert hear(listening(extensions=("3*",)), Talk().answered()) == []
    assert kinds(hear(listening(extensions=("2*",)), Talk().answered())) == ["started"]


def test_calls_that_end_unheard_are_ended() -> None:
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered())
    identity, now = started.call_id, talk.at_s * S
    assert watcher.expire(now + SILENT_NS * 2, {identity: now + SILENT_NS * 3 // 2}.get) == []
    assert watcher.expire(now + SILENT_NS * 2) == [], "nobody says when media came last"
    (ended,) = watcher.expire(now + SILENT_NS * 2, {identity: now}.get)
    assert isinstance(ended, CallEnded) and ended.cause == "no-media"
    other = Talk()
    hear(watcher, [other.request("INVITE", described(PHONE, 4002))])
    assert watcher.expire(other.at_s * S + RINGING_NS + S) == [] and hear(watcher, [other.response(200)]) == []
    held = Talk()
    hear(
        watcher,
        [*held.answered(), held.request("INVITE", described(PHONE, 4000, more="a=inactive\r\n"), to="b", cseq=2)],
    )
    assert watcher.expire(held.at_s * S + SILENT_NS * 5, {}.get) == []
    assert kinds(watcher.expire(held.at_s * S + LONGEST_SILENCE_NS + S, {}.get)) == ["ended"]


def test_a_restart_goes_on_with_the_dialog() -> None:
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered())
    fresh = listening()
    fresh.restore(watcher.snapshot(started.call_id))
    with pytest.raises(ValueError):
        fresh.restore(watcher.snapshot(started.call_id))
    assert watcher.snapshot("0" * 32) == b""
    with pytest.raises(ValueError):
        fresh.restore(b"{}")
    (changed,) = hear(fresh, [talk.request("INVITE", described(PHONE, 4400), to="b", cseq=2)])
    assert active(changed)["+33612345678"] == (PHONE, 4400)
    assert kinds(hear(fresh, [talk.request("BYE", to="b", cseq=3)])) == ["ended"]


def test_packets_that_nat_moved_are_found_and_never_given_to_two() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    now = talk.at_s * S + 5 * S
    stray = Stray(("203.0.113.7", 31000), (PBX, 6000), 77, 8, 50)
    (changed,) = watcher.adopt([stray], {(PBX, 6000): Heard(5, now)}.get, now)
    assert isinstance(changed, CallChanged)
    assert active(changed) == {"201": (PBX, 6000), "+33612345678": ("203.0.113.7", 31000)}
    assert {s.channel for s in changed.streams if s.participant_id == changed.parties[1].participant_id} == {1}
    refreshed = [
        talk.request("UPDATE", to="b", cseq=3),
        talk.response(200, cseq=3, method="UPDATE"),
        talk.request("INVITE", described(PHONE, 4000), to="b", cseq=4),
        talk.response(200, described(PBX, 6000, "8 101"), cseq=4),
    ]
    assert hear(watcher, refreshed) == [], "what says the same again moves nothing back"
    twice = [stray, Stray(("203.0.113.8", 31000), (PBX, 6000), 78, 8, 50)]
    other = listening()
    hear(other, Talk().answered())
    assert other.adopt(twice, {}.get, now) == [], "two might be it"
    assert other.adopt([Stray(("203.0.113.7", 31000), (PBX, 6000), 77, 8, 3)], {}.get, now) == [], "too few"
    assert other.adopt([Stray(("203.0.113.7", 31000), (OTHER, 6000), 77, 8, 50)], {}.get, now) == [], "a stranger"
    heard = {(PHONE, 4000): Heard(9, now - 3 * S)}
    assert other.adopt([Stray(("10.0.0.55", 4), (PBX, 6100), 9, 8, 50)], heard.get, now), (
        "the same SSRC goes on elsewhere"
    )


def test_the_other_voice_is_found_where_only_one_description_was_heard() -> None:
    """Symmetric RTP: who hears at PBX:6000 sends from there, to where the other side's description, not heard, says."""
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered()[1:])
    assert active(started.call) == {"201": (PBX, 6000)}
    now = talk.at_s * S + 5 * S
    (changed,) = watcher.adopt([Stray((PHONE, 4000), (PBX, 6000), 77, 8, 50)], {(PBX, 6000): Heard(5, now)}.get, now)
    assert active(changed) == {"201": (PBX, 6000), "+33612345678": (PHONE, 4000)}
    again = listening()
    again.restore(watcher.snapshot(started.call.call_id))
    assert hear(again, [talk.request("UPDATE", to="b", cseq=3)]) == []
    two = [Stray((PHONE, 4000), (PBX, 6000), 77, 8, 50), Stray((OTHER, 4000), (PBX, 6000), 78, 8, 50)]
    other = listening()
    hear(other, Talk().answered()[1:])
    assert other.adopt(two, {}.get, now) == [], "two might be it"


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0, 0.5), st.booleans())
def test_any_order_loss_and_repetition_is_survived(rng: random.Random, loss: float, shuffled: bool) -> None:
    watcher = listening()
    talks = [Talk(), Talk(a=PBX, b=TRUNK, headers="X-Call-ID: 9\r\n"), Talk(a=OTHER, headers="X-Call-ID: 9\r\n")]
    messages = []
    for talk in talks:
        messages += talk.answered()
        messages += [
            talk.request("REFER", to="b", cseq=2, more="Refer-To: <sip:202@x>\r\n"),
            talk.request("INVITE", described(talk.a, 4000, more="a=inactive\r\n"), to="b", cseq=3),
            talk.response(200, described(talk.b, 6000), cseq=3),
            talk.request("BYE", to="b", cseq=4),
            talk.request("CANCEL"),
        ]
    heard = [m for m in messages for _ in range(rng.choice([1, 1, 2])) if rng.random() >= loss]
    if shuffled:
        rng.shuffle(heard)
    live: dict[str, str] = {}
    for event in [*hear(watcher, heard), *watcher.expire(10**15, {}.get)]:
        before = live.get(event.call_id)
        assert before != "ended" and (before is None) == isinstance(event, CallStarted)
        live[event.call_id] = event.kind
    assert set(live.values()) <= {"ended"} and watcher.live == 0
    assert not any(kept for name, kept in vars(watcher.known).items() if name != "_merge_headers")


def test_a_flood_of_invites_is_bounded() -> None:
    watcher = listening(max_calls=10)
    for n in range(500):
        hear(watcher, [Talk(at_s=n).request("INVITE", described(PHONE, 4000))])
    assert len(watcher._heard_ns) <= 40
    assert hear(watcher, [Overheard(1, "udp", (PHONE, 5060), (PBX, 5060), bytes(range(256)))]) == []
    assert watcher.garbage == 1


def test_a_call_on_hold_gives_its_address_to_the_next_and_takes_it_back() -> None:
    talk, watcher = Talk(), listening()
    (first,) = hear(watcher, talk.answered())
    hear(watcher, [talk.request("INVITE", described(PHONE, 4000, more="a=inactive\r\n"), to="b", cseq=2)])
    hear(watcher, [talk.response(200, described(PBX, 6000, more="a=inactive\r\n"), cseq=2)])
    asked = Talk(called="202", b=OTHER, at_s=talk.at_s)
    (second,) = hear(watcher, asked.answered())
    assert isinstance(second, CallStarted) and second.call_id != first.call_id and watcher.live == 2
    assert kinds(hear(watcher, [asked.request("BYE", to="b", cseq=2)])) == ["ended"]
    back = hear(watcher, [talk.request("INVITE", described(PHONE, 4000), to="b", cseq=3)])
    back += hear(watcher, [talk.response(200, described(PBX, 6000), cseq=3)])
    assert {e.call_id for e in back} == {first.call_id} and set(active(back[-1])) == {"201", "+33612345678"}
    assert kinds(hear(watcher, [talk.request("BYE", to="b", cseq=4)])) == ["ended"] and watcher.live == 0


def test_an_address_that_a_call_has_left_is_another_calls() -> None:
    talk, watcher = Talk(), listening()
    (first,) = hear(watcher, talk.answered())
    hear(watcher, [talk.request("INVITE", described(OTHER, 4400), to="b", cseq=2)])
    hear(watcher, [talk.response(200, described(PBX, 6000), cseq=2)])
    events = hear(watcher, Talk(caller="203", called="204", b=TRUNK, at_s=talk.at_s).answered())
    assert kinds(events) == ["started"] and watcher.live == 2
    (ended,) = hear(watcher, [talk.request("BYE", to="b", cseq=3)])
    assert ended.call_id == first.call_id


def test_a_pbx_that_passes_descriptions_on_shows_one_call_twice() -> None:
    inside, outside, watcher = Talk(), Talk(a=PBX, b=TRUNK), listening()
    legs = [(inside, (PHONE, 4000), (TRUNK, 6000)), (outside, (PHONE, 4000), (TRUNK, 6000))]
    events = []
    for talk, caller, _ in legs:
        events += hear(watcher, [talk.request("INVITE", described(*caller))])
    for talk, _, called in reversed(legs):
        events += hear(watcher, [talk.response(200, described(*called)), talk.request("ACK", to="b")])
    assert kinds(events).count("started") == 1 and "ended" not in kinds(events) and watcher.live == 1
    refreshed = hear(watcher, [inside.request("INVITE", described(PHONE, 4000), to="b", cseq=2)])
    refreshed += hear(watcher, [inside.response(200, described(TRUNK, 6000), cseq=2)])
    assert "started" not in kinds(refreshed) and "ended" not in kinds(refreshed)
    hear(watcher, [outside.request("BYE", to="b", cseq=2)])
    assert kinds(hear(watcher, [inside.request("BYE", to="b", cseq=3)])) == ["ended"] and watcher.live == 0


def test_the_same_ssrc_from_another_host_is_a_stranger() -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, talk.answered())
    now = talk.at_s * S + 5 * S
    heard = {(PHONE, 4000): Heard(9, now - 3 * S), (PBX, 6000): Heard(8, now)}
    assert watcher.adopt([Stray(("10.0.0.40", 4), (OTHER, 1), 9, 8, 50)], heard.get, now) == []


def test_calls_for_which_there_is_no_room_are_counted_once_and_may_begin_later() -> None:
    watcher, first, second = listening(max_calls=1), Talk(), Talk(a=OTHER, b=TRUNK)
    hear(watcher, first.answered())
    assert hear(watcher, second.answered()) == [] and watcher.refused == 1
    hear(watcher, [first.request("BYE", to="b", cseq=2)])
    again = second.request("INVITE", described(OTHER, 4000), to="b", cseq=2)
    assert kinds(hear(watcher, [again])) == ["started"] and watcher.refused == 1


def test_media_that_is_encrypted_is_said_once_a_call_and_never_taken_for_sound() -> None:
    def secure(message: Overheard) -> Overheard:
        return replace(message, data=message.data.replace(b"RTP/AVP", b"RTP/SAVP").replace(b"Content-Length", b"X"))

    talk, watcher = Talk(), listening()
    with capture_logs() as logs:
        assert hear(watcher, [secure(message) for message in talk.answered()]) == []
        hear(watcher, [secure(talk.request("INVITE", described(PHONE, 4000), to="b", cseq=2))])
        hear(watcher, Talk(a=OTHER, b=TRUNK).answered())
    assert [line["gateway"] for line in logs if line["event"] == "span.encrypted"] == [PBX]
    assert watcher.encrypted == 1 and watcher.live == 1


def keys_of(events, call) -> list[tuple[str, str]]:
    """Who pressed what."""
    numbers = {p.participant_id: p.number for p in call.parties}
    assert all(isinstance(one, CallKeyed) and one.call_id == call.call_id for one in events)
    return [(numbers[one.participant_id], KEY_NAMES[one.event]) for one in events]


def other_hop(message: Overheard) -> Overheard:
    """The same message, as a proxy sends it on (RFC 3261 §16.6)."""
    return replace(message, data=message.data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKproxy"))


def test_keys_by_info_are_whose_side_sent_them_and_count_once_however_often_they_are_seen() -> None:
    talk, watcher = Talk(), listening()
    (started,) = hear(watcher, talk.answered())
    keys = [talk.info("*", 2), talk.info("7", 3), talk.info("1", 2, back=True), talk.info("16", 4)]
    seen = [copy for key in keys for copy in (key, other_hop(key), key)]
    told = hear(watcher, [*seen, talk.response(200, cseq=3, method="INFO"), keys[0], talk.info("D", 5)])
    assert keys_of(told, started.call) == [("201", "*"), ("201", "7"), ("+33612345678", "1"), ("201", "D")]
    assert told[0].at_ns == keys[0].at_ns


def test_keys_that_a_pbx_tells_on_both_its_dialogs_count_once() -> None:
    common = "X-Call-ID: 7f3a9c\r\n"
    phone, trunk = Talk(headers=common), Talk(a=PBX, b=TRUNK, headers=common, at_s=110)
    watcher = listening()
    started, *_ = hear(watcher, [*phone.answered(), *trunk.answered()])
    both = [talk.info(key, 2 + n) for n, key in enumerate("*71") for talk in (phone, trunk)]
    assert [key for _, key in keys_of(hear(watcher, both), started.call)] == list("*71")
    answers = [talk.info("2", 2, back=True) for talk in (trunk, phone)]
    assert keys_of(hear(watcher, answers), started.call) == [("+33612345678", "2")]
    hear(watcher, [phone.request("BYE", to="b", cseq=9)])
    assert keys_of(hear(watcher, [trunk.info("9", 20)]), started.call) == [("201", "9")], "only that one is left"


@pytest.mark.parametrize("body", [b"Signal=77", b"", b"\xff" * 400, b"Signal=!"])
def test_an_info_that_tells_of_no_key_does_nothing(body: bytes) -> None:
    talk, watcher = Talk(), listening()
    hear(watcher, [*talk.answered()])
    bad = talk.info("5", 2)
    assert hear(watcher, [replace(bad, data=bad.data.replace(b"Signal=5\r\nDuration=160\r\n", body))]) == []
    other, early = Talk(), Talk()
    assert hear(watcher, [other.info("5", 2)]) == [], "of no dialog we know"
    assert hear(watcher, [early.request("INVITE", described(PHONE, 4100)), early.info("5", 2)]) == []
    assert watcher.garbage <= 1
