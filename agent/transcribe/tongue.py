"""Which language a channel speaks, of what an engine took its speech for: a "yes" or two do not settle it.

Each detection counts as much as it was sure and as speech it heard; once there is enough for one language, and twice as
much as for any other, that is the channel's for good.
"""

from agent.transcribe.engine import Spoken

ENOUGH_S = 1.5
"""Seconds of speech, each as much as the engine was sure: two and a half at 60 %."""
CLEARLY = 2.0


class Tongue:
    """One channel. `language` (ISO 639-1) is None while it is not settled."""

    def __init__(self, language: str | None) -> None:
        self.language = language
        self._heard: dict[str, float] = {}

    def hear(self, spoken: Spoken) -> None:
        """What a stretch of it was taken for."""
        if self.language is not None:
            return
        self._heard[spoken.language] = self._heard.get(spoken.language, 0.0) + spoken.probability * spoken.seconds
        first, second = [*sorted(self._heard.values(), reverse=True), 0.0][:2]
        if first >= ENOUGH_S and first >= CLEARLY * second:
            self.language = self.likely

    @property
    def likely(self) -> str | None:
        """The language there is most reason for so far; None where nothing was heard."""
        return self.language or max(self._heard, key=lambda one: self._heard[one], default=None)
