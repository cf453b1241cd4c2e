"""A recorder without the other processes, whose call keys the test can open."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running_site import RunningSite, wait_for

from agent.capture.format import RecordKind
from agent.capture.keys import open_keys
from agent.capture.reader import Cursor, open_record, scan
from agent.control.client import ControlClient
from agent.vault.age import new_identity

Said = dict[str, list[tuple[Any, ...]]]
"""By call: its records, each with kind, stream, position and content."""


class Alone:
    """A recorder without the other processes, whose call keys the test can open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.site = RunningSite(folder)
        text = self.site.config.read_text()
        self.site.config.write_text(
            text.replace('trigger = "on_demand"', 'trigger = "all"', 1).replace("keep_from", "#")
        )
        self.settings = self.site.settings
        (self.settings.site.keys_dir / "percent.key").write_bytes(bytes(32))  # every site decides alike
        self.identity = new_identity()
        self.settings.recipient_file.parent.mkdir(parents=True)
        self.settings.recipient_file.write_text(self.identity.recipient)
        self.site.log.touch()
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def start(self) -> None:
        before = len(self.site.events("recorder.ready"))
        with self.site.log.open("ab") as log:
            command = [sys.executable, "-m", "agent.recorder", "--config", str(self.site.config)]
            self.process = subprocess.Popen(command, stderr=log)
        wait_for("the recorder", lambda: len(self.site.events("recorder.ready")) > before)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def answer(self, **request: Any) -> dict[str, Any]:
        """To a question over the control socket."""
        return asyncio.run(ControlClient(self.settings.recorder_socket).ask(**request))

    def said(self) -> Said:
        """Everything in the log, decrypted."""
        found: Said = {}
        keys: dict[str, dict[int, bytes]] = {}
        for _, record in scan(self.settings.capture_dir, Cursor(0, 0)):
            head = record.header
            if head.call_id not in keys:
                keys[head.call_id] = open_keys(self.settings.callkeys_dir, head.call_id, [self.identity.secret])
            sealed = head.kind is RecordKind.RESUME
            content = record.sealed if sealed else open_record(record, keys[head.call_id][head.epoch])
            found.setdefault(head.call_id, []).append((head.kind, head.stream, head.position_samples, content))
        return found
