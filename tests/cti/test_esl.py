"""FreeSWITCH event socket: the same events however they are cut; log-in; what each event says.

Transcripts are after developer.signalwire.com/freeswitch, "mod_event_socket" (auth, userauth, event json), "Events",
"mod_callcenter", and conf/vanilla/autoload_configs/event_socket.conf.xml.
"""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.cti import Cti
from agent.cti.dialogue import Credentials
from agent.cti.esl import MAX_BODY, MAX_HEADERS, MAX_LINE, EslDialogue, EslReader
from agent.cti.inbox import PeerError
from agent.cti.words import Words
from agent.model.call import Consent
from agent.model.cti import CallOf, ContextSaid, PressSaid
from agent.model.gate import GateVerb

AUTH = b"Content-Type: auth/request\n\n"
LEG = {
    "Unique-ID": "0aa1-uuid",
    "Call-Direction": "outbound",
    "Channel-Name": "sofia/internal/201@10.0.0.5",
    "Caller-Caller-ID-Number": "0612",
    "Other-Type": "originator",
    "Other-Leg-Unique-ID": "0cc3-uuid",
}


def envelope(kind: str, body: bytes) -> bytes:
    return f"Content-Length: {len(body)}\nContent-Type: {kind}\n\n".encode() + body


def event(name: str, **fields: str) -> bytes:
    """As `event json` sends it; `_` in a name stands for `-`."""
    named = {key.replace("__", "\0").replace("_", "-").replace("\0", "_"): value for key, value in fields.items()}
    return envelope("text/event-json", json.dumps({"Event-Name": name, **LEG, **named}).encode())


def plain(name: str, **fields: str) -> bytes:
    """As `event plain` sends it: values are URL-encoded."""
    named = {"Event-Name": name, **LEG, **{key.replace("_", "-"): value for key, value in fields.items()}}
    return envelope("text/event-plain", "".join(f"{k}: {quote(v)}\n" for k, v in named.items()).encode() + b"\n")


PAUSE = event("CUSTOM", Event_Subclass="greffier::pause", Greffier_Extension="201", Greffier_Reason="card number")


