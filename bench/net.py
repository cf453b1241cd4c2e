"""Two network namespaces with a cable between them: the far one, in which the benchmark sits, and that of the box.

What is measured runs at the box, on a core of its own where there are two; packets reach it over veth(4) as from
outside. Needs root.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NETWORKS = Path("/run/netns")
_NAME = re.compile(r"greffier-bench-(\d+)-(?:far|box)")
_CLONE_NEWNET = 0x40000000
NOBODY = "02:00:00:00:00:fe"
"""A hardware address that no interface has: frames to it are dropped as soon as they are in."""


@dataclass(frozen=True)
class Link:
    """The way from the generator to the box: interface, hardware address and hosts. `prefix` starts a program at the
    box; `interface` has this name at either end. `both_ways`: every second stream goes from `host` to `source`."""

    interface: str
    mac: str
    source: str
    host: str
    prefix: tuple[str, ...] = ()
    both_ways: bool = False


LOOPBACK = Link("lo", "00:00:00:00:00:00", "127.0.0.1", "127.0.0.1")


def pinned(*, generator: bool = False) -> tuple[str, ...]:
    """Prefix of a command: the generator on the first core, in real time so that it keeps its pace whatever else the
    machine does; what is measured on the last, alone if there are two."""
    mine = sorted(os.sched_getaffinity(0))
    core = mine[0] if generator else mine[-1]
    return (*(("chrt", "--rr", "1") if generator else ()), "taskset", "-c", str(core))


@contextmanager
def cable() -> Iterator[Link]:
    """Make both namespaces, sit in the far one until the end of the block, and remove them whatever happens."""
    if os.geteuid() != 0:
        raise SystemExit("needs root: it makes two network namespaces, and removes them at the end")
    _clear_up()
    names = far, box = [f"greffier-bench-{os.getpid()}-{end}" for end in ("far", "box")]
    _favour(True)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("-n", far, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", box)
        addresses = {far: "10.99.0.1", box: "10.99.0.2"}
        for name, host in addresses.items():
            _ip("-n", name, "address", "add", f"{host}/24", "dev", "cable")
            for interface in ("lo", "cable"):
                _ip("-n", name, "link", "set", interface, "up")
        shown = subprocess.run(["ip", "-n", box, "link", "show", "cable"], check=True, capture_output=True, text=True)
        mac = shown.stdout.partition("link/ether ")[2].split()[0]
        with (NETWORKS / far).open("rb") as entrance:
            _enter(entrance.fileno())
        prefix = ("ip", "netns", "exec", box, *pinned())
        yield Link("cable", mac, addresses[far], addresses[box], prefix)
    finally:
        _enter(home)
        os.close(home)
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        signal.signal(signal.SIGTERM, before)
        _favour(False)


def _favour(wanted: bool) -> None:
    """Before other sessions of a machine that is not ours alone (sched(7), autogroup), where the kernel has that."""
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("-15" if wanted else "0", encoding="ascii")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _enter(namespace: int) -> None:
    """setns(2) for this thread, and those it starts from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _clear_up() -> None:
    """Remove what benchmarks that were killed left behind."""
    for path in NETWORKS.glob("greffier-bench-*"):
        match = _NAME.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)
