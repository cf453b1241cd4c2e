"""Runs targets, each in a process of its own with limits on memory and time, as many at once as there are cores.

Prints a line a target: executions, coverage, result. Exit status 1 when something was found; the line names the file
with the input that does it again.
"""

import argparse
import hashlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
TARGETS = tuple(sorted(p.stem for p in (Path(__file__).parent / "targets").glob("[a-z]*.py")))
LONGEST_INPUT = 4096
MEMORY_MIB = 1024
SLOWEST_INPUT_S = 10
ROUND, ROUND_S = 100_000, 60
"""Executions or seconds after which a process is begun anew with the inputs found so far: atheris leaks kB in each."""
_PROGRESS = re.compile(r"^(?:#\d|INFO: |WARNING: ).*\n", re.MULTILINE)
_FOUND = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True)
class Run:
    """What came of fuzzing one target. `found` is the file that does it again, `told` what was printed of it."""

    target: str
    executions: int
    covered: int
    found: Path | None
    told: str
    clean: bool

    def line(self) -> str:
        """For people."""
        result = "clean" if self.clean else f"FOUND {self.found or 'no input kept'}"
        return f"{self.target:<14}{self.executions:>12,} executions{self.covered:>8,} edges  {result}"


def fuzz(module: str, seconds: int, corpus: Path, findings: Path) -> Run:
    """Fuzz the target in `module`; new inputs go to a folder of its name in `corpus`, what breaks it to `findings`."""
    target = module.rpartition(".")[2]
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    given = [str(folder), f"-dict={_plant(module, folder)}", f"-artifact_prefix={findings}/{target}-"]
    until, executions = time.monotonic() + seconds, 0
    while True:
        told, status = _round(module, max(1, min(ROUND_S, int(until - time.monotonic()))), given)
        executions += int(_last(r"number_of_executed_units: (\d+)", told))
        found = _FOUND.search(told)
        clean = status == 0 and found is None
        if not clean or time.monotonic() >= until - 1:
            covered = int(_last(r"^#\d+.*? cov: (\d+) ft:", told))
            return Run(target, executions, covered, Path(found[1]) if found else None, told, clean)


def _round(module: str, seconds: int, given: Sequence[str]) -> tuple[str, int]:
    command = [sys.executable, "-m", "fuzz.one", module, *given, f"-max_total_time={seconds}", f"-runs={ROUND}"]
    command += [f"-max_len={LONGEST_INPUT}", f"-rss_limit_mb={MEMORY_MIB}", f"-timeout={SLOWEST_INPUT_S}"]
    command += ["-print_final_stats=1"]
    path = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    return done.stderr + done.stdout, done.returncode


def _last(pattern: str, text: str) -> str:
    return (re.findall(pattern, text, re.MULTILINE) or ["0"])[-1]


def _plant(module: str, folder: Path) -> Path:
    """Put the seeds in the corpus; returns the dictionary, which lies beside it."""
    target = importlib.import_module(module)
    for seed in target.SEEDS:
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in getattr(target, "WORDS", (b"\0",)))
    dictionary = folder.with_suffix(".dict")
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    return dictionary


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    sys.path[:0] = [str(TESTS)]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what peers can send.")
    parser.add_argument("target", choices=[*TARGETS, "all"], nargs="+")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--corpus", type=Path, help="folder to keep inputs in, and to begin with (a temporary one)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for what breaks a target")
    options = parser.parse_args(arguments)
    targets = TARGETS if "all" in options.target else tuple(dict.fromkeys(options.target))
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        corpus = (options.corpus or Path(temporary)).resolve()
        waiting = [
            pool.submit(fuzz, f"fuzz.targets.{t}", options.seconds, corpus, options.findings.resolve()) for t in targets
        ]
        runs = []
        for one in waiting:
            runs.append(one.result())
            print(runs[-1].line(), flush=True)
            if not runs[-1].clean:
                print(_PROGRESS.sub("", runs[-1].told)[-4000:], file=sys.stderr, flush=True)
    return 0 if all(run.clean for run in runs) else 1
