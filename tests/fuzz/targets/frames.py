"""Network frames, many in one memory: the same payloads, addresses and order as a reader of one after another."""

from packets import ETHERNET, IPV4, IPV6, RAW_IP, WRAPPED, plain_reader, read

from fuzz.draws import Draws

KINDS = (IPV4, IPV6, ETHERNET, RAW_IP, 0x8100, 0x0806)
MOST = 12


def _seed(frames: list[tuple[int, bytes]]) -> bytes:
    return b"\x01" + b"".join(bytes([KINDS.index(kind)]) + len(data).to_bytes(2, "big") + data for kind, data in frames)


SEEDS = (*(_seed([frame]) for frame in WRAPPED), _seed([(k, f[:90]) for k, f in WRAPPED]))


def target(data: bytes) -> None:
    """A byte of slack around the frames, then for each frame its kind, its length and itself."""
    draws = Draws(data)
    slack = bytes(draws.number(1) % 4)
    frames = []
    while draws.left and len(frames) < MOST:
        kind = draws.choice(KINDS)
        if frame := draws.take(draws.number(2) % 1600):
            frames.append((kind, frame))
    if not frames:
        return
    seen, got = read(frames, slack)
    assert seen == {n: found for n, frame in enumerate(frames) if (found := plain_reader(*frame)) is not None}
    assert got.frame.tolist() == sorted(seen) and len(seen) + got.fragments + got.malformed <= len(frames)
