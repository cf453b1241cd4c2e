"""The live socket: messages within limits or `Malformed`; however the bytes are cut the same; packed again the same."""

from agent.model.call import Codec, Direction, Role
from agent.model.live import (
    MOST_BYTES,
    Conversation,
    Dropped,
    Forget,
    Hello,
    Malformed,
    Message,
    Over,
    Parser,
    Sound,
    Voice,
    pack,
)

ID = "00112233445566778899aabbccddeeff"
SEEDS = (
    pack(Hello())
    + pack(Conversation(ID, 1, Direction.INBOUND, "sales", ("a=b",), (Voice(0, 0, "p", Role.CUSTOMER),)))
    + pack(Sound(ID, 0, Codec.PCMA, 160, b"\xd5" * 40))
    + pack(Dropped(ID, 0, 80))
    + pack(Forget(ID, 240))
    + pack(Over(ID)),
    pack(Hello()) + b"\0\0\0\x02\x63x" + pack(Over(ID)),
    pack(Sound(ID, 65535, Codec.OTHER, 2**63, b"")),
)


def target(data: bytes) -> None:
    """Any bytes."""
    whole, refused = _each(Parser(), data)
    cut = 1 + (data[0] if data else 0) % 23
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    parser, found, why = Parser(), [], None
    for piece in pieces:
        more, why = _each(parser, piece)
        found += more
        if why:
            break
    assert (found, why) == (whole, refused)
    for message in whole:
        again, refusal = _each(Parser(), (b"" if isinstance(message, Hello) else pack(Hello())) + pack(message))
        assert refusal is None and again[-1] == message


def _each(parser: Parser, data: bytes) -> tuple[list[Message], str | None]:
    """What was read before it was refused, and in which words."""
    found: list[Message] = []
    try:
        for message in parser.feed(data):
            found.append(message)
    except Malformed as error:
        assert len(str(error)) < 80 and str(error).isprintable()
        return found, str(error)
    assert len(parser._held) <= MOST_BYTES + 4
    return found, None
