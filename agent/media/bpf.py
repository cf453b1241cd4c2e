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


TAGS = (0x8100, 0x88A8, 0x9100)
_TCP, _UDP, _GRE = 6, 17, 47
_VXLAN_PORT = 4789
_FRAGMENT = 44
_BEHIND_TAGS = (0, 4, 8)
"""Where the IP header may begin: the kernel has taken one tag off, two more may follow."""


def mirrored(sip_ports: Sequence[int], low: int, high: int) -> Program:
    """What a mirror port carries of telephony: SIP by UDP or TCP to or from `sip_ports`, UDP to ports `low` to `high`.

    Tagged up to three times. Fragments of UDP and TCP, GRE (ERSPAN) and VXLAN come whole: what they hold is looked at
    by whoever reads.
    """
    program: list[Step | str] = []
    for at in _BEHIND_TAGS:
        program += [f"kind{at}", (LOAD_WORD, PROTOCOL, "", "") if not at else (LOAD_HALF, at - 2, "", "")]
        program += [(EQUAL, 0x0800, f"four{at}", ""), (EQUAL, 0x86DD, f"six{at}", "")]
        more = f"kind{at + 4}" if at != _BEHIND_TAGS[-1] else f"no{at}"
        program += [*((EQUAL, tag, more, "") for tag in TAGS[:-1]), (EQUAL, TAGS[-1], more, f"no{at}")]
        program += _four(at, sip_ports, low, high) + _six(at, sip_ports, low, high)
        program += [f"yes{at}", (RETURN, WHOLE, "", ""), f"no{at}", (RETURN, 0, "", "")]
    return program


def _four(at: int, sip_ports: Sequence[int], low: int, high: int) -> list[Step | str]:
    head: list[Step | str] = [f"four{at}", (LOAD_BYTE, at + 9, "", ""), (EQUAL, _GRE, f"yes{at}", "")]
    head += [(EQUAL, _TCP, f"tcp-four{at}", ""), (EQUAL, _UDP, "", f"no{at}")]
    whole: list[Step | str] = [(LOAD_HALF, at + 6, "", ""), (ANY_BIT, 0x3FFF, f"yes{at}", "")]
    whole += [(LOAD_HEADER_LENGTH, at, "", "")]
    tcp = [f"tcp-four{at}", *whole, *_sip(LOAD_HALF_BEHIND, at, at, sip_ports, f"no{at}")]
    return head + whole + _media(LOAD_HALF_BEHIND, at, at, sip_ports, low, high) + tcp


def _six(at: int, sip_ports: Sequence[int], low: int, high: int) -> list[Step | str]:
    head: list[Step | str] = [f"six{at}", (LOAD_BYTE, at + 6, "", "")]
    head += [(EQUAL, other, f"yes{at}", "") for other in (_GRE, _FRAGMENT, 0, 43, 60)]
    head += [(EQUAL, _TCP, f"tcp-six{at}", ""), (EQUAL, _UDP, "", f"no{at}")]
    tcp = [f"tcp-six{at}", *_sip(LOAD_HALF, at + 40, at, sip_ports, f"no{at}")]
    return head + _media(LOAD_HALF, at + 40, at, sip_ports, low, high) + tcp


def _sip(load: int, ports_at: int, at: int, sip_ports: Sequence[int], otherwise: str) -> list[Step | str]:
    """Go to yes when one of the two ports is of SIP."""
    steps: list[Step | str] = []
    for offset in (0, 2):
        steps += [(load, ports_at + offset, "", ""), *((EQUAL, port, f"yes{at}", "") for port in sip_ports)]
    steps[-1] = (EQUAL, sip_ports[-1], f"yes{at}", otherwise)
    return steps


def _media(load: int, ports_at: int, at: int, sip_ports: Sequence[int], low: int, high: int) -> list[Step | str]:
    return [
        *_sip(load, ports_at, at, sip_ports, ""),
        (EQUAL, _VXLAN_PORT, f"yes{at}", ""),
        (AT_LEAST, low, "", f"no{at}"),
        (GREATER, high, f"no{at}", f"yes{at}"),
    ]
