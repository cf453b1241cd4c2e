"""Real S3 servers for the tests: rclone (files on disk) and moto, on loopback, stopped by their own process id."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config
from certificates import Issued

from agent.config.destinations import S3Section

ACCESS, SECRET = "AKIAGREFFIERTEST", "secretsecretsecretsecret"
RCLONE = Path(sysconfig.get_path("scripts")) / "rclone"


class S3Server:
    """One server process; `kill` and `start` again keep its port, and with rclone its files."""

    def __init__(self, command: list[str], port: int, folder: Path | None, scheme: str = "http") -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers HTTP."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command[0]} does not answer")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            httpx.get(self.url, timeout=1, verify=False)  # whoever answers
        except httpx.HTTPError:
            return False
        return True

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self):
        """A boto3 client of the test's own."""
        config = Config(
            s3={"addressing_style": "path"},
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
        )
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=config,
        )

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        self.client().create_bucket(Bucket=name)


def rclone(port: int, folder: Path, shown: Issued | None = None) -> S3Server:
    """`rclone serve s3` over a folder; by TLS if it has a certificate to show."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(RCLONE), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS},{SECRET}"]
    command += ["--config", "", "--vfs-cache-mode", "off"]
    if shown is not None:
        command += ["--cert", str(shown.certificate), "--key", str(shown.key)]
    return S3Server([*command, str(folder)], port, folder, "http" if shown is None else "https")


def moto(port: int) -> S3Server:
    """`moto_server`, which keeps everything in memory."""
    return S3Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, None)


def webdav(port: int, folder: Path, shown: Issued) -> S3Server:
    """`rclone serve webdav` over a folder, by TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(RCLONE), "serve", "webdav", "--addr", f"127.0.0.1:{port}", "--cert", str(shown.certificate)]
    more = ["--key", str(shown.key), "--config", "", "--vfs-cache-mode", "off", "--dir-cache-time", "0", str(folder)]
    return S3Server([*command, *more], port, folder, "https")


@contextmanager
def running(server: S3Server) -> Iterator[S3Server]:
    """The server, started, and gone at the end."""
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Uploads:
    """UploadState that remembers in memory, and all it was told."""

    def __init__(self) -> None:
        self.upload_id: str | None = None
        self.seen: list[str | None] = []

    def remember(self, upload_id: str | None) -> None:
        self.upload_id = upload_id
        self.seen.append(upload_id)


def s3_section(server: S3Server, credentials: Path, bucket: str = "recordings", **more: object) -> S3Section:
    """As greffier.toml would have it."""
    where = {"kind": "s3", "bucket": bucket, "credentials_file": credentials, "endpoint_url": server.url}
    return S3Section.model_validate(where | more)


def write_credentials(path: Path, secret: str = SECRET, mode: int = 0o600) -> Path:
    """A credentials file as the configuration names it."""
    path.write_text(f'access_key_id = "{ACCESS}"\nsecret_access_key = "{secret}"\n')
    path.chmod(mode)
    return path


def needs(program: str, package: str) -> None:
    """Skips the test where a program of a Debian package is absent, but fails in CI. `install.sh` does not install
    packages that start a server of their own."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None:
        return
    if os.environ.get("GREFFIER_REQUIRE_SHARED"):
        pytest.fail(f"{program} is required here and absent: apt-get install {package}")
    pytest.skip(f"{program} is absent: apt-get install {package}")


class Counting:
    """A throttle that lets everything go and counts it."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def take(self, count: int) -> None:
        self.taken.append(count)
