"""One channel of a live call: sound in, short windows for an engine out, and words from what the engine makes of them.

No thread, no clock: what time it is is passed in. Sound is held in RAM while it is not decided, never longer than
`MOST`; in silence nothing is held but the beginning of the next turn.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import soxr

from agent.model.call import CLOCK_RATE
from agent.model.text import Word
from agent.transcribe.engine import ENGINE_RATE, LONGEST_WINDOW_S, Heard
from agent.transcribe.live.agreement import Agreement, Words, in_order
from agent.transcribe.live.credible import credible
from agent.transcribe.live.held import Held
from agent.transcribe.live.voice import FRAME, Edge, Turns, Voice
from agent.transcribe.tongue import Tongue

SCALE = ENGINE_RATE // CLOCK_RATE
LEAD, TRAIL = int(0.6 * ENGINE_RATE), int(0.3 * ENGINE_RATE)
"""Sound before and after a turn that belongs to it: the detector is late where a word begins softly."""
WINDOW = int(LONGEST_WINDOW_S * ENGINE_RATE)
ROOMY = int(5 * ENGINE_RATE)
"""A window this long is cut down to what is undecided: decided words cost the decoder as much as new ones."""
CONTEXT = int(2 * ENGINE_RATE)
"""Decided sound that stays before what is undecided."""
STRIDE = int(3 * ENGINE_RATE)
"""A full window is left behind by at least so much, whatever was understood of it."""
MOST = int(30 * ENGINE_RATE)
"""Undecided sound beyond this is let go, the oldest first: a box that is so late has other worries."""
TO_DETECT_S = 3.0
"""Sound of a turn that a language is detected in, if the turn is as long."""
_BRIDGED = CLOCK_RATE // 4
"""A gap up to this is filled with silence; a longer one ends the turn."""
_BLEED = ENGINE_RATE // 100
"""A resampler mixes what is so near."""


class Due(IntEnum):
    """Why a window is wanted."""

    NOT = 0
    STEP = 1
    """There is so much new speech that a guess is due."""
    FULL = 2
    END = 3
    """A turn is over: what was said in it is decided."""


@dataclass(frozen=True, slots=True)
class Window:
    """Sound for the engine, and what is decided of it already (seconds from its first sample).

    `start` and `end` are samples at `ENGINE_RATE` from the call's media origin; `language` is None where it is still to
    be detected. `generation` tells whether the sound has been forgotten since.
    """

    pcm16k: npt.NDArray[np.float32]
    start: int
    end: int
    prefix: Words
    language: str | None
    due: Due
    generation: int


@dataclass(frozen=True, slots=True)
class Text:
    """What a window adds: words decided, and the guess that now follows them (None: it stays as it was shown)."""

    decided: Words
    guess: Words | None


class Channel:
    """The sound and words of one channel. `language` None: detect it in its windows until it is settled."""

    def __init__(self, voice: Voice, language: str | None) -> None:
        self.tongue = Tongue(language)
        self.skipped = 0
        """Samples at `ENGINE_RATE` that were let go undecided."""
        self._voice = voice
        self._turns = Turns()
        self._resampler = _resampler()
        self._next = -1
        """The media position that is expected next; negative before the first."""
        self._made = 0
        """Where the resampler's next sample lies, at `ENGINE_RATE` as all that follows."""
        self._frame: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        """Less than a frame, not yet looked at; it ends at `_made`."""
        self._held = Held()
        """What is undecided or, between turns, may be the beginning of the next one."""
        self._begun = False
        self._end: int | None = None
        """A turn ended there: everything up to it is to be decided."""
        self._detected = 0
        """How far its language was detected last."""
        self._read = 0
        """How far the last window reached."""
        self._window: Window | None = None
        self._generation = 0
        self._agreement = Agreement()
        self._decided: list[Word] = []
        """Of the sound that is held; in seconds from the call's media origin, as `_shown`."""
        self._decided_s = 0.0
        self._shown: Words = ()
        self._heard_at = 0.0

    # ---- sound ---------------------------------------------------------------------------------------------------

    def hear(self, position: int, pcm: npt.NDArray[np.int16], now: float) -> None:
        """Take the next stretch, mono int16 at `CLOCK_RATE` from a media position; what is there already is ignored."""
        if 0 <= position < self._next:
            pcm = pcm[self._next - position :]
            position = self._next
        if not len(pcm):
            return
        self._heard_at = now
        if self._next < 0 or position - self._next > _BRIDGED:
            self._break(position)
        samples = np.zeros(position - self._next + len(pcm), np.float32)
        samples[position - self._next :] = pcm.astype(np.float32) / 32768.0
        self._next = position + len(pcm)
        self._listen(self._resampler.resample_chunk(samples))

    def forget(self, position: int) -> None:
        """Wipe all sound from a media position on, and all that is guessed of it."""
        if self._next <= position:
            return
        wall = max(position * SCALE - _BLEED, 0)
        self._generation += 1
        if self._window is not None:
            self._window.pcm16k.fill(0.0)
        self._frame.fill(0.0)
        self._held.wipe(wall)
        self._read = min(self._read, wall)
        if self._end is not None:
            self._end = min(self._end, wall)
        self._break(position)
        self._voice.reset()
        self._decided = [w for w in self._decided if w.end_s * CLOCK_RATE <= position]
        self._decided_s = min(self._decided_s, position / CLOCK_RATE)
        self._shown = tuple(w for w in self._shown if w.end_s * CLOCK_RATE <= position)
        self._agreement.settle()

    def close(self) -> None:
        """No more sound will come: a turn that is open is over."""
        if self._begun:
            self._listen(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            self._break(self._next)

    def _break(self, position: int) -> None:
        """Sound begins anew at a media position; what came before is a turn of its own."""
        if not self._begun:
            self._held.clear()
        elif self._end is None:
            self._end = self._held.end
        self._resampler = _resampler()
        self._turns = Turns()
        self._frame = np.zeros(0, np.float32)
        self._next = position
        self._made = position * SCALE

    def _listen(self, made: npt.NDArray[np.float32]) -> None:
        self._made += len(made)
        sound = np.concatenate([self._frame, made])
        count = len(sound) // FRAME
        frames = sound[: count * FRAME].reshape(count, FRAME)
        self._frame = sound[count * FRAME :].copy()
        at = self._made - len(sound)
        for frame, likely in zip(frames, self._voice.probabilities(frames), strict=True):
            self._append(at, frame, *self._turns.feed(float(likely)))
            at += FRAME

    def _append(self, at: int, frame: npt.NDArray[np.float32], edge: Edge, voiced: bool) -> None:
        held = self._held
        if at - held.end > WINDOW:  # a long gap after a turn that nobody has got round to
            self._drop(held.end)
        held.append(at, frame, voiced)
        if edge is Edge.BEGINS:
            self._begun = True
            held.lead(LEAD)
        if edge is Edge.ENDS:
            self._end = held.end - (Turns.QUIET_FRAMES * FRAME - TRAIL)
        if not self._begun:
            held.trim(at - LEAD)
        elif held.end - held.start > MOST:
            self._drop(held.end - MOST)

    def _drop(self, to: int) -> None:
        """Let undecided sound go."""
        if self._begun:
            self.skipped += to - self._held.start
        self._trim(to)
        self._agreement.settle()

    def _trim(self, to: int) -> None:
        """Hold nothing before `to`, nor the words said there."""
        self._held.trim(to)
        self._decided = [w for w in self._decided if w.start_s * ENGINE_RATE >= self._held.start - 1]

    # ---- windows -------------------------------------------------------------------------------------------------

    def due(self, step_s: float) -> Due:
        """Whether a window is wanted now, with guesses every `step_s` of speech."""
        held = self._held
        if self._window is not None or not self._begun:
            return Due.NOT
        if self._end is not None:
            return Due.END
        if held.end - held.start >= WINDOW:
            return Due.FULL
        if not held.voiced or held.voiced[-1][1] <= self._read:
            return Due.NOT
        wanted_s = step_s if self.tongue.likely else max(step_s, TO_DETECT_S)
        return Due.STEP if self.unread >= wanted_s * ENGINE_RATE else Due.NOT

    @property
    def idle(self) -> bool:
        """Whether no window is under way and no turn undecided."""
        return self._window is None and not self._begun

    @property
    def unread(self) -> int:
        """Samples at `ENGINE_RATE` of the turn that no window has had."""
        return max(0, self._held.end - max(self._read, self._held.start)) if self._begun else 0

    def take(self) -> Window:
        """The window that is due; the next one is not before this one was given back."""
        held = self._held
        end = min(held.end, held.start + WINDOW)
        due = Due.FULL if end - held.start == WINDOW else Due.STEP
        if self._end is not None and self._end <= end:
            due, end = Due.END, max(self._end, held.start)
        origin_s = held.start / ENGINE_RATE
        prefix = tuple(Word(w.text, w.start_s - origin_s, w.end_s - origin_s, w.confidence) for w in self._decided)
        self._window = Window(held.copy(end), held.start, end, prefix, self._language(due, end), due, self._generation)
        return self._window

    def _language(self, due: Due, end: int) -> str | None:
        """That of a window that ends there; None where it is to be detected: not again with every guess."""
        fresh = end - self._detected >= TO_DETECT_S * ENGINE_RATE
        if self.tongue.language is None and (due is Due.END or fresh or self.tongue.likely is None):
            self._detected = end
            return None
        return self.tongue.likely

    def expects(self, window: Window) -> bool:
        """Whether this window is under way."""
        return window is self._window

    def give(self, window: Window, heard: Heard) -> Text:
        """Take back what an engine made of a window. Of sound that was forgotten meanwhile nothing comes."""
        self._window = None
        if window.generation != self._generation:
            return Text((), None)
        self._read = max(self._read, window.end)
        words = self._believed(window, heard)
        decided, guess = (words, words[:0]) if window.due is Due.END else self._agreement.offer(words)
        if window.due is Due.FULL and (forced := self._forced(window, decided, guess)):
            decided, guess = decided + guess[:forced], guess[forced:]
            self._agreement.settle()
        self._decided += decided
        self._decided_s = decided[-1].end_s if decided else self._decided_s
        self._cut(window)
        shown, self._shown = self._shown, guess
        return Text(decided, guess if guess != shown or decided else None)

    def fail(self, window: Window) -> Text:
        """The engine broke over a window: its sound is let go where it would only come again."""
        self._window = None
        if window.generation != self._generation:
            return Text((), None)
        self._read = max(self._read, window.end)
        if window.due is Due.STEP:
            return Text((), None)
        self.skipped += window.end - window.start
        self._agreement.settle()
        self._cut(window)
        shown, self._shown = self._shown, ()
        return Text((), () if shown else None)

    def lag_s(self, word: Word, now: float) -> float:
        """How long ago a word was over."""
        return now - self._heard_at + self._next / CLOCK_RATE - word.end_s

    def _believed(self, window: Window, heard: Heard) -> Words:
        """What may be believed of a window, in seconds from the call's media origin, after what is decided."""
        origin_s = window.start / ENGINE_RATE
        voiced_s = [(a / ENGINE_RATE - origin_s, b / ENGINE_RATE - origin_s) for a, b in self._held.voiced]
        words = [
            Word(w.text, w.start_s + origin_s, w.end_s + origin_s, w.confidence) for w in credible(heard, voiced_s)
        ]
        return in_order(words, self._decided_s, max(self._decided_s, window.end / ENGINE_RATE))

    def _forced(self, window: Window, decided: Words, guess: Words) -> int:
        """How many guesses of a full window count as decided, because there is no more room for agreement."""
        if decided and decided[-1].end_s * ENGINE_RATE >= window.start + STRIDE + CONTEXT:
            return 0
        return sum(word.end_s * ENGINE_RATE <= window.end - CONTEXT for word in guess)

    def _cut(self, window: Window) -> None:
        """Leave behind what is decided, where the window was long or its turn is over."""
        if window.due is Due.END:
            self._end_turn(window.end)
            return
        if window.end - window.start < ROOMY:
            return
        decided_to = int(self._decided_s * ENGINE_RATE)
        context = [w for w in self._decided if w.start_s * ENGINE_RATE >= decided_to - CONTEXT]
        to = int(context[0].start_s * ENGINE_RATE) if context else min(decided_to, window.end)
        if window.due is Due.FULL:
            to = max(to, window.start + STRIDE)
        self._trim(min(to, window.end))

    def _end_turn(self, end: int) -> None:
        more = self._turns.open or (self._end is not None and self._end > end)
        self._agreement.settle()
        self._decided = []
        if self._end is not None and self._end <= end:
            self._end = None
        if more:
            voiced = next((a for a, b in self._held.voiced if b > end), end)
            self._trim(max(end, voiced))
        else:
            self._begun = False
            self._trim(max(end, self._held.end - LEAD))


def _resampler() -> soxr.ResampleStream:
    return soxr.ResampleStream(CLOCK_RATE, ENGINE_RATE, 1, dtype="float32")
