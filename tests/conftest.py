"""What every test may use: real speech, a speech model of random weights, free ports, a small full disk.

Modules shared by test folders (`encoders`, `running_site`, `scripted_engine`, `servers`) lie beside this file; import
them plainly.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from rados_gateway import RadosGateway, rados_gateway

from agent.commands.demo_site import free_ports as find_free_ports
from bench import random_whisper

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""No test depends on how fast the machine is."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def speech() -> Callable[[str], np.ndarray]:
    """`speech("jfk.flac")` → mono int16 at 8 kHz of real speech; tests skip where it is absent, but never in CI."""
    folder = SHARED / "speech"
    if not (folder / "manifest.csv").exists():
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail(f"{folder} is required here and absent")
        pytest.skip("the shared speech folder is not beside this checkout")

    def read(name: str) -> np.ndarray:
        with av.open(str(folder / name)) as container:
            rate = container.streams.audio[0].rate
            resampler = av.AudioResampler("s16", "mono", rate)
            frames = [f for raw in container.decode(audio=0) for f in resampler.resample(raw)]
            frames += resampler.resample(None)
        pcm = np.concatenate([f.to_ndarray()[0] for f in frames])
        return np.asarray(soxr.resample(pcm, rate, 8000), dtype=np.int16)

    return read


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights."""
    return random_whisper.build(tmp_path_factory.mktemp("model") / "whisper-random")


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """`free_ports(2)` → ports of 127.0.0.1 that were free for TCP and UDP a moment ago."""
    return find_free_ports


@pytest.fixture
def free_port(free_ports: Callable[[int], list[int]]) -> int:
    """One such port."""
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]) -> Iterator[RadosGateway]:
    """An S3 server that locks objects. Tests of a module share it and make buckets of their own; it ends with them,
    because it takes most of a core while it idles."""
    with rados_gateway(tmp_path_factory.mktemp("rgw"), free_ports(2)) as made:
        yield made


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, soon full. Tests skip where mounting is not allowed, but never in CI."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail("mounting a small tmpfs is required here and not allowed")
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
