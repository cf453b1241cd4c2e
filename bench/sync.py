"""How fast delivery is beside boto3 alone: `python -m bench.sync [--calls N] [--rounds N] --json`.

The artifacts of some calls of three minutes on average (FLAC, Opus and texts), as a site makes
them, go to the S3 server
of `rclone` on this machine: by a lane with the real catalog, journal and destination, and by boto3's `upload_file` from
as many threads. Both, in turn, several rounds, each to a bucket of its own; the medians count.

A lane does more than boto3: it reads the file's digest, asks whether the object is there, reads the object back and
compares, and writes two durable records. `ratio` is its rate to boto3's, which does nothing of that; `ratio_verified`
to boto3's when every object is then downloaded and compared too. `line`: the same over a line of so many Mbit/s each
way (a TCP proxy with a token bucket), where not the processors of this machine decide.
"""

import argparse
import hashlib
import json
import logging
import random
import statistics
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import structlog
from botocore.config import Config

from agent.commands.demo_site import free_ports
from agent.config.destinations import S3Section
from agent.courier.lane import Lane
from agent.courier.valve import Valve
from agent.forward.opening import open_destination
from agent.forward.throttle import TokenBucket
from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.policy.calendar import FRANCE
from agent.store.journal import Journal
from bench.line import line
from bench.outbox import Box, Contents, memory_folder

CALLS, ROUNDS = 30, 3
LINE_MBIT = 100.0
KEY, SECRET = "AKIAGREFFIERBENCH", "secret-of-the-benchmark-only"
FLAC_S, OPUS_S, TEXT_S, MANIFEST = 16_000, 4_000, 120, 3_000
"""Bytes a second of a call, and of any manifest."""
MEAN_S, LEAST_S = 180.0, 20.0
CONFIG = """
[destination.centre]
kind = "s3"
bucket = "centre"
endpoint_url = "{url}"
credentials_file = "s3.toml"
"""


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """The port of an S3 server that keeps objects under `folder`."""
    folder.mkdir()
    (port,) = free_ports(1)
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    command = [str(program), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    command += ["--config", "", "--vfs-cache-mode", "off", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def lengths_s(calls: int) -> list[float]:
    """How long calls are: as calls are, most of them short; the same each time."""
    dice = random.Random(6)
    return [LEAST_S + dice.expovariate(1 / (MEAN_S - LEAST_S)) for _ in range(calls)]


def parts_of(seconds: float) -> dict[str, Contents]:
    """What a call of this length leaves to each purpose."""
    texts = {ArtifactKind.TRANSCRIPT: int(TEXT_S * seconds), ArtifactKind.MANIFEST: MANIFEST}
    return {
        "evidence": {ArtifactKind.AUDIO: int(FLAC_S * seconds), **texts},
        "training": {ArtifactKind.AUDIO: int(OPUS_S * seconds), **texts},
        "analytics": texts,
    }


class Sides:
    """Both sides, with the same artifacts to the server at `url`."""

    def __init__(self, folder: Path, url: str, calls: int) -> None:
        self._url = url
        self._box = Box(folder, CONFIG.format(url=url))
        centre = self._box.settings.destination["centre"]
        assert isinstance(centre, S3Section)
        self._parallel = centre.parallel
        (folder / "s3.toml").write_text(f'access_key_id = "{KEY}"\nsecret_access_key = "{SECRET}"\n', encoding="ascii")
        (folder / "s3.toml").chmod(0o600)
        self.artifacts: list[Artifact] = []
        for number, seconds in enumerate(lengths_s(calls)):
            self.artifacts += self._box.file(f"{number:032x}", parts_of(seconds))
        self.size = sum(a.size_bytes for a in self.artifacts)

    def lane(self) -> float:
        """Seconds that delivery takes."""
        self._bucket("centre")
        box, stop = self._box, threading.Event()
        section = box.settings.destination["centre"]
        assert isinstance(section, S3Section)
        box.catalog._base.run("UPDATE artifacts SET delivery = 'waiting', sent_ns = NULL")
        journal = Journal(box.settings.journal_dir, "courier", time.time_ns)
        valve = Valve("centre", section.bandwidth(), FRANCE, box.catalog.lanes, time.time_ns, time.monotonic)
        throttle = TokenBucket(valve.rate, time.monotonic, stop.wait)
        part_bytes = box.settings.courier.part_mib << 20
        places = [open_destination("centre", section, part_bytes, throttle) for _ in range(section.parallel)]
        lane = Lane(places, valve, (), box.settings.courier, box.outbox, box.catalog, journal, stop)
        begun_s = time.monotonic()
        running = threading.Thread(target=lane.run)
        running.start()
        while box.waiting:
            time.sleep(0.05)
        took_s = time.monotonic() - begun_s
        stop.set()
        running.join()
        journal.close()
        return took_s

    def boto3(self, *, verified: bool) -> float:
        """Seconds that boto3 takes."""
        name = "verified" if verified else "plain"
        self._bucket(name)
        box, client = self._box, self._client()

        def send(artifact: Artifact) -> None:
            client.upload_file(str(box.outbox / artifact.path), name, artifact.path)
            if verified:
                back = client.get_object(Bucket=name, Key=artifact.path)["Body"].read()
                if hashlib.sha256(back).hexdigest() != artifact.cipher_sha256:
                    raise RuntimeError("what came back is not what was sent")

        begun_s = time.monotonic()
        with ThreadPoolExecutor(self._parallel) as threads:
            list(threads.map(send, self.artifacts))
        return time.monotonic() - begun_s

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def _bucket(self, name: str) -> None:
        """There and empty."""
        client = self._client()
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)
        for artifact in self.artifacts:
            client.delete_object(Bucket=name, Key=artifact.path)


def measure(folder: Path, url: str, calls: int, rounds: int) -> dict[str, float]:
    """The figures at one server."""
    sides = Sides(folder, url, calls)
    ways: dict[str, Callable[[], float]] = {
        "lane": sides.lane,
        "boto3": lambda: sides.boto3(verified=False),
        "boto3_verified": lambda: sides.boto3(verified=True),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(way())
    median = {name: statistics.median(times) for name, times in took.items()}
    figures = {f"{name}_mb_per_s": round(sides.size / seconds / 1e6, 1) for name, seconds in median.items()}
    return figures | {
        "mb": round(sides.size / 1e6, 1),
        "files": len(sides.artifacts),
        "ratio": round(median["boto3"] / median["lane"], 2),
        "ratio_verified": round(median["boto3_verified"] / median["lane"], 2),
    }


def measure_sync(calls: int, rounds: int, folder: Path) -> dict[str, Any]:
    """On this machine, and over a line."""
    with server(folder / "s3") as port:
        here = measure(folder / "here", f"http://127.0.0.1:{port}", calls, rounds)
        with line(port, LINE_MBIT) as near:
            far = measure(folder / "far", f"http://127.0.0.1:{near}", calls, rounds)
    return here | {"line": far | {"mbit": LINE_MBIT}}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path, help="where files are; in memory without it")
    parser.add_argument("--json", action="store_true", help="for programs")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(dir=wanted.folder or memory_folder()) as folder:
        figures = measure_sync(wanted.calls, wanted.rounds, Path(folder))
    print(json.dumps({"sync": figures}, indent=None if wanted.json else 2))


if __name__ == "__main__":
    main()
