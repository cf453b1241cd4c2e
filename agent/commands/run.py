"""`greffier run`: the four processes as children (laptop, container, demo); on a site systemd starts them instead."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.config import Settings
from agent.process import EXIT_CONFIG
from agent.vault.lists import KEY_FILE
from agent.vault.passphrase import passphrase
from agent.vault.protect import Kind, kind_of, read_root
from agent.vault.sealed import BOX_KEY

PROCESSES = {"recorder": -5, "scribe": 10, "courier": 5, "desk": -5}
"""By name how they give way to others (setpriority(2)): media and presses to nobody, text to everybody."""
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
CALM_S = 30.0
GRACE_S = 15.0
WITH_KEYS = ("recorder", "scribe")
"""They have secrets of their own that a passphrase may lock."""


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the agent in the foreground. A process that dies is started again; Ctrl-C stops all four.

    Where a passphrase locks the keys, it is asked for, or read with --passphrase-fd, and kept in memory."""
    settings = settings_of(config)
    for folder in (settings.site.state_dir, settings.site.run_dir):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    supervisor = Supervisor(config, _passphrase(settings))
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    console.print(f"greffier: {settings.site.name}: starting {', '.join(PROCESSES)}; Ctrl-C stops", highlight=False)
    sys.exit(supervisor.serve())


def _passphrase(settings: Settings) -> str | None:
    """The one that locks the keys, tried; None where none does. The command ends when it is the wrong one."""
    paths = [path for name in (BOX_KEY, KEY_FILE) if (path := settings.site.keys_dir / name).exists()]
    try:
        locked = [path for path in paths if kind_of(path) is Kind.PASSPHRASE]
        if locked:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it stays in memory, and must not reach a disk
        for path in locked:
            read_root(path)
        return passphrase() if locked else None
    except (OSError, ValueError) as error:
        fail(str(error))


def give_way(pid: int, nice: int) -> None:
    """Let a process give way to others; who may not put it before them leaves it among them."""
    with suppress(PermissionError, ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)


class Supervisor:
    """Starts the processes, starts again what dies (sooner at first, then slower), stops them all at the end."""

    def __init__(self, config: Path, secret: str | None = None) -> None:
        self._config = config
        self._secret = secret
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: dict[str, int] = dict.fromkeys(PROCESSES, 0)
        self._started: dict[str, float] = {}
        self._again_at: dict[str, float] = dict.fromkeys(PROCESSES, 0.0)
        self._stopping = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Ask for the end."""
        self._stopping = True

    def serve(self) -> int:
        """Watch until stopped; returns the exit status (EXIT_CONFIG when a process refuses the configuration)."""
        status = 0
        while not self._stopping:
            for name in PROCESSES:
                if self._watch(name) == EXIT_CONFIG:
                    status, self._stopping = EXIT_CONFIG, True
            time.sleep(0.1)
        self._end_all()
        return status

    def _watch(self, name: str) -> int | None:
        """Start `name` if it is due; the exit status if it has just died."""
        now = time.monotonic()
        child = self._children.get(name)
        if child is None:
            if now >= self._again_at[name]:
                self._start(name, now)
            return None
        status = child.poll()
        if status is None:
            return None
        del self._children[name]
        calm = now - self._started[name] > CALM_S
        self._deaths[name] = 0 if calm else min(self._deaths[name] + 1, len(BACKOFF_S) - 1)
        pause_s = BACKOFF_S[self._deaths[name]]
        self._again_at[name] = now + pause_s
        console.print(f"greffier: {name} ended ({status}); again in {pause_s:g} s", highlight=False)
        return status

    def _start(self, name: str, now: float) -> None:
        command = [sys.executable, "-m", f"agent.{name}", "--config", str(self._config)]
        given = [_pipe_of(self._secret)] if self._secret is not None and name in WITH_KEYS else []
        command += [part for descriptor in given for part in ("--passphrase-fd", str(descriptor))]
        child = self._children[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=given
        )
        for descriptor in given:
            os.close(descriptor)
        give_way(child.pid, PROCESSES[name])
        self._started[name] = now

    def _end_all(self) -> None:
        for child in self._children.values():
            child.terminate()
        deadline = time.monotonic() + GRACE_S
        for name, child in self._children.items():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                console.print(f"greffier: {name} did not stop; killed", highlight=False)
                child.kill()
                child.wait()


def _pipe_of(text: str) -> int:
    """A descriptor that the text can be read from once: it fits into the pipe, and nobody waits."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading
