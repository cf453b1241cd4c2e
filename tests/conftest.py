"""What every test may use: the folder of shared speech, free ports, and a place for modules shared by test folders."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import running_site

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def speech() -> Path:
    """Folder of real speech with `manifest.csv`; tests skip where it is absent, but never in CI."""
    folder = SHARED / "speech"
    if not (folder / "manifest.csv").exists():
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail(f"{folder} is required here and absent")
        pytest.skip("the shared speech folder is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """`free_ports(2)` → ports of 127.0.0.1 that were free for TCP and UDP a moment ago."""
    return running_site.free_ports


@pytest.fixture
def free_port(free_ports: Callable[[int], list[int]]) -> int:
    """One such port."""
    return free_ports(1)[0]


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
