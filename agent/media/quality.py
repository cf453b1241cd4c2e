"""How well a call was heard: loss and an E-model rating (ITU-T G.107) of a stream, levels and gaps of a channel. Pure.

The rating is R = 93.2 - Id - Ie,eff: everything but delay, codec and loss at the defaults of G.107, as heard by a phone
that conceals lost packets. A recorder cannot know the delay between the parties and assumes `DELAY_MS`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE, Codec
from agent.model.media import StreamCounts
from agent.model.quality import ChannelQuality, StreamQuality

DELAY_MS = 100.0
"""Mouth to ear, one way: a call within a country over IP."""
IMPAIRMENT = {
    Codec.PCMU: (0.0, 25.1),
    Codec.PCMA: (0.0, 25.1),
    Codec.G729: (11.0, 19.0),
    Codec.AMR: (5.0, 10.0),
}
"""Ie and Bpl by codec (ITU-T G.113 appendix I): G.711 with concealment, G.729A with VAD, AMR at 12.2 kbit/s (GSM-EFR;
its lower modes sound worse). Not rated: wideband codecs, which belong to another scale (G.107.1), and the others."""
QUIET_PEAK = 64
"""Peak of 20 ms (of 32768, -54 dBFS) below which nobody speaks; G.711's own silence decodes to at most 8."""
NOTHING_PEAK = 8
FULL_SCALE = 32000
"""At full scale: G.711's loudest are 32124 and 32256."""
ONE_WAY_S = 2.0
SILENT_SHARE, CLIPPED_SHARE, LOSS_PERCENT, LOW_MOS = 0.8, 0.001, 3.0, 3.6
"""Beyond these a person is told."""

_NAMES = frozenset(Codec)
Spans = tuple[tuple[int, int], ...]


def rate_stream(codec: Codec, counts: StreamCounts) -> StreamQuality:
    """Loss and rating of a stream, from its counts; no rating when it changed its codec.

    `codec` is what was announced first.
    """
    sent = counts.received - counts.duplicates - counts.late + counts.lost
    loss = 100.0 * counts.lost / sent if sent > 0 else 0.0
    came = counts.formats or (codec.value,)
    r = rating(Codec(came[0]), loss) if counts.received and len(came) == 1 and came[0] in _NAMES else None
    return StreamQuality(round(loss, 2), r and round(r, 1), None if r is None else round(mos_of(r), 2))


def rating(codec: Codec, loss_percent: float, delay_ms: float = DELAY_MS) -> float | None:
    """R (0 to 93.2) at random loss; None when the codec is not rated.

    Ie,eff is that of G.107 §7.5 with BurstR = 1; Id the reduction of its §7.4 for the default echo path by Cole and
    Rosenbluth (2001).
    """
    if codec not in IMPAIRMENT:
        return None
    equipment, robustness = IMPAIRMENT[codec]
    effective = equipment + (95 - equipment) * loss_percent / (loss_percent + robustness)
    delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    return max(0.0, 93.2 - delay - effective)


def mos_of(r: float) -> float:
    """The mean opinion score of a rating (ITU-T G.107 annex B)."""
    if r <= 0 or r >= 100:
        return 1.0 if r <= 0 else 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def measure(
    channel: int,
    pcm: npt.NDArray[np.int16],
    rate: int,
    spans: Spans,
    captured: Spans,
    undecoded: int,
    raw: tuple[str, ...],
) -> ChannelQuality:
    """One channel within `spans`. `pcm` is int16 at `rate`; the spans are half-open, sorted, at CLOCK_RATE."""
    scale, frame = rate // CLOCK_RATE, rate // 50
    total = quiet = nothing = samples = clipped = 0
    step = 60 * CLOCK_RATE
    for start, end in ((at, min(at + step, b)) for a, b in spans for at in range(a, b, step)):
        loud = np.abs(pcm[start * scale : end * scale].astype(np.int32))
        peaks = loud[: len(loud) // frame * frame].reshape(-1, frame).max(axis=1)
        total, samples = total + len(peaks), samples + len(loud)
        quiet += int((peaks < QUIET_PEAK).sum())
        nothing += int((peaks <= NOTHING_PEAK).sum())
        clipped += int((loud >= FULL_SCALE).sum())
    heard, gap = _presence(spans, captured)
    return ChannelQuality(
        channel,
        round(heard / CLOCK_RATE, 3),
        round(gap / CLOCK_RATE, 3),
        round(quiet / total, 4) if total else 0.0,
        round(nothing / total, 4) if total else 0.0,
        round(clipped / samples, 6) if samples else 0.0,
        undecoded,
        raw,
    )


def _presence(spans: Spans, captured: Spans) -> tuple[int, int]:
    """Samples of `spans` that were captured, and the longest stretch of them that was not."""
    heard = gap = 0
    for start, end in spans:
        at = start
        for a, b in captured:
            low, high = max(a, start), min(b, end)
            if low < high:
                heard += high - low
                gap, at = max(gap, low - at), high
        gap = max(gap, end - at)
    return heard, gap


def one_way(channels: tuple[ChannelQuality, ...]) -> tuple[int, ...]:
    """Channels of which nothing was heard, while another was for at least `ONE_WAY_S`."""
    if max((c.heard_s for c in channels), default=0.0) < ONE_WAY_S:
        return ()
    return tuple(c.channel for c in channels if c.heard_s == 0)


def complaints(
    channels: tuple[ChannelQuality, ...], streams: Sequence[tuple[int, Codec, StreamCounts]], who: Mapping[int, str]
) -> list[str]:
    """What is wrong, in words. `streams` are channel, codec and counts of each; `who` names the party of a channel."""
    silent_side = one_way(channels)
    found = []
    for channel, codec, counts in streams:
        rated = rate_stream(codec, counts)
        name = f"the {who[channel]}" if channel in who else f"channel {channel}"
        if rated.loss_percent > LOSS_PERCENT:
            found.append(f"loss: {rated.loss_percent:.1f} % of the packets of {name} never came in time")
        if rated.mos is not None and rated.mos < LOW_MOS:
            found.append(f"poor line: {name} would have been heard at MOS {rated.mos:.1f}")
        if counts.undecryptable:
            found.append(f"SRTP: {counts.undecryptable} packets of {name} could not be decrypted")
    for c in channels:
        name = f"the {who[c.channel]}" if c.channel in who else f"channel {c.channel}"
        if c.channel in silent_side:
            found.append(f"one-way: nothing was heard of {name}")
        elif c.raw and c.heard_s:
            codecs = ", ".join(c.raw)
            found.append(f"not decoded: {name} sent {codecs}, which was kept as it came but nothing here decodes it")
        elif c.heard_s and c.silent_share > SILENT_SHARE:
            kind = "digital silence" if c.digital_share > SILENT_SHARE else "no more than faint noise"
            found.append(f"silent: {kind} from {name} for {c.silent_share:.0%} of the time")
        if c.undecoded and not c.raw:
            found.append(f"damaged: {c.undecoded} packets of {name} could not be decoded and are silence")
        if c.clipped_share > CLIPPED_SHARE:
            found.append(f"clipping: {c.clipped_share:.1%} of what {name} said is at full scale")
    return found
