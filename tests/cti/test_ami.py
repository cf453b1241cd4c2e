"""Asterisk Manager Interface: the same events however they are cut; log-in; what each event says.

Transcripts are after docs.asterisk.org: "AMI v2 Specification", "AMI Actions: Challenge, Login, Ping", "AMI Events:
UserEvent, MixMonitorMute, AgentConnect, DTMFEnd, VarSet".
"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cti.ami import MAX_HEADERS, MAX_LINE, AmiDialogue, AmiReader
from agent.cti.dialogue import Credentials
from agent.cti.inbox import PeerError
from agent.cti.words import Words, channel_user
from agent.model.call import Consent
from agent.model.cti import CallOf, ContextSaid, PressSaid, Unclear
from agent.model.gate import GateVerb

BANNER = b"Asterisk Call Manager/7.0.3\r\n"
CREDENTIALS = Credentials("greffier", "s3cret")


def event(
    name: str, *lines: str, channel: str = "PJSIP/201-0000001a", caller: str = "201", other: str = "0612"
) -> bytes:
    """An event with the snapshot of its channel."""
    snapshot = [f"Channel: {channel}", "ChannelState: 6", f"CallerIDNum: {caller}", f"ConnectedLineNum: {other}"]
    return "\r\n".join([f"Event: {name}", "Privilege: user,all", *snapshot, "Exten: *1", *lines]).encode() + b"\r\n\r\n"


PAUSE = event("UserEvent", "UserEvent: Greffier", "Action: pause", "Extension: 201", "Reason: card number")
RESUME = event("UserEvent", "UserEvent: Greffier", "Action: resume", "Extension: 201")


def logged_in(section, over_tls: bool = False) -> AmiDialogue:
    dialogue = AmiDialogue(Words(section), CREDENTIALS, over_tls)
    list(dialogue.feed(BANNER, 0))
    list(dialogue.feed(b"Response: Success\r\nActionID: greffier-1\r\nChallenge: 840415273\r\n\r\n", 0))
    answer = b"Response: Success\r\nActionID: greffier-2\r\nMessage: Authentication accepted\r\n\r\n"
    list(dialogue.feed(answer, 0))
    assert dialogue.ready
    return dialogue


def said(section, *events: bytes) -> list:
    dialogue = logged_in(section)
    return [one for now_s, data in enumerate(events) for one in dialogue.feed(data, float(now_s))]


@given(st.lists(st.sampled_from([PAUSE, RESUME]), max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_any_cut_gives_the_same_messages(events: list[bytes], cuts: list[int]) -> None:
    stream, reader, got, at = BANNER + b"".join(events), AmiReader(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        got += reader.feed(stream[at : at + size])
        at += size
    assert [m.get("action") for m in got] == ["pause" if e is PAUSE else "resume" for e in events]
    assert all(m.get("ChannelState") == "6" for m in got)


@given(st.binary(max_size=3000), st.booleans())
def test_garbage_is_refused_or_ignored_and_never_kept(data: bytes, greeted: bool) -> None:
    reader = AmiReader()
    try:
        list(reader.feed((BANNER if greeted else b"") + data))
    except PeerError:
        return
    assert reader.pending <= MAX_LINE


@pytest.mark.parametrize(
    "flood",
    [b"A" * (MAX_LINE + 2), b"A: b\r\n" * (MAX_HEADERS + 1), (b"A: " + b"b" * 8000 + b"\r\n") * 40],
    ids=["line", "headers", "message"],
)
def test_an_endless_message_ends_the_connection(flood: bytes) -> None:
    reader = AmiReader()
    list(reader.feed(BANNER))
    with pytest.raises(PeerError, match="more than"):
        list(reader.feed(flood))


def test_who_is_no_asterisk_is_told_nothing() -> None:
    with pytest.raises(PeerError, match="banner"):
        list(AmiReader().feed(b"220 mail.example.net ESMTP\r\n"))


def test_a_pause_before_what_cannot_be_followed_counts(section) -> None:
    dialogue, got = logged_in(section("ami")), []
    with pytest.raises(PeerError):
        for one in dialogue.feed(PAUSE + b"A" * (MAX_LINE + 2), 0):
            got.append(one)
    assert got == [PressSaid(CallOf("201"), GateVerb.PAUSE, True, None, "card number")]


def test_the_secret_itself_is_never_sent_where_all_can_read_it(section) -> None:
    dialogue = AmiDialogue(Words(section("ami")), CREDENTIALS, over_tls=False)
    (challenge,) = dialogue.feed(BANNER, 0)
    assert challenge == b"Action: Challenge\r\nActionID: greffier-1\r\nAuthType: MD5\r\n\r\n"
    (login,) = dialogue.feed(b"Response: Success\r\nActionID: greffier-1\r\nChallenge: 840415273\r\n\r\n", 0)
    assert f"Key: {hashlib.md5(b'840415273s3cret').hexdigest()}\r\n".encode() in login
    assert b"Events: user,call,agent\r\n" in login and b"s3cret" not in login
    with pytest.raises(PeerError, match="refused"):
        list(dialogue.feed(b"Response: Error\r\nActionID: greffier-2\r\nMessage: Authentication failed\r\n\r\n", 0))
    assert not dialogue.ready

    without = b"Response: Error\r\nActionID: greffier-1\r\nMessage: Must specify AuthType\r\n\r\n"
    dialogue = AmiDialogue(Words(section("ami")), CREDENTIALS, over_tls=False)
    list(dialogue.feed(BANNER, 0))
    with pytest.raises(PeerError, match="without TLS"):
        list(dialogue.feed(without, 0))
    dialogue = AmiDialogue(Words(section("ami")), CREDENTIALS, over_tls=True)
    list(dialogue.feed(BANNER, 0))
    (login,) = dialogue.feed(without, 0)
    assert b"Secret: s3cret\r\n" in login


def test_answers_are_told_by_their_action_and_events_before_the_log_in_mean_nothing(section) -> None:
    dialogue = AmiDialogue(Words(section("ami")), CREDENTIALS, over_tls=False)
    list(dialogue.feed(BANNER, 0))
    foreign = b"Response: Success\r\nActionID: greffier-9\r\nChallenge: 1\r\n\r\n"
    assert [one for one in dialogue.feed(foreign + PAUSE, 0) if one] == []
    dialogue = logged_in(section("ami"))
    assert dialogue.ping() == b"Action: Ping\r\nActionID: greffier-3\r\n\r\n"
    with pytest.raises(PeerError, match="not answered"):
        for _ in range(20):
            dialogue.ping()


def test_a_user_event_of_the_agent_and_one_of_the_dialplan(section) -> None:
    by_dialplan = event(
        "UserEvent", "UserEvent: Greffier", "Action: pause", channel="PJSIP/trunk-00000003", caller="0612"
    )
    assert said(section("ami"), PAUSE, by_dialplan, by_dialplan.replace(b"0612\r\nExten", b"202\r\nExten")) == [
        PressSaid(CallOf("201"), GateVerb.PAUSE, True, None, "card number"),
        PressSaid(CallOf(), GateVerb.PAUSE, False),
        PressSaid(CallOf("202"), GateVerb.PAUSE, False),
    ]


def test_context_by_user_event_and_what_is_unclear(section) -> None:
    tagged = event("UserEvent", "UserEvent: Greffier", "Action: tag", "Call: x@y", "Tag: vip lang=fr", "Tag: late")
    agreed = event("UserEvent", "UserEvent: Greffier", "Action: consent", "Consent: given", "Queue: sales")
    assert said(section("ami"), tagged, agreed) == [
        ContextSaid(CallOf(reference="x@y"), None, ("vip", "lang=fr", "late")),
        ContextSaid(CallOf("201"), "sales", (), (), Consent.GIVEN),
    ]
    for wrong in ("Action: puase", "Action: consent", "Action: tag", "Reason: x"):
        (unclear,) = said(section("ami"), event("UserEvent", "UserEvent: Greffier", wrong))
        assert isinstance(unclear, Unclear), wrong
    assert said(section("ami"), event("UserEvent", "UserEvent: Billing", "Action: pause")) == []
    others = section("ami", presses={"StopRec": "pause"})
    assert said(others, event("UserEvent", "UserEvent: StopRec", "Extension: 201"))[0].verb is GateVerb.PAUSE


def test_muting_the_recording_of_asterisk_pauses_ours_until_both_directions_are_heard_again(section) -> None:
    def mute(direction: str, state: int) -> bytes:
        return event("MixMonitorMute", f"Direction: {direction}", f"State: {state}")

    events = [mute("read", 1), mute("write", 1), mute("read", 0), mute("both", 0)]
    assert [(one.verb.value, one.by_agent) for one in said(section("ami"), *events)] == [
        ("pause", False), ("pause", False), ("pause", False), ("resume", False),
    ]  # fmt: skip
    assert said(section("ami", obey=["press"]), *events) == []
    assert said(section("ami"), mute("both", 1).replace(b"201", b"301")) == [], "of nobody of ours"


def test_a_caller_that_shows_an_agents_number_turns_nothing_onto_that_agents_call(section) -> None:
    shown = [
        "Direction: both",
        "State: 1",
        "Channel: PJSIP/trunk-0000002a",
        "CallerIDNum: 202",
        "ConnectedLineNum: 201",
    ]
    mute = b"\r\n".join([b"Event: MixMonitorMute", *(line.encode() for line in shown)]) + b"\r\n\r\n"
    assert said(section("ami"), mute) == [], "two agents are shown: nobody can tell"
    (pause,) = said(section("ami"), mute.replace(b"202", b"+33612345678"))
    assert pause.call.extension == "201"
    of_call = mute.removesuffix(b"\r\n") + b"ChanVariable: SIPCALLID=leg@trunk\r\n\r\n"
    for shown in (of_call, of_call.replace(b"202", b"+33612345678"), of_call.replace(b"201", b"+33612345678")):
        (pause,) = said(section("ami"), shown)
        assert pause.call == CallOf(reference="leg@trunk"), "the call is named: no number decides"
    (pause,) = said(section("ami"), of_call.replace(b"trunk-0000002a", b"203-0000002a"))
    assert pause.call == CallOf("203"), "the agent's own telephone"


def test_who_serves_a_queue(section) -> None:
    lines = ["DestChannel: PJSIP/trunk-00000001", "Queue: sales", "Interface: Local/202@agents/n", "MemberName: Marie"]
    connected = event("AgentConnect", *lines, channel="PJSIP/trunk-00000002", caller="0612")
    assert said(section("ami"), connected) == [ContextSaid(CallOf("202"), "sales")]
    assert said(section("ami"), connected.replace(b"AgentConnect", b"AgentCalled")) == [], "may never have the call"
    joined = event(
        "QueueCallerJoin", "Queue: sales", "ChanVariable: SIPCALLID=abc@pbx", channel="PJSIP/t-00000002", caller="0"
    )
    assert said(section("ami"), joined) == [ContextSaid(CallOf(reference="abc@pbx"), "sales")]


def test_channel_variables_are_tags(section) -> None:
    some = section("ami", tags={"CAMPAIGN": "campaign"}, queue_variable="Q", consent_variable="OK")
    assert said(
        some,
        event("VarSet", "Variable: CAMPAIGN", "Value: spring sale"),
        event("VarSet", "Variable: CARD", "Value: 4970"),
        event("VarSet", "Variable: Q", "Value: sales"),
        event("VarSet", "Variable: OK", "Value: refused"),
    ) == [
        ContextSaid(CallOf("201"), None, ("campaign=spring_sale",)),
        ContextSaid(CallOf("201"), "sales"),
        ContextSaid(CallOf("201"), consent=Consent.REFUSED),
    ]


def test_keys_count_in_time_and_only_on_the_agent_s_telephone(section) -> None:
    some = section("ami", feature_codes={"*1": "pause", "*2": "resume"})

    def key(digit: str, channel: str = "PJSIP/201-0000001a") -> bytes:
        return event("DTMFEnd", f"Digit: {digit}", "DurationMs: 100", "Direction: Received", channel=channel)

    assert said(some, key("*"), key("1")) == [PressSaid(CallOf("201"), GateVerb.PAUSE, True, None, "feature code")]
    customer = "PJSIP/trunk-00000001"
    assert said(some, key("*", customer), key("1", customer)) == []
    slow = logged_in(some)
    assert [*slow.feed(key("*"), 0.0), *slow.feed(key("1"), 60.0)] == []
    assert said(section("ami"), key("*"), key("1")) == [], "not configured"


@pytest.mark.parametrize(
    ("channel", "user"),
    [
        ("PJSIP/201-0000001a", "201"),
        ("Local/201@from-queue-0000001a;1", "201"),
        ("SIP/desk-201-0000001a", "desk-201"),
        ("PJSIP/201", "201"),
        ("nonsense", ""),
        ("PJSIP/" + "2" * 300, ""),
    ],
)
def test_whose_channel(channel: str, user: str) -> None:
    assert channel_user(channel) == user
