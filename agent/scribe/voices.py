"""The parties of a call as its artifacts name them: p1, p2… by channel and in order of coming."""

from agent.model.call import Party
from agent.scribe.channels import Tape
from agent.scribe.text import Voice


def voices_of(tape: Tape, *, pseudonymise: bool) -> list[Voice]:
    """The parties by channel and in order of coming, without numbers and names where `pseudonymise` demands it."""
    known = list(tape.call.parties)
    named = {p.channel for p in known}
    start_ns = tape.call.started_ns
    known += [Party("", "", joined_ns=start_ns, channel=c) for c in range(len(tape.lines)) if c not in named]
    known.sort(key=lambda p: (p.channel is None, p.channel or 0, p.joined_ns))
    voices = [
        Voice(
            f"p{n}",
            p.role.value,
            p.channel,
            p.number or None,
            p.name or None,
            max(0, p.joined_ns - start_ns) / 1e9,
            None if p.left_ns is None else max(0, p.left_ns - start_ns) / 1e9,
        )
        for n, p in enumerate(known, 1)
    ]
    return [v.anonymous() for v in voices] if pseudonymise else voices
