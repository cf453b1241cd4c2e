"""Custody measured: `python -m bench.custody [--only NAME …] --json`. Takes about ten minutes; nothing else may run.

`finalise` (`bench.finalise`), `verify` (`bench.verifying`), `sweep` (`bench.forgetting`), `offline` (`bench.offline`)
and `sync` (`bench.sync`) say in their own modules what their figures are. Exit 1: something was lost, came twice, or a
limit was not kept. `missed` names the aims that were not reached.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bench import forgetting, offline, sync, verifying
from bench.finalise import measure_finalise
from bench.outbox import memory_folder

AIMS: dict[str, Callable[[Any], bool]] = {
    "finalise": lambda f: f["site"]["times_real_time"] >= 500,
    "verify": lambda f: f["seconds"] <= 5 and f["problems"] == 0,
    "sweep": lambda f: f["sweep_few_due_s"] <= 10,
    "offline": lambda f: f["lost"] == 0 and f["duplicated"] == 0,
    "sync": lambda f: f["ratio"] >= 0.8,
}
MUST = ("verify", "sweep", "offline")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.custody", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(AIMS), default=list(AIMS))
    parser.add_argument("--calls", type=int, default=20, help="of finalise, three minutes each")
    parser.add_argument("--lines", type=int, default=verifying.LINES)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--offline-calls", type=int, default=offline.CALLS)
    parser.add_argument("--sync-calls", type=int, default=sync.CALLS)
    parser.add_argument("--json", action="store_true", help="for programs")
    wanted = parser.parse_args()
    measures: dict[str, Callable[[Path], Any]] = {
        "finalise": lambda folder: measure_finalise(wanted.calls, folder),
        "verify": lambda folder: verifying.measure_verify(wanted.lines, folder),
        "sweep": lambda folder: forgetting.measure(wanted.rows, folder),
        "offline": lambda folder: offline.measure_offline(wanted.offline_calls, folder),
        "sync": lambda folder: sync.measure_sync(wanted.sync_calls, sync.ROUNDS, folder),
    }
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures: dict[str, Any] = {}
    for name in wanted.only:
        with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
            figures[name] = measures[name](Path(folder))
    figures["missed"] = [name for name in wanted.only if not AIMS[name](figures[name])]
    print(json.dumps(figures, indent=None if wanted.json else 2))
    sys.exit(any(name in MUST for name in figures["missed"]))


if __name__ == "__main__":
    main()
