"""The built-in dialogues that a probe speaks: text of our own, spoken by espeak-ng, with the times of its turns.

Each is a FLAC file of clean speech and a JSON file beside it, made by `dialogues/build.py` from `dialogues/*.toml`.
"""

import io
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from agent.model.call import CLOCK_RATE

Speaker = Literal["customer", "agent"]
Pcm = npt.NDArray[np.int16]

LINE_NOISE = 24.0
"""RMS of the noise of a telephone line that is added to clean speech: between words a line is quiet, never empty."""


class Channels(NamedTuple):
    """What each party says: int16 at 8 kHz, of equal length."""

    customer: Pcm
    agent: Pcm


@dataclass(frozen=True, slots=True)
class Turn:
    """One party says one thing; seconds from the start of the dialogue."""

    speaker: Speaker
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A two-party talk. `marks` names spans in seconds (`card_number`); at `cue` the contract has been agreed."""

    name: str
    language: str
    turns: tuple[Turn, ...]
    channels: Channels
    marks: dict[str, tuple[float, float]]
    cue: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.channels.agent) / CLOCK_RATE

    def cut(self, from_s: float = 0.0, to_s: float | None = None) -> Channels:
        """What both parties say between two times."""
        span = slice(round(from_s * CLOCK_RATE), None if to_s is None else round(to_s * CLOCK_RATE))
        return Channels(self.channels.customer[span], self.channels.agent[span])


def languages() -> tuple[str, ...]:
    """The languages that a dialogue is built in for."""
    return tuple(sorted(f.name.removesuffix(".flac") for f in _folder().iterdir() if f.name.endswith(".flac")))


@cache
def dialogue(language: str) -> Dialogue:
    """The built-in dialogue in this language (`fr`, `en`). Raises LookupError that names those there are."""
    if language not in languages():
        raise LookupError(f"no dialogue in {language!r}; there are: {', '.join(languages())}")
    about = json.loads((_folder() / f"{language}.json").read_text(encoding="utf-8"))
    clean = _read((_folder() / f"{language}.flac").read_bytes())
    noise = np.random.default_rng(list(language.encode())).normal(0, LINE_NOISE, clean.shape)
    customer, agent = np.clip(clean + noise.round(), -32768, 32767).astype(np.int16)
    for channel in (customer, agent):
        channel.flags.writeable = False
    return Dialogue(
        about["name"],
        language,
        tuple(Turn(**turn) for turn in about["turns"]),
        Channels(customer, agent),
        {name: (start_s, end_s) for name, (start_s, end_s) in about["marks"].items()},
        about["cue"],
    )


def _folder() -> Traversable:
    return files("agent.probe") / "dialogues"


def _read(flac: bytes) -> npt.NDArray[np.float64]:
    """Samples of both channels, float64[2, n] in the range of int16."""
    with av.open(io.BytesIO(flac), "r") as container:
        frames = [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)]
    return np.concatenate(frames).T.astype(np.float64)
