"""What gate marks permit, told a mark at a time."""

from agent.model.gate import GateMark, GateState
from agent.model.purpose import Purpose
from agent.policy.gate import hopes, step, writes


def written_by(marks: list[GateMark], purpose: Purpose, end: int) -> set[int]:
    """Positions a purpose may have written, told from its marks alone, a mark at a time."""
    positions: set[int] = set()
    hoped: set[int] = set()
    mine = [m for m in marks if m.purpose == purpose.name]
    for mark, following in zip(mine, [*mine[1:], None], strict=True):
        since, until = mark.since_samples, following.since_samples if following else end
        if mark.verb in ("select", "arm"):
            if writes(step(mark.state, "resume"), purpose):
                positions |= {p for p in hoped if p >= since}
            since, hoped = max([since, *(p + 1 for p in hoped)]), set()
        elif not writes(mark.state, purpose):
            positions = {p for p in positions if p < since}
            hoped = {p for p in hoped if p < since}
        if mark.verb in ("exclude", "end") or mark.state is GateState.DROPPED:  # what may not be withdrawn hopes on
            hoped = set()
        if writes(mark.state, purpose):
            positions |= set(range(since, until))
        if hopes(mark.state, purpose):
            agreed = following is not None and following.verb in ("select", "arm")  # its mark lies where it may begin
            hoped |= set(range(since, end if agreed else until))
    return positions
