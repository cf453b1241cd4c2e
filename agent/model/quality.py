"""How well a call was heard, in numbers only: by stream from what was counted, by channel from what was captured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamQuality:
    """One stream. `loss_percent`: packets that never came in time, of those sent; `rating`: R of the E-model
    (ITU-T G.107), `mos`: what it means on a scale of 1 to 4.5; None where the codec is not rated.
    """

    loss_percent: float
    rating: float | None
    mos: float | None


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """One channel, within the spans that were looked at.

    `heard_s`: how long there was media; `longest_gap_s`: the longest time without; `silent_share`: share of the time
    in which nothing louder than a quiet line's noise was heard, gaps included, and `digital_share` that of nothing at
    all; `clipped_share`: share of samples at full scale; `undecoded`: packets that could not be made sound; `raw`:
    codecs kept as they came because nothing here decodes them.
    """

    channel: int
    heard_s: float
    longest_gap_s: float
    silent_share: float
    digital_share: float
    clipped_share: float
    undecoded: int = 0
    raw: tuple[str, ...] = ()