def said(section, *events: bytes) -> list:
    dialogue = EslDialogue(Words(section), Credentials("", "ClueCon"))
    assert list(dialogue.feed(AUTH, 0)) == [b"auth ClueCon\n\n"]
    (subscription,) = dialogue.feed(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n", 0)
    assert subscription.startswith(b"event json ") and subscription.endswith(b"\n\n")
    list(dialogue.feed(b"Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n", 0))
    assert dialogue.ready
    return [one for data in events for one in dialogue.feed(data, 0)]


@given(st.lists(st.sampled_from([AUTH, PAUSE]), max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_any_cut_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    stream, reader, got, at = b"".join(messages), EslReader(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        got += reader.feed(stream[at : at + size])
        at += size
    assert [bool(m.body) for m in got] == [m is PAUSE for m in messages]
    assert all(json.loads(m.body)["Event-Subclass"] == "greffier::pause" for m in got if m.body)


@given(st.binary(max_size=3000))
def test_garbage_is_refused_or_ignored_and_never_kept(data: bytes) -> None:
    dialogue = EslDialogue(any_words(), Credentials("", "ClueCon"))
    try:
        list(dialogue.feed(data, 0))
    except PeerError:
        return
    assert dialogue._reader.pending <= MAX_BODY


def any_words() -> Words:
    return Words(Cti(kind="esl", address="127.0.0.1:8021", agents="2*", credentials_file="none"))


@pytest.mark.parametrize(
    "flood",
    [
        b"A" * (MAX_LINE + 1),
        b"A: b\n" * (MAX_HEADERS + 1),
        f"Content-Length: {MAX_BODY + 1}\n\n".encode(),
        b"Content-Length: -1\n\n",
        envelope("text/event-json", b"[" * 100_000),
        envelope("text/event-json", b"[1]"),
        envelope("text/event-json", json.dumps({str(n): "" for n in range(3000)}).encode()),
    ],
    ids=["line", "headers", "body", "length", "depth", "array", "fields"],
)
def test_what_cannot_be_followed_ends_the_connection(section, flood: bytes) -> None:
    with pytest.raises(PeerError):
        said(section("esl"), flood)


def test_log_in_by_user_and_refusals(section) -> None:
    dialogue = EslDialogue(Words(section("esl", obey=["press"])), Credentials("greffier@pbx", "s3cret"))
    assert list(dialogue.feed(AUTH, 0)) == [b"userauth greffier@pbx:s3cret\n\n"]
    (events,) = dialogue.feed(b"Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-LOG: no\n\n", 0)
    assert events.startswith(b"event json CUSTOM greffier::pause greffier::resume ")
    assert dialogue.ping() == b""
    with pytest.raises(PeerError, match="esl-allowed-events"):
        list(dialogue.feed(b"Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n", 0))
    for refusal in (
        b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n",
        envelope("text/rude-rejection", b"Access Denied, go away.\n"),
        envelope("text/disconnect-notice", b"Disconnected, goodbye.\n"),
    ):
        dialogue = EslDialogue(Words(section("esl")), Credentials("", "s3cret"))
        with pytest.raises(PeerError) as why:
            list(dialogue.feed(AUTH + refusal, 0))
        assert "s3cret" not in str(why.value) and not dialogue.ready


def test_presses_and_call_data_as_json_and_as_text(section) -> None:
    expected = [PressSaid(CallOf("201"), GateVerb.PAUSE, True, None, "card number")]
    text = plain("CUSTOM", Event_Subclass="greffier::pause", Greffier_Extension="201", Greffier_Reason="card number")
    assert said(section("esl"), PAUSE) == expected == said(section("esl"), text)
    by_dialplan = event("CUSTOM", Event_Subclass="greffier::resume")
    agreed = event("CUSTOM", Event_Subclass="greffier::consent", Greffier_Consent="given", Greffier_Tag="vip")
    assert said(section("esl"), by_dialplan, agreed) == [
        PressSaid(CallOf("201"), GateVerb.RESUME, False),
        ContextSaid(CallOf("201"), None, ("vip",), (), Consent.GIVEN),
    ]
    assert said(section("esl"), event("CUSTOM", Event_Subclass="other::pause")) == []
    other = section("esl", presses={"shop::pay": "pause"})
    assert said(other, event("CUSTOM", Event_Subclass="shop::pay"))[0] == PressSaid(
        CallOf("201"), GateVerb.PAUSE, False
    )


def test_masking_the_recording_of_freeswitch_pauses_ours(section) -> None:
    def by_command(word: str, channel: str = "0aa1-uuid") -> bytes:
        line = f"{channel} {word} /var/rec/x.wav"
        body = {"Event-Name": "API", "API-Command": "uuid_record", "API-Command-Argument": line}
        return envelope("text/event-json", json.dumps(body).encode())

    def by_dialplan(application: str) -> bytes:
        return event("CHANNEL_EXECUTE", Application=application, Application_Data="/var/rec/x.wav")

    got = said(
        section("esl"),
        by_command("mask"),  # of a channel that nobody has told of
        event("CHANNEL_ANSWER"),
        by_command("mask"),
        by_command("unmask"),
        by_command("stop"),
        by_command("mask", "another"),
        by_dialplan("record_session_mask"),
        by_dialplan("record_session_unmask"),
        by_dialplan("record_session"),
    )
    assert [(one.call.extension, one.verb.value, one.by_agent) for one in got] == [
        ("201", verb, False) for verb in ("pause", "resume", "pause", "resume")
    ]
    assert said(section("esl", obey=["press"]), by_dialplan("record_session_mask")) == []


CALLER = {
    "Unique_ID": "0cc3-uuid",
    "Call_Direction": "inbound",
    "Channel_Name": "sofia/external/202@customer.example",  # FreeSWITCH names it after the From of the caller
    "Caller_Caller_ID_Number": "202",
    "Other_Type": "originatee",
    "Other_Leg_Unique_ID": "0aa1-uuid",
}


def test_a_caller_that_shows_an_agents_number_turns_nothing_onto_that_agents_call(section) -> None:
    def masked(**more: str) -> bytes:
        return event("CHANNEL_EXECUTE", Application="record_session_mask", **CALLER | more)

    def meant(*events: bytes) -> list[CallOf]:
        return [one.call for one in said(section("esl"), *events)]

    assert meant(masked()) == [], "the caller alone says so"
    assert meant(masked(Caller_Callee_ID_Number="201")) == [], "two agents are shown: nobody can tell"
    assert meant(masked(Caller_Destination_Number="203")) == []
    assert meant(masked(variable__sip__call__id="leg@trunk", Caller_Callee_ID_Number="201")) == [
        CallOf(reference="leg@trunk")
    ]
    honest = {"Caller_Caller_ID_Number": "0612", "Caller_Callee_ID_Number": "201"}
    assert meant(masked(variable__sip__call__id="leg@trunk", **honest)) == [CallOf(reference="leg@trunk")]
    assert meant(masked(**honest)) == [CallOf("201")]
    assert meant(masked(variable__user__name="202")) == [CallOf("202")], "who has logged in"
    assert meant(masked(variable__sip__call__id="x@y"), event("CUSTOM", Event_Subclass="greffier::pause")) == [
        CallOf(reference="x@y"),
        CallOf("201"),
    ]


def test_a_caller_s_channel_is_of_the_agent_who_answered_it_until_the_agent_leaves(section) -> None:
    body = {"Event-Name": "API", "API-Command": "uuid_record", "API-Command-Argument": "0cc3-uuid mask /var/rec/x.wav"}
    mask = envelope("text/event-json", json.dumps(body).encode())
    caller = event("CHANNEL_ANSWER", variable__sip__call__id="leg@trunk", **CALLER)
    other = {"Unique_ID": "0dd4-uuid", "Channel_Name": "sofia/internal/203@10.0.0.9"}
    got = said(
        section("esl"),
        event("CHANNEL_ANSWER"),
        caller,
        mask,
        event("CHANNEL_ANSWER", **other),  # the call goes on to 203 …
        event("CHANNEL_HANGUP"),  # … and 201 leaves
        mask,
        event("CHANNEL_HANGUP", **other),
        mask,
        caller,
        mask,
    )
    assert [one.call for one in got] == [CallOf("201"), CallOf("203"), CallOf(reference="leg@trunk")]


def test_who_serves_a_queue_and_variables(section) -> None:
    served = {"Event_Subclass": "callcenter::info", "CC_Queue": "support@pbx", "CC_Agent": "201@pbx"}
    some = section("esl", tags={"campaign": "campaign"})
    answered = event("CHANNEL_ANSWER", variable_campaign="x").replace(b"variable-campaign", b"variable_campaign")
    assert said(some, event("CUSTOM", CC_Action="bridge-agent-start", **served), answered) == [
        ContextSaid(CallOf("201"), "support"),
        ContextSaid(CallOf("201"), None, ("campaign=x",)),
    ]
    assert said(some, event("CUSTOM", CC_Action="agent-offering", **served)) == [], "may never have the call"
