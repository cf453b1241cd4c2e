"""The benchmarks run, say what they should, and lose and leak nothing; how fast is for them to say, not for a test."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from twins import why_no_core

ROOT = Path(__file__).parents[2]
NETWORKS = Path("/run/netns")


def run(name: str, *arguments: str) -> dict:
    """The one JSON object that a benchmark prints."""
    command = [sys.executable, "-m", f"bench.{name}", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict = json.loads(done.stdout)
    return result


def namespaces(pid: int) -> list[str]:
    """Network namespaces that the benchmark with this process id has made."""
    return [path.name for path in NETWORKS.glob(f"greffier-bench-{pid}-*")]


def programs_of(pid: int) -> dict[int, str]:
    """Children of a process."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {child: Path(f"/proc/{child}/comm").read_text().strip() for child in children}


@pytest.mark.slow
def test_media() -> None:
    result = run("media", "--calls", "10", "--seconds", "1.5")
    assert result["packets"] == 10 * 2 * int((5 + 1.5) * 50)
    assert (result["lost"], result["dropped_by_kernel"], result["media"]) == (0, 0, "ring")
    assert result["core"] == ("numpy" if why_no_core() else "c")
    measured = {"calls", "us_per_packet", "cpu_share", "p99_gate_ms", "rss_mb", "rss_per_call_kib"}
    assert measured | {"softirq_us_per_packet"} <= set(result)
    yardsticks = result["yardsticks"]
    ours = {"receive_only", "receive_only_numpy"}
    assert set(yardsticks) == ours | {"asyncio", "tcpdump", "dumpcap", "c_floor", "rtpengine", "rtpengine_relay_only"}
    assert all(one["does"] for one in yardsticks.values())
    here = {name: one for name, one in yardsticks.items() if "missing" not in one}
    assert {"asyncio", "tcpdump", "c_floor", "receive_only_numpy"} <= set(here), yardsticks
    assert all(one["packets"] > 0 and one["ratio"] >= 0 for one in here.values())
    assert all(one["lost"] == 0 for one in here.values()), here


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_benchmark_removes_its_namespaces(number: signal.Signals) -> None:
    heeding = ["env", "--default-signal"]  # what a shell runs in its background ignores the keyboard's
    command = [*heeding, sys.executable, "-m", "bench.media", "--calls", "2", "--seconds", "60", "--no-yardsticks"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while "generator" not in (children := programs_of(process.pid)).values():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    assert len(namespaces(process.pid)) == 2
    process.send_signal(number)
    assert process.wait(60) != 0
    assert namespaces(process.pid) == []
    assert not any(Path("/proc", str(child)).exists() for child in children)


@pytest.mark.slow
def test_namespaces_of_a_killed_benchmark_are_removed_by_the_next() -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    name = f"greffier-bench-{int(gone.stdout)}-far"
    subprocess.run(["ip", "netns", "add", name], check=True)
    with_one = "from bench.net import cable\nwith cable() as link: print(link.host)"
    done = subprocess.run([sys.executable, "-c", with_one], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "10.99.0.2\n"
    assert not (NETWORKS / name).exists()


@pytest.mark.slow
def test_plot(tmp_path: Path) -> None:
    results, picture, again = tmp_path / "results.json", tmp_path / "growth.png", tmp_path / "again.png"
    plot = [sys.executable, "-m", "bench.plot"]
    measure = ["--calls", "2", "4", "--seconds", "1.5", "--results", str(results), "--picture", str(picture)]
    subprocess.run([*plot, *measure], cwd=ROOT, check=True, capture_output=True, timeout=100)
    assert [one["calls"] for one in json.loads(results.read_text())] == [2, 4]
    subprocess.run([*plot, "--from", str(results), "--picture", str(again)], cwd=ROOT, check=True, timeout=60)
    assert picture.read_bytes()[:8] == again.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert 5_000 < picture.stat().st_size < 60_000


@pytest.mark.slow
def test_sip() -> None:
    result = run("sip", "--rate", "20", "--live", "40", "--seconds", "2")
    assert (result["calls"], result["completed"], result["refused"]) == (80, 80, 0)
    assert result["measured_calls"] == 40 and 30 <= result["live"] <= 50
    assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_pause() -> None:
    result = run("pause", "--calls", "8", "--presses", "6")
    assert len(result["ways"]) == 9 and all(way["presses"] == 12 for way in result["ways"].values())
    assert result["leaked_samples"] == result["leaked_by_marks"] == 0 and result["written_samples"] > 0


@pytest.mark.slow
def test_media_of_a_mirror_port() -> None:
    result = run("media", "--calls", "10", "--seconds", "1.5", "--no-yardsticks", "--tap", "span")
    assert result["packets"] == 10 * 2 * int((5 + 1.5) * 50)
    assert (result["lost"], result["dropped_by_kernel"], result["media"]) == (0, 0, "mirror port")


@pytest.mark.slow
def test_transcribe(speech) -> None:
    result = run("transcribe", "--seconds", "5", "--most-calls", "1", "--sizes", "tiny", "--utterances", "40")
    assert set(result) == {"live", "padded", "final", "redaction", "silence_cpu", "line_noise_cpu", "rss_mb", "device"}
    assert result["live"]["tiny"]["calls_at_p95_3s"] in (0, 1)
    assert {"recall", "false_per_1000_words"} <= set(result["redaction"])
    (step,) = result["live"]["tiny"]["steps"]
    assert step["calls"] == 1 and step["windows"] > 0 and step["cpu_cores"] > 0
    assert result["padded"]["tiny"]["steps"][0]["calls"] == 1
    final = result["final"]["tiny"]
    assert final["cpu_s_per_hour"] > 0 and final["seconds"] >= 120 and final["windows"] >= final["fewest"] >= 4
    assert result["rss_mb"]["tiny"] > 50


def test_redaction() -> None:
    result = run("redaction", "--utterances", "40")["redaction"]
    assert {"recall", "false_per_1000_words", "by_form", "us_per_word"} <= set(result)
    assert 0 < result["word_thread"]["core_share"] < result["word_thread"]["rereading"]
    assert result["utterances"] == 40 and result["words"] > 2000


def test_forgetting() -> None:
    result = run("forgetting", "--rows", "20000")
    assert result["rows"] == 20000 and result["deleted"] == 98, "two of the hundred wait for their destination"
    assert result["deletions_per_s"] > 0
    assert {"sweep_none_due_s", "plan_orders_s", "plan_again_s", "retention_plan_s"} <= set(result)


@pytest.mark.slow
def test_guard(speech) -> None:
    result = run("guard", "--numbers", "3", "--shifts", "1", "--ordinary-seconds", "3")["guard"]
    assert set(result) == {"scripted_fr", "scripted_en", "loaded_fr", "sphinx_digits", "sphinx_ordinary"}
    for name, count in (("scripted_fr", 3), ("scripted_en", 3), ("loaded_fr", 3), ("sphinx_digits", 4)):
        assert result[name]["numbers"] == count and 0 <= result[name]["hit_rate"] <= 1
    assert result["scripted_fr"]["hours"] > 0.1 and result["sphinx_ordinary"]["hours"] > 0


@pytest.mark.slow
def test_custody() -> None:
    figures = run(
        "custody", "--only", "verify", "finalise", "sweep", "--lines", "2000", "--calls", "1", "--rows", "5000"
    )
    result = figures["verify"]
    assert (result["lines"], result["checkpoints"], result["problems"]) == (2000, 40, 0)
    assert result["found"] >= 1, "a changed bit is named"
    assert result["seconds"] > 0 and result["ratio"] > 0
    assert all(figures["finalise"][kind]["times_real_time"] > 0 for kind in ("evidence", "site"))
    assert set(figures["missed"]) <= {"finalise"}


@pytest.mark.slow
def test_offline() -> None:
    result = run("offline", "--calls", "200")["offline"]
    assert (result["calls"], result["lost"], result["duplicated"]) == (200, 0, 0)
    assert result["artifacts"] == 200 * 2 + 50 * 3 + 20 * 3 and result["failures_said"] == 1
    assert result["lines_again"] <= 6, "one for each upload that the kill cut off"
    assert set(result["rss_mb"]) == {"before", "waiting", "recovered", "most"}


@pytest.mark.slow
def test_sync() -> None:
    result = run("sync", "--calls", "2", "--rounds", "1")["sync"]
    for figures in (result, result["line"]):
        assert figures["files"] == 16 and figures["ratio"] > 0 and figures["ratio_verified"] > 0
