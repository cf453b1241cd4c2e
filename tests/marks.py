"""What gate marks permit, told a mark at a time."""

from agent.model.gate import GateMark
from agent.model.purpose import Purpose
from agent.policy.gate import writes


def written_by(marks: list[GateMark], purpose: Purpose, end: int) -> set[int]:
    """Positions a purpose may have written, told from its marks alone, a mark at a time."""
    positions: set[int] = set()
    mine = [m for m in marks if m.purpose == purpose.name]
    for mark, following in zip(mine, [*mine[1:], None], strict=True):
        positions = {p for p in positions if p < mark.since_samples} if not writes(mark.state, purpose) else positions
        if writes(mark.state, purpose):
            positions |= set(range(mark.since_samples, following.since_samples if following else end))
    return positions
