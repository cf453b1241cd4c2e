"""A real TPM 2.0 in software (swtpm of Debian) on loopback, stopped by its own process id."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SoftTpm:
    """One TPM. `restart` is a reboot: PCRs are fresh, what it holds for ever stays."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        self._folder, self._port, self._control = folder, port, port + 1  # tpm2-tss expects it there
        self.tcti = f"swtpm:host=127.0.0.1,port={port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self._process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._folder}"),
                *("--server", f"type=tcp,bindaddr=127.0.0.1,port={self._port}"),
                *("--ctrl", f"type=tcp,bindaddr=127.0.0.1,port={self._control}"),
                *("--flags", "not-need-init,startup-clear"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._control), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("swtpm does not start") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Reboot."""
        self.stop()
        self.start()


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def soft_tpm(folder: Path, free_ports: Callable[[int], list[int]]) -> Iterator[SoftTpm]:
    """A running one, new; tests skip where swtpm or tpm2-tools are not installed."""
    if shutil.which("swtpm") is None or shutil.which("tpm2_unseal") is None:
        pytest.skip("swtpm and tpm2-tools are not installed")
    tpm = SoftTpm(folder, next(p for p in iter(lambda: free_ports(1)[0], 0) if _is_free(p + 1)))
    tpm.start()
    try:
        yield tpm
    finally:
        tpm.stop()
