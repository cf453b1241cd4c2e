"""Sockets that hold a port and hear nothing: what comes is read elsewhere, or not at all, and no ICMP goes out."""

import ipaddress
import resource
import socket

from agent.media import bpf


def deaf(host: str, port: int) -> socket.socket:
    """A bound socket that lets nothing through: it is there so that no ICMP goes out. Raises OSError."""
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        bpf.attach(sock, bpf.NOTHING)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def deaf_neighbour(host: str, port: int) -> tuple[socket.socket, ...]:
    """The port above, where senders put RTCP (RFC 3550 §11), unless somebody else has it.

    Nor when half the descriptors this process may have are in use: the rest is for calls, keys and files.
    """
    try:
        neighbour = deaf(host, port + 1)
    except OSError:
        return ()
    if neighbour.fileno() < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
        return (neighbour,)
    neighbour.close()
    return ()
