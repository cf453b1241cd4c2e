"""A stream of the FreeSWITCH event socket: the same is said however it is cut, and never more kept than a body."""

import json

from agent.cti.esl import MAX_BODY, EslDialogue, EslReader
from agent.cti.inbox import PeerError
from fuzz import said
from fuzz.draws import Draws

_LET_IN = (
    b"Content-Type: auth/request\n\n",
    b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
    b"Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n",
)


def _event(name: str, **fields: str) -> bytes:
    leg = {"Unique-ID": "0aa1", "Call-Direction": "outbound", "Channel-Name": "sofia/internal/201@h"}
    leg |= {"Other-Type": "originator", "Other-Leg-Unique-ID": "0cc3", "Caller-Caller-ID-Number": "202"}
    named = {key.replace("_", "-"): value for key, value in fields.items()}
    body = json.dumps({"Event-Name": name, **leg, **named}).encode()
    return f"Content-Length: {len(body)}\nContent-Type: text/event-json\n\n".encode() + body


_PLAIN = (
    b"Event-Name: CUSTOM\nEvent-Subclass: greffier%3A%3Atag\nGreffier-Tag: vip%20lang%3Dfr\nGreffier-Call: a%40b\n\n"
)
SEEDS = (
    b"\x05"
    + _event("CUSTOM", Event_Subclass="greffier::pause", Greffier_Extension="201", Greffier_Reason="card " * 50),
    b"\xff" + _event("CHANNEL_ANSWER") + _event("API", API_Command="uuid_record", API_Command_Argument="0cc3 mask x"),
    b"\x01" + _event("CUSTOM", Event_Subclass="callcenter::info", CC_Action="bridge-agent-start", CC_Queue="sales@pbx"),
    b"\x30" + _event("CHANNEL_EXECUTE", Application="record_session_mask", variable_sip_call_id="a@b"),
    b"\x11Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(_PLAIN), _PLAIN),
    b"\x40" + _event("CHANNEL_HANGUP") + b"Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye",
    b"\x03Content-Type: text/event-json\nContent-Length: 33612345\n\n{}",
    b"\x07Content-Type: command/reply\nReply-Text: -ERR no\n\n" + _event("CUSTOM", Event_Subclass="shop::pay"),
)
WORDS = (b"\n\n", b"Content-Length: ", b"text/event-plain", b"greffier::", b'"Greffier-Call":"', b"%00", b'"variable_')


def target(data: bytes) -> None:
    """The first byte says how the others are cut; they come after the log-in."""
    stream = data[1:]
    finely = said.finely(stream)
    assert _messages(said.cut(Draws(data))) == _messages([stream]) == _messages(finely)
    assert _follow(said.cut(Draws(data))) == _follow([stream]) == _follow(finely)


def _messages(pieces) -> tuple[list, bool]:
    reader, found = EslReader(), []
    for piece in pieces:
        try:
            for message in reader.feed(piece):
                found.append((message.headers.as_dict(), message.body))
        except PeerError:
            return found, True
        assert reader.pending <= MAX_BODY
    return found, False


def _follow(pieces) -> tuple[list, str]:
    dialogue = EslDialogue(said.words("esl"), said.CREDENTIALS)
    for piece in _LET_IN:
        list(dialogue.feed(piece, 0.0))
    assert dialogue.ready
    what, why = said.follow(lambda piece: dialogue.feed(piece, 0.0), pieces)
    return [one for one in what if one != b""], why
