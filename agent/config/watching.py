"""Following the configuration while a process runs: a change that is good is handed over, one that is not is refused.

Looked at are the configuration, the recipients files it names and the lists of numbers: by inotify on their folders
(an editor that replaces a file is a change like any other), and every few seconds in any case, so that nothing depends
on it. What is written in several strokes is waited for until it is quiet.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from agent.config.load import ConfigError, load
from agent.config.settings import Settings

LOOK_S = 3.0
QUIET_S = 0.3
LONGEST_QUIET_S = 3.0
LIVE_SITE = frozenset({"timezone", "holidays", "calling_code"})
"""Settings of the site that take effect at once, as all of a purpose do, for calls that begin from then on."""

Seen = dict[Path, tuple[int, int, int] | None]


class Watch:
    """Calls `accept` with new settings, or `refuse` with what is wrong with them, in a thread of its own.

    What `accept` raises as OSError or ValueError (recipients, lists) is a refusal too. After one, the next change is
    looked at like any other.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        accept: Callable[[Settings], None],
        refuse: Callable[[list[str]], None],
        *,
        inotify: bool = True,
    ) -> None:
        self._path = path
        self._settings = settings
        self._accept, self._refuse = accept, refuse
        self._touched = threading.Event()
        self._stopped = threading.Event()
        self._observer: BaseObserver | None = None
        self._inotify = inotify
        self._seen = self._look()
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._observe()
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread is over."""
        self._stopped.set()
        self._touched.set()
        if self._observer is not None:
            self._observer.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._touched.wait(LOOK_S)
            self._touched.clear()
            seen = self._settled()
            if not self._stopped.is_set() and seen != self._seen:
                self._seen = seen
                self._take()

    def _settled(self) -> Seen:
        """The files once nobody writes them any more, or for too long."""
        seen = self._look()
        until = time.monotonic() + LONGEST_QUIET_S
        while seen != self._seen and time.monotonic() < until and not self._stopped.wait(QUIET_S):
            before, seen = seen, self._look()
            if seen == before:
                break
        return seen

    def _take(self) -> None:
        try:
            settings = load(self._path)
            if self._settings.purpose and not settings.purpose:
                raise ValueError("no purpose is left: a file that was cut short? To record nothing, stop the agent")
            self._accept(settings)
        except ConfigError as error:
            self._refuse(error.problems)
        except (OSError, ValueError) as error:
            self._refuse([str(error)])
        else:
            self._settings = settings
            self._seen = {path: self._seen.get(path, now) for path, now in self._look().items()}
            self._observe()

    def _look(self) -> Seen:
        return look(self._path, self._settings)

    def _observe(self) -> None:
        """Have inotify tell of the folders there are. Where it cannot, looking every few seconds must do."""
        if not self._inotify:
            return
        handler = _Handler(self._touched.set, frozenset(map(str, watched(self._path, self._settings))))
        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.daemon = True
                self._observer.start()
            self._observer.unschedule_all()
            for folder in {path.parent for path in watched(self._path, self._settings)}:
                if folder.is_dir():
                    self._observer.schedule(handler, folder)
        except OSError:
            self._observer = None
            self._inotify = False


class _Handler(FileSystemEventHandler):
    """Tells of what happens to the files that count."""

    def __init__(self, tell: Callable[[], None], names: frozenset[str]) -> None:
        self._tell, self._names = tell, names

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Reading is no change; a file may come by being moved to where it belongs."""
        if event.event_type in ("opened", "closed_no_write"):
            return
        if {str(event.src_path), str(event.dest_path)} & self._names:
            self._tell()


def look(path: Path, settings: Settings) -> Seen:
    """What tells whether one of the files has changed; None where there is none."""
    found: Seen = {}
    for one in watched(path, settings):
        try:
            said = one.stat()
            found[one] = (said.st_mtime_ns, said.st_size, said.st_ino)
        except OSError:
            found[one] = None
    return found


def watched(path: Path, settings: Settings) -> tuple[Path, ...]:
    """The files whose change is a change of the configuration."""
    recipients = {p.recipients_file for p in settings.purpose.values() if p.recipients_file is not None}
    return (
        path.absolute(),
        *sorted(recipients),
        *(settings.lists_dir / name for name in ("opt-out.txt", "protected.txt")),
    )


def needs_restart(before: Settings, after: Settings) -> tuple[str, ...]:
    """Names of settings that differ and take effect only when the processes start again. Pure."""
    found = []
    for section in type(before).model_fields:
        old, new = getattr(before, section), getattr(after, section)
        if section == "purpose" or old == new:
            continue
        if isinstance(old, dict):
            found += [f"{section}.{name}" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
            continue
        changed = (name for name in type(old).model_fields if getattr(old, name) != getattr(new, name))
        found += [f"{section}.{name}" for name in changed if section != "site" or name not in LIVE_SITE]
    return tuple(found)
