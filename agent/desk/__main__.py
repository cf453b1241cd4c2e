"""`python -m agent.desk --config FILE`: the desk process."""

import time
from collections.abc import Callable

import structlog
import uvicorn

from agent.config import Settings
from agent.desk.app import build_app
from agent.desk.cti import PhoneSystems
from agent.desk.metrics import Metrics
from agent.desk.recorder_client import RecorderClient
from agent.desk.tokens import TokenFile, Tokens
from agent.process import main
from agent.store.directory import DirectoryReader, LastUse
from agent.store.heard import HeardCalls
from agent.store.journal import Journal

log = structlog.get_logger()

REFUSALS_S = 60.0


class Refusals:
    """Journals refusals: each kind at once, then at most a line a minute with how many there were meanwhile."""

    def __init__(self, journal: Journal, monotonic: Callable[[], float]) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._next: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, what: str, actor: str) -> None:
        """One refusal. `actor` is of our own naming, so there are as many as there are tokens."""
        key = (what, actor)
        times = self._unsaid.get(key, 0) + 1
        if self._monotonic() < self._next.get(key, 0.0):
            self._unsaid[key] = times
            return
        self._next[key], self._unsaid[key] = self._monotonic() + REFUSALS_S, 0
        log.warning("desk.refused", what=what, actor=actor, times=times)
        self._journal.append("refused", what=what, actor=actor, times=times)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    settings.journal_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    journal = Journal(settings.journal_dir, "desk", time.time_ns)

    metrics = Metrics(HeardCalls(settings.catalog_path))
    refusals = Refusals(journal, time.monotonic)
    tokens = Tokens(
        DirectoryReader(settings.directory_path), TokenFile(settings.desk.tokens_file), LastUse(settings.last_use_path)
    )
    app = build_app(RecorderClient(settings.recorder_socket), tokens.find, refusals, metrics)
    systems = PhoneSystems(settings, refusals)
    metrics.also(systems)
    systems.beside(app)
    log.info("desk.ready", host=settings.desk.host, port=settings.desk.port)
    uvicorn.run(app, host=settings.desk.host, port=settings.desk.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main("desk", serve)
