"""The purposes that calls are finalised for: those configured now, and those that were configured since the start.

The recorder takes a changed configuration up while it runs, and a call keeps the purposes it began with; so whoever
finalises it must know the new ones as well as those that are gone.
"""

from agent.config import ConfigError, Settings, load
from agent.config.watching import look
from agent.model.purpose import Purpose


class Purposes:
    """`known` and `good` are as of the last `refresh`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_name = {p.name: p for p in settings.purposes()}
        self._seen = self._look()
        self.good = True
        """Whether the configuration could be read as it stands."""

    @property
    def known(self) -> tuple[Purpose, ...]:
        """As configured last."""
        return tuple(self._by_name.values())

    @property
    def configured(self) -> tuple[Purpose, ...]:
        """Those of `known` that the configuration still has."""
        return tuple(purpose for name, purpose in self._by_name.items() if name in self._settings.purpose)

    def refresh(self) -> None:
        """Read what has changed. A configuration that is not good changes nothing."""
        if self._settings.source is None or (seen := self._look()) == self._seen:
            return
        try:
            # what takes a restart stays: what is redacted goes by the engine and the models that run
            stays = {"scribe": self._settings.scribe, "names": self._settings.names}
            settings = load(self._settings.source).model_copy(update=stays)
            purposes = settings.purposes()
        except (ConfigError, OSError, ValueError):
            self.good = False
            return
        self._settings, self._seen, self.good = settings, seen, True
        self._by_name |= {p.name: p for p in purposes}

    def _look(self) -> object:
        return look(self._settings.source, self._settings) if self._settings.source else None
