"""The one transcription engine of the process: loaded when a model is there, looked for again while none is."""

from collections.abc import Callable

import structlog

from agent.config import Settings
from agent.transcribe.engine import Engine, EngineError
from agent.transcribe.models import ModelError
from agent.transcribe.select import select

log = structlog.get_logger()

LOOK_AGAIN_S = 5.0


class EngineRoom:
    """Holds the engine; `monotonic` is the clock of its patience."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._engine: Engine | None = None
        self._next_look = 0.0
        self.reason = ""
        """Why there is no engine, for the manifest and the journal."""

    def engine(self) -> Engine | None:
        """The engine, or None while there is no model (or a broken one: logged once each time the reason changes)."""
        if self._engine is None and self._monotonic() >= self._next_look:
            self._next_look = self._monotonic() + LOOK_AGAIN_S
            self._look()
        return self._engine

    def _look(self) -> None:
        scribe = self._settings.scribe
        reason = "transcription is switched off" if scribe.engine == "none" else "no speech model is installed"
        try:
            self._engine = select(scribe.engine, self._settings.models_dir, scribe.model)
        except (EngineError, ModelError, OSError) as error:
            reason = str(error)
        if self._engine is not None:
            log.info("engine.ready", engine=self._engine.name, model=self._engine.model, sha256=self._engine.digest)
        elif reason != self.reason:
            log.warning("engine.absent", reason=reason)
        self.reason = "" if self._engine else reason
