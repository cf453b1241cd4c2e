"""What the media tests share: RTP packets built by hand, and blocks of them."""

from collections.abc import Callable, Sequence

import pytest
from packets import Packet, block_of, rtp

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
