"""Classic BPF programs (bpf(4); Linux networking/filter.rst) that let the kernel pass on only what we may see.

Offsets are those of a packet socket of type SOCK_DGRAM: data begins at the network header, and what lies before it is
asked of the kernel (ancillary loads).
"""

import ctypes
import socket
import struct
from collections.abc import Iterable, Sequence

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
LOAD_HALF_BEHIND = 0x48
"""At X + k."""
LOAD_HEADER_LENGTH = 0xB1
"""X = 4 · (low half of the byte at k): the length of an IPv4 header."""
EQUAL, GREATER, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45
RETURN = 0x06
ANCILLARY = 0xFFFFF000
PROTOCOL, PACKET_TYPE, INTERFACE, TAGGED = ANCILLARY, ANCILLARY + 4, ANCILLARY + 8, ANCILLARY + 48
WHOLE = 0x40000
PACKET_HOST = 0
SO_ATTACH_FILTER = 26
MOST_INSTRUCTIONS = 4096

Step = tuple[int, int, str, str]
"""Code, k, and the labels to go to when true and when false ("" is the next step)."""
Program = Sequence[Step | str]
"""Steps, and labels before them."""


def assemble(program: Program) -> bytes:
    """Instructions (struct sock_filter). Raises ValueError for a jump that goes back or too far."""
    labels: dict[str, int] = {}
    steps: list[Step] = []
    for line in program:
        if isinstance(line, str):
            labels[line] = len(steps)
        else:
            steps.append(line)
    packed = []
    for number, (code, k, true, false) in enumerate(steps):
        jumps = [labels[label] - number - 1 if label else 0 for label in (true, false)]
        if not all(0 <= jump <= 255 for jump in jumps):
            raise ValueError("a filter jumps too far")
        packed.append(struct.pack("=HBBI", code, *jumps, k))
    return b"".join(packed)


def attach(sock: socket.socket, program: Program) -> None:
    """Let through to `sock` only what the program returns more than 0 for. Raises OSError."""
    code = ctypes.create_string_buffer(assemble(program))
    count = (len(code) - 1) // 8
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", count, ctypes.addressof(code)))


NOTHING: Program = [(RETURN, 0, "", "")]
"""Lets nothing through: for a socket that only has to be there."""


def own_udp(low: int, high: int, without: Iterable[int] = ()) -> Program:
    """UDP addressed to this host at ports `low` to `high`, not by way of the interfaces `without` (their numbers).

    Tagged frames are left out: the kernel gives them a second time, without the tag, to the interface they belong to.
    """
    return [
        (LOAD_WORD, PACKET_TYPE, "", ""),
        (EQUAL, PACKET_HOST, "", "no"),
        (LOAD_WORD, TAGGED, "", ""),
        (EQUAL, 0, "", "no"),
        (LOAD_WORD, INTERFACE, "", ""),
        *((EQUAL, number, "no", "") for number in sorted(without)[:100]),
        (LOAD_WORD, PROTOCOL, "", ""),
        (EQUAL, 0x0800, "four", ""),
        (EQUAL, 0x86DD, "six", "no"),
        "four",
        (LOAD_BYTE, 9, "", ""),
        (EQUAL, 17, "", "no"),
        (LOAD_HALF, 6, "", ""),
        (ANY_BIT, 0x1FFF, "no", ""),
        (LOAD_HEADER_LENGTH, 0, "", ""),
        (LOAD_HALF_BEHIND, 2, "", ""),
        (AT_LEAST, low, "", "no"),
        (GREATER, high, "no", "yes"),
        "six",
        (LOAD_BYTE, 6, "", ""),
        (EQUAL, 17, "", "no"),
        (LOAD_HALF, 42, "", ""),
        (AT_LEAST, low, "", "no"),
        (GREATER, high, "no", "yes"),
        "yes",
        (RETURN, WHOLE, "", ""),
        "no",
        (RETURN, 0, "", ""),
    ]
