"""The ring on a mirror port: frames of telephony between others, and nothing else."""

from collections.abc import Sequence

from agent.media import bpf
from agent.media.ring import PacketRing


class NoMirrorPort(OSError):
    """The mirror port cannot be listened to; says what to do about it."""


def open_mirror(interface: str, sip_ports: Sequence[int], media_ports: tuple[int, int], size_mib: int) -> PacketRing:
    """A ring on `interface`, which takes in what is addressed to others as long as the ring is open.

    Raises NoMirrorPort: there is no other way to listen to a mirror port.
    """
    try:
        return PacketRing(interface, bpf.mirrored(sip_ports, *media_ports), size_mib, promiscuous=True)
    except PermissionError:
        raise NoMirrorPort(
            f"span.interface {interface}: a mirror port needs CAP_NET_RAW. The units of systemd/ give it to the "
            "recorder; elsewhere run it as root, or take the [span] section out"
        ) from None
    except OSError as error:
        raise NoMirrorPort(
            f"span.interface {interface}: {error.strerror or error}. `ip link` lists the interfaces of this machine"
        ) from None
