"""A stream of AMI: the same is said however it is cut, as a plain reader has it, and never more kept than a line."""

from agent.cti.ami import MAX_LINE, AmiDialogue, AmiReader
from fuzz import said
from fuzz.draws import Draws

_GREETED = b"Asterisk Call Manager/7.0.3\r\n"
_LET_IN = (
    b"Response: Success\r\nActionID: greffier-1\r\nChallenge: 148712\r\n\r\n",
    b"Response: Success\r\nActionID: greffier-2\r\n\r\n",
)
_CHANNEL = (
    b"Channel: PJSIP/201-0000001a\r\nCallerIDNum: 0612\r\nConnectedLineNum: 202\r\nChanVariable: SIPCALLID=a@b\r\n"
)
_TRUNK = _CHANNEL.replace(b"201-", b"trunk-")
SEEDS = (
    b"\x05Event: UserEvent\r\n" + _CHANNEL + b"UserEvent: Greffier\r\nAction: pause\r\nExtension: 201\r\n\r\n",
    b"\xffEvent: UserEvent\r\n" + _TRUNK + b"UserEvent: Greffier\r\nAction: context\r\nTag: vip\r\nQueue: x\r\n\r\n",
    b"\x01Event: MixMonitorMute\r\n" + _TRUNK + b"Direction: read\r\nState: 1\r\n\r\n" + b"Response: Success\r\n\r\n",
    b"\x09Event: AgentConnect\nInterface: Local/202@q-0000002b;1\nQueue: sales\n\nEvent: QueueCallerJoin\nQueue: s\n"
    b"ChanVariable: SIPCALLID=x\n\nEvent: VarSet\nChannel: SIP/201\nVariable: campaign\nValue: spring\n\n",
    b"\x30Event: DTMFEnd\r\n" + _CHANNEL + b"Direction: Received\r\nDigit: *\r\n\r\n"
    b"Event: DTMFEnd\r\n" + _CHANNEL + b"Direction: Received\r\nDigit: 1\r\n\r\n",
)
WORDS = (b"\r\n\r\n", b"\r\nChannel: PJSIP/", b"\r\nCallerIDNum: 201", b"\r\nCall: ", b"\r\nBy: agent", b"\r\nUntag: ")


def plain_reader(stream: bytes) -> list[list[tuple[str, str]]]:
    """Names and values of each whole message."""
    messages: list[list[tuple[str, str]]] = [[]]
    for line in stream.split(b"\n")[:-1]:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if text:
            name, _, value = text.partition(":")
            messages[-1].append((name.strip().lower(), value.strip()))
        elif messages[-1]:
            messages.append([])
    return messages[:-1]


def target(data: bytes) -> None:
    """The first byte says how the others are cut; they come after the log-in."""
    stream = data[1:]
    reader, messages = AmiReader(), []
    for piece in (_GREETED, *said.cut(Draws(data))):
        messages += reader.feed(piece)
        assert reader.pending <= MAX_LINE
    expected = plain_reader(stream)
    assert [message.as_dict() for message in messages] == [dict(reversed(message)) for message in expected]
    for message, pairs in zip(messages, expected, strict=True):
        assert all(message.all(name) == [v for n, v in pairs if n == name] for name, _ in pairs)
    assert _follow(said.cut(Draws(data))) == _follow([stream]) == _follow(said.finely(stream))


def _follow(pieces) -> tuple[list, str]:
    dialogue = AmiDialogue(said.words("ami"), said.CREDENTIALS, over_tls=False)
    for piece in (_GREETED, *_LET_IN):
        list(dialogue.feed(piece, 0.0))
    assert dialogue.ready
    what, why = said.follow(lambda piece: dialogue.feed(piece, 0.0), pieces)
    return [one for one in what if one != b""], why
