"""What the media tests share: RTP packets built by hand, blocks of them, and engines of either core."""

from collections.abc import Callable, Iterator, Sequence

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


def _not_compiled() -> Callable[..., int]:
    raise core.CoreMissing("not wanted in this test")
