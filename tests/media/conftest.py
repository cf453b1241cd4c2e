"""What the media tests share: RTP packets built by hand, blocks of them, engines of either core, and a cable."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from packets import Packet, block_of, rtp
from twins import why_no_core

from agent.media import core
from agent.media.block import PacketBlock


@pytest.fixture(scope="session", name="rtp")
def _rtp() -> Callable[..., bytes]:
    return rtp


@pytest.fixture(scope="session", name="block_of")
def _block_of() -> Callable[[Sequence[Packet]], PacketBlock]:
    return block_of


@pytest.fixture(scope="session", name="packet")
def _packet() -> type[Packet]:
    return Packet


@pytest.fixture(scope="module", params=["c", "numpy"])
def either_core(request: pytest.FixtureRequest) -> Iterator[None]:
    """Engines have the compiled core, then do without; skips where it was not compiled, but never in CI."""
    if request.param == "c" and (missing := why_no_core()):
        pytest.skip(missing)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(core, "load", _not_compiled)
        yield


@pytest.fixture
def cable() -> Iterator[tuple[str, socket.socket]]:
    """The name of a cable's near end, and a socket that sends whole frames from its far end."""
    near, far = f"gn{os.getpid()}", f"gf{os.getpid()}"
    subprocess.run(["ip", "link", "add", near, "type", "veth", "peer", "name", far], check=True)
    try:
        for name in (near, far):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
            sender.bind((far, 0))
            yield near, sender
    finally:
        subprocess.run(["ip", "link", "del", near], check=True)


def _not_compiled() -> NoReturn:
    raise core.CoreMissing("not wanted in this test")
