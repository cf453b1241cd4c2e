"""The sound of a channel that is not decided yet, in RAM, and where in it somebody speaks."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class Held:
    """Mono float32 without gaps from `start` to `end`, in samples at the engine's rate from the call's media origin."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.voiced: list[tuple[int, int]] = []
        """Spans with voice, in order, none touching the next."""
        self._pieces: list[Samples] = []

    def append(self, at: int, piece: Samples, voiced: bool) -> None:
        """Add a stretch that begins at `at`, never before `end`; silence fills what lies between."""
        if self._pieces and at > self.end:
            self._pieces.append(np.zeros(at - self.end, np.float32))
        if not self._pieces:
            self.start = at
        self._pieces.append(piece)
        self.end = at + len(piece)
        if voiced:
            before = self.voiced.pop() if self.voiced and self.voiced[-1][1] == at else (at, at)
            self.voiced.append((before[0], self.end))

    def lead(self, samples: int) -> None:
        """What comes right before the last span with voice counts as voice too, so many samples of it."""
        start, end = self.voiced.pop()
        start = max(start - samples, self.start)
        while self.voiced and self.voiced[-1][1] >= start:
            start = min(start, self.voiced.pop()[0])
        self.voiced.append((start, end))

    def copy(self, end: int) -> Samples:
        """The sound from `start` to `end`."""
        if len(self._pieces) > 1:
            self._pieces = [np.concatenate(self._pieces)]
        return self._pieces[0][: max(end - self.start, 0)].copy() if self._pieces else np.zeros(0, np.float32)

    def trim(self, to: int) -> None:
        """Hold nothing before `to`."""
        while self._pieces and self.start + len(self._pieces[0]) <= to:
            self.start += len(self._pieces.pop(0))
        if self._pieces and self.start < to:
            self._pieces[0] = self._pieces[0][to - self.start :]
            self.start = to
        self.voiced = [(a, b) for a, b in self.voiced if b > self.start]

    def wipe(self, since: int) -> None:
        """Hold nothing from `since` on: the memory it lay in is overwritten."""
        kept: list[Samples] = []
        at = self.start
        for piece in self._pieces:
            if room := min(max(since - at, 0), len(piece)):
                kept.append(piece[:room].copy())
            at += len(piece)
            piece.fill(0.0)
        self._pieces = kept
        self.end = self.start + sum(map(len, kept))
        self.voiced = [(a, min(b, since)) for a, b in self.voiced if a < since]

    def clear(self) -> None:
        """Hold nothing."""
        self._pieces, self.voiced, self.start = [], [], self.end
