"""The one transcription engine of the process: loaded when a model is there, looked for again while none is.

Live windows and final texts share it, from their own threads.
"""

import threading
from collections.abc import Callable

import structlog

from agent.config import Settings
from agent.transcribe.engine import Engine, EngineError
from agent.transcribe.models import ModelError
from agent.transcribe.select import choose, load

log = structlog.get_logger()

LOOK_AGAIN_S = 5.0


class EngineRoom:
    """Holds the engine; `monotonic` is the clock of its patience."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._engine: Engine | None = None
        self._next_look = 0.0
        self._lock = threading.Lock()
        self.reason = ""
        """Why there is no engine, for the manifest and the journal."""

    def engine(self) -> Engine | None:
        """The engine, or None while there is no model (or a broken one: logged once each time the reason changes)."""
        with self._lock:
            if self._engine is None and self._monotonic() >= self._next_look:
                self._next_look = self._monotonic() + LOOK_AGAIN_S
                self._look()
            return self._engine

    def _look(self) -> None:
        scribe = self._settings.scribe
        try:
            models_dir = self._settings.models_dir
            choice = choose(scribe.engine, models_dir, scribe.model, scribe.device, scribe.workers)
            if (engine := load(choice)) is not None:
                used = {"engine": engine.name, "model": engine.model, "sha256": engine.digest, "why": choice.why}
                log.info("engine.ready", **used)
            reason, self._engine = choice.why, engine
        except (EngineError, ModelError, OSError) as error:
            reason = str(error)
        if self._engine is None and reason != self.reason:
            log.warning("engine.absent", reason=reason)
        self.reason = "" if self._engine else reason
