"""Who speaks when: Silero VAD a frame at a time, and the turns that its probabilities make.

The model is the one that faster-whisper brings (MIT, github.com/snakers4/silero-vad); its inputs, 512 samples with the
64 before them and a state of 128 numbers twice, are those of its `SileroVADModel`. Turns decide what is transcribed,
never what is recorded.
"""

from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from agent.transcribe.engine import ENGINE_RATE
from agent.transcribe.offline import go_offline

FRAME = 512
"""Samples at `ENGINE_RATE` of one frame: 32 ms."""
_CONTEXT = 64
_STATE = (1, 1, 128)
_INAUDIBLE = 16 / 32768
"""Peak of a frame that no model need look at; the silence codes of G.711 decode to half of it."""


class Voice(Protocol):
    """Tells voice from noise, one channel's frames in order."""

    def probabilities(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """How likely each of `frames` (float32 [n, FRAME]) is speech, 0..1."""

    def reset(self) -> None:
        """Know nothing any more of what was heard."""


class Silero:
    """Silero VAD for one channel; the model is shared, its state is not."""

    def __init__(self) -> None:
        go_offline()
        from faster_whisper.vad import get_vad_model  # noqa: PLC0415 - brings onnxruntime

        self._session: Any = get_vad_model().session
        self.reset()

    def reset(self) -> None:
        """See `Voice.reset`."""
        self._h, self._c = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def probabilities(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Voice.probabilities`. Frames that nobody can hear cost nothing."""
        if not len(frames) or float(np.abs(frames).max()) < _INAUDIBLE:
            self._context = np.zeros(_CONTEXT, np.float32)
            return np.zeros(len(frames), np.float32)
        before = np.vstack([self._context, frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:].copy()
        inputs = {"input": np.hstack([before, frames]), "h": self._h, "c": self._c}
        found, self._h, self._c = self._session.run(None, inputs)
        return np.asarray(found, np.float32).reshape(-1)


class Edge(Enum):
    """What a frame is to the turns of a channel."""

    NONE = 0
    BEGINS = 1
    ENDS = 2


class Turns:
    """Speech with pauses of less than half a second is one turn."""

    BEGIN, GO_ON = 0.35, 0.20
    """Probabilities at which a turn begins, and above which it goes on (measured on telephone speech)."""
    BEGIN_FRAMES = 2
    QUIET_FRAMES = int(0.5 * ENGINE_RATE / FRAME)

    def __init__(self) -> None:
        self.open = False
        self._loud = 0
        self._quiet = 0

    def feed(self, probability: float) -> tuple[Edge, bool]:
        """What the next frame is, and whether it has voice."""
        voiced = probability >= (self.GO_ON if self.open else self.BEGIN)
        self._loud = self._loud + 1 if voiced else 0
        self._quiet = 0 if voiced else self._quiet + 1
        if not self.open and self._loud >= self.BEGIN_FRAMES:
            self.open = True
            return Edge.BEGINS, voiced
        if self.open and self._quiet >= self.QUIET_FRAMES:
            self.open = False
            return Edge.ENDS, voiced
        return Edge.NONE, voiced
