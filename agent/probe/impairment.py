"""What a bad network does to a stream, decided beforehand and counted exactly: loss, reordering, duplicates, a wrap.

The counts have the meaning of `agent.model.StreamCounts`, so that a recorder's report can be compared with them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Impairment:
    """Faults to make while speaking; the same seed makes the same faults.

    Percentages are of packets, each between 0 and 100. `reorder_depth` is how many later packets may overtake a
    delayed one (0 = none is delayed). The first and the last packet always go, once, in their place: what is lost
    before the first or after the last packet, no receiver can count. `first_sequence` and `first_timestamp` restart
    the RTP numbering at these values (65530 makes the sequence wrap soon); None lets it go on.
    """

    loss_percent: float = 0.0
    reorder_percent: float = 5.0
    reorder_depth: int = 0
    duplicate_percent: float = 0.0
    first_sequence: int | None = None
    first_timestamp: int | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("loss_percent", "reorder_percent", "duplicate_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name}: expected a number from 0 to 100")
        if self.reorder_depth < 0:
            raise ValueError("reorder_depth: expected 0 or more packets")


NO_IMPAIRMENT = Impairment()


@dataclass(frozen=True, slots=True)
class Done:
    """What was really done, in packets. `sent` counts every datagram, duplicates too.

    `reordered` = first copies sent after a packet of a higher sequence number.
    """

    sent: int = 0
    lost: int = 0
    duplicates: int = 0
    reordered: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(
            self.sent + other.sent,
            self.lost + other.lost,
            self.duplicates + other.duplicates,
            self.reordered + other.reordered,
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which packet goes when: `packet[i]` is sent in tick `tick[i]`, in this order. Both int64[datagrams]."""

    packet: npt.NDArray[np.int64]
    tick: npt.NDArray[np.int64]
    done: Done


def schedule(count: int, impairment: Impairment, stream: int = 0) -> Schedule:
    """The order of sending for `count` packets, one due per tick; `stream` makes each stream's faults its own."""
    dice = np.random.default_rng((impairment.seed, stream))
    inner = np.zeros(count, dtype=bool)
    inner[1:-1] = True
    lost = inner & (dice.random(count) * 100 < impairment.loss_percent)
    delayed = inner & ~lost & (dice.random(count) * 100 < impairment.reorder_percent)
    doubled = inner & ~lost & (dice.random(count) * 100 < impairment.duplicate_percent)
    due = np.arange(count, dtype=np.int64)
    delay = dice.integers(1, impairment.reorder_depth + 1, count) if impairment.reorder_depth else np.zeros(count, int)
    # What is late is sent after the packet whose turn it is, but never after the last of all.
    sending = np.minimum(due + np.where(delayed, delay, 0), np.maximum(due, count - 2))
    first = due[~lost]
    again = due[doubled]
    packet = np.concatenate((first, again))
    tick = np.concatenate((sending[first], np.minimum(sending[again] + 1, np.maximum(again, count - 2))))
    turn = np.concatenate((sending[first] - first, np.full(len(again), count)))
    order = np.lexsort((packet, turn, tick))
    packet, tick = packet[order], tick[order]
    return Schedule(packet, tick, Done(len(packet), int(lost.sum()), len(again), _reordered(packet)))


def _reordered(packet: npt.NDArray[np.int64]) -> int:
    _, first_at = np.unique(packet, return_index=True)
    highest_before = np.concatenate(([-1], np.maximum.accumulate(packet)[:-1])) if len(packet) else packet
    return int((packet[first_at] < highest_before[first_at]).sum())
