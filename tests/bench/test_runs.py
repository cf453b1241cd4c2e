"""The benchmarks run, say what they should, and lose and leak nothing; how fast is for them to say, not for a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name: str, *arguments: str) -> dict:
    """The one JSON object that a benchmark prints."""
    command = [sys.executable, "-m", f"bench.{name}", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict = json.loads(done.stdout)
    return result


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="tcpdump as a yardstick needs root")
def test_media() -> None:
    result = run("media", "--calls", "10", "--seconds", "2")
    assert result["packets"] == 10 * 2 * (5 + 2) * 50
    assert (result["lost"], result["dropped_by_kernel"], result["media"]) == (0, 0, "ring")
    assert {"asyncio", "tcpdump"} <= set(result["times_cheaper_than"]) <= {"asyncio", "tcpdump", "dumpcap", "c_floor"}
    assert set(result["yardsticks"]) == {"asyncio", "tcpdump", "dumpcap", "c_floor"}
    assert all(one["packets"] == result["packets"] for one in result["yardsticks"].values() if "packets" in one)


@pytest.mark.slow
def test_pause() -> None:
    result = run("pause", "--calls", "8")
    assert result["presses"] == 8 * 5 * 2
    assert result["leaked_samples"] == 0 and result["written_samples"] > 0
