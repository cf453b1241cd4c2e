"""OpenSSH's own server on loopback, with a host key and a user key made for the test, for SFTP only."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SSHD = Path("/usr/sbin/sshd")


@dataclass(frozen=True)
class SshServer:
    """Where it listens, who may come in, and the line that pins it."""

    port: int
    user: str
    key_file: Path
    known_hosts_file: Path
    folder: Path

    def section(self, **more: object) -> dict[str, object]:
        """As greffier.toml would have it."""
        return {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "key_file": self.key_file,
            "known_hosts_file": self.known_hosts_file,
            "folder": str(self.folder),
        } | more


def make_key(path: Path) -> Path:
    """A new key pair: `path` and `path`.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
    return path


def host_line(port: int, public: Path) -> str:
    """The line of known_hosts that pins a key of 127.0.0.1."""
    return f"[127.0.0.1]:{port} {public.read_text()}"


@contextmanager
def sshd(root: Path, port: int, folder: Path) -> Iterator[SshServer]:
    """The server, started, and gone at the end. `folder` is where files are to go."""
    root.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    host_key, key = make_key(root / "host_key"), make_key(root / "user_key")
    (root / "authorized").write_text(key.with_suffix(".pub").read_text())
    known_hosts = root / "known_hosts"
    known_hosts.write_text(host_line(port, host_key.with_suffix(".pub")))
    (root / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {root}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "Subsystem sftp internal-sftp\nForceCommand internal-sftp\nLogLevel VERBOSE\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its folder without rights, made by its unit elsewhere
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", root / "sshd_config"], stderr=log)
    try:
        _wait(port, process)
        yield SshServer(port, getpass.getuser(), key, known_hosts, folder)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("sshd does not answer") from None
            time.sleep(0.02)
