"""The waveform as SVG: a lane a channel, and over them, hatched and numbered, what is not in the recording."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agent.evidence.facts import Facts, Span
from agent.evidence.html import Html, element, joined

WIDTH, LANE, GAP, LEFT, TOP, AXIS = 1000, 56, 8, 96, 18, 18
COLUMNS = WIDTH - LEFT
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS = 10
_COLOURS = ("#1d4f91", "#8a3b12", "#2f6b3a", "#5b3a86")


def timeline(
    facts: Facts, peaks: npt.NDArray[np.float32] | None, lanes: Sequence[str], marked: Sequence[Span], title: str
) -> Html:
    """The picture. `peaks` [channels, COLUMNS] (None: the audio is closed), `lanes` the name of each channel.

    All spans are shown; those of `marked` are numbered, from 1.
    """
    count = max(1, len(lanes))
    bottom = TOP + count * (LANE + GAP)
    scale = COLUMNS / max(facts.duration_s, 1e-3)
    parts = [_hatch()]
    for number, name in enumerate(lanes):
        middle = TOP + number * (LANE + GAP) + LANE / 2
        parts.append(element("text", name, x=0, y=middle + 4, class_="lane"))
        parts.append(_line(LEFT, middle, WIDTH, middle, "zero"))
        if peaks is not None and number < len(peaks):
            parts.append(_wave(peaks[number], middle, _COLOURS[number % len(_COLOURS)]))
    numbers = {span: str(number) for number, span in enumerate(marked, 1)}
    for span in facts.spans:
        parts.append(_mark(span, numbers.get(span, ""), count, scale, facts.duration_s))
    parts.append(_axis(facts.duration_s, bottom, scale))
    view = f"0 0 {WIDTH} {bottom + AXIS}"
    return element("svg", element("title", title), *parts, viewBox=view, role="img", xmlns="http://www.w3.org/2000/svg")


def clock(seconds: float) -> str:
    """m:ss.s, or m:ss where it is whole."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:02.0f}" if rest == int(rest) else f"{int(minutes)}:{rest:04.1f}"


def _hatch() -> Html:
    line = element("path", d="M0,8 L8,0", stroke="#b00020", stroke_width="1.2")
    return element("defs", element("pattern", line, id="hatch", width=8, height=8, patternUnits="userSpaceOnUse"))


def _wave(peaks: npt.NDArray[np.float32], middle: float, colour: str) -> Html:
    """As an outline, louder is higher; the square root lets quiet speech be seen."""
    heights = np.sqrt(np.clip(peaks, 0, 1)) * (LANE / 2)
    up = [f"{LEFT + x},{middle - h:.1f}" for x, h in enumerate(heights)]
    down = [f"{LEFT + x},{middle + h:.1f}" for x, h in enumerate(heights)]
    return element("polygon", points=" ".join([*up, *reversed(down)]), fill=colour)


def _mark(span: Span, number: str, lanes: int, scale: float, duration_s: float) -> Html:
    end_s = duration_s if span.to_s is None else span.to_s
    x, width = LEFT + span.from_s * scale, max((end_s - span.from_s) * scale, 1.5)
    y, height = TOP - 2, lanes * (LANE + GAP)
    if span.channel is not None and span.channel < lanes:
        y, height = TOP + span.channel * (LANE + GAP), LANE
    box = {"x": f"{x:.1f}", "y": y, "width": f"{width:.1f}", "height": height}
    shade = element("rect", class_="gap" if span.verb == "gap" else "absent", **box)
    if not number:
        return shade
    return joined(shade, element("text", number, x=f"{x + width / 2:.1f}", y=TOP - 6, class_="number"))


def _axis(duration_s: float, bottom: float, scale: float) -> Html:
    step = next((s for s in _STEPS_S if duration_s / s <= _MOST_TICKS), _STEPS_S[-1])
    parts = [_line(LEFT, bottom, WIDTH, bottom, "axis")]
    for tick in range(int(duration_s // step) + 1):
        x = LEFT + tick * step * scale
        parts.append(_line(x, bottom, x, bottom + 4, "axis"))
        parts.append(element("text", clock(tick * step), x=f"{x:.1f}", y=bottom + 15, class_="tick"))
    return joined(*parts)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return element("line", x1=f"{x1:.1f}", y1=y1, x2=f"{x2:.1f}", y2=y2, class_=class_)
