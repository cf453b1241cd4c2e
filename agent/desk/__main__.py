"""`python -m agent.desk --config FILE`: the desk process."""

import time

import structlog
import uvicorn

from agent.config import Settings
from agent.desk.app import build_app
from agent.desk.recorder_client import RecorderClient
from agent.desk.tokens import Scope, parse_tokens
from agent.process import main
from agent.store.journal import Journal

log = structlog.get_logger()


class TokenFile:
    """The tokens file, read again when it changed; an unreadable or broken one lets nobody in."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.desk.tokens_file
        self._seen: tuple[int, int] | None = None
        self._tokens: dict[str, Scope] = {}

    def __call__(self) -> dict[str, Scope]:
        """The tokens as they stand now."""
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_size) != self._seen:
                self._tokens = parse_tokens(self._path.read_text(encoding="utf-8"))
                self._seen = (status.st_mtime_ns, status.st_size)
        except (OSError, ValueError) as error:
            log.error("desk.tokens", error=str(error))
            self._tokens, self._seen = {}, None
        return self._tokens


def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    settings.journal_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    journal = Journal(settings.journal_dir, "desk", time.time_ns)

    def refused(what: str, actor: str) -> None:
        log.warning("desk.refused", what=what, actor=actor)
        journal.append("refused", what=what, actor=actor)

    app = build_app(RecorderClient(settings.recorder_socket), TokenFile(settings), refused)
    log.info("desk.ready", host=settings.desk.host, port=settings.desk.port)
    uvicorn.run(app, host=settings.desk.host, port=settings.desk.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main("desk", serve)
