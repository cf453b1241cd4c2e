"""Three days without a network, and their recovery: `python -m bench.offline [--calls N] [--folder DIR] --json`.

A site of 100 agents takes about 20,000 calls in three days. They are filed as the scribe files them, by a clock that
passes three days, while the real courier tries to reach a folder on a share that is not mounted, about as often as it
would in three days. Then the share is there; a quarter of the way the courier is killed (SIGKILL) and started again.

`lost`: calls of which any artifact is not at the centre, whole and the very bytes. `duplicated`: files that were put in
place there more than once (the kernel's own word: inotify), or that are of no artifact. `lines_again`: deliveries that
have two lines in the journal, which the kill may cause, once for each upload at that moment. `rss_mb` is the courier's:
before the first call, when everything waits, when everything has gone, and the most it had meanwhile. Files are in
memory, if that is possible: the rates are those of the programs, not of a disk.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from agent.forward.destination import sha256_of
from agent.model.purpose import ArtifactKind
from agent.store.journal import read
from agent.vault.age import decrypt
from bench.arrivals import Arrivals
from bench.cpu import cpu_s, rss_kib
from bench.outbox import PURPOSES, Box, Contents, memory_folder

CALLS = 20_000
DAYS_NS = 3 * 86_400 * 1_000_000_000
EVIDENCE_EVERY, TRAINING_EVERY = 10, 4
"""Of all calls, analytics takes each."""
TEXT: Contents = {ArtifactKind.TRANSCRIPT: 3_000, ArtifactKind.MANIFEST: 1_500}
SPEECH: Contents = {ArtifactKind.AUDIO: 8_000} | dict(TEXT)
KILL_AT = 0.25
PATIENCE_S = 900.0
CONFIG = """
[courier]
poll_s = 0.05
retry_first_s = 0.05
retry_max_s = 0.1
[destination.centre]
kind = "folder"
path = "share/centre"
"""


class Share:
    """A share that is mounted later, watched before anything can arrive."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._elsewhere = place.with_name("elsewhere")
        self.centre = place / "centre"
        folders = [self._elsewhere / "centre" / purpose for purpose in PURPOSES]
        for folder in folders:
            folder.mkdir(parents=True)
        self.arrivals = Arrivals(folders)

    def mount(self) -> None:
        """From now on it is there."""
        self._elsewhere.rename(self._place)


def measure_offline(calls: int, folder: Path) -> dict[str, object]:
    """The figures; rates by the second."""
    now_ns = time.time_ns() - DAYS_NS
    box = Box(folder / "box", CONFIG, lambda: now_ns)
    share = Share(folder / "box" / "share")
    rss_mb: dict[str, float] = {}
    with box.courier() as courier:
        _wait("the courier", lambda: bool(box.catalog._base.rows("SELECT 1 FROM lanes")))
        time.sleep(1)
        rss_mb["before"] = _mb(courier.pid)
        begun_s = time.monotonic()
        for number in range(calls):
            parts = {"analytics": TEXT}
            parts |= {"training": SPEECH} if number % TRAINING_EVERY == 0 else {}
            parts |= {"evidence": SPEECH} if number % EVIDENCE_EVERY == 0 else {}
            box.file(f"{number:032x}", parts)
            now_ns += DAYS_NS // calls
        filed_s = time.monotonic() - begun_s
        _wait("an attempt", lambda: bool(box.catalog.lanes.lane("centre").failing))
        rss_mb["waiting"] = _mb(courier.pid)
        artifacts = box.waiting
        attempts = box.catalog._base.rows("SELECT sum(attempts) AS n FROM artifacts")[0]["n"]
        spells = sum(line.kind == "delivery.failed" for line in read(box.settings.journal_dir))
        begun_s = time.monotonic()
        share.mount()
        _wait("deliveries", lambda: box.waiting <= artifacts * (1 - KILL_AT))
        courier.kill()
        courier.wait()
    with box.courier() as courier:
        _wait("all", lambda: box.waiting == 0)
        recovered_s = time.monotonic() - begun_s
        rss_mb["recovered"] = _mb(courier.pid)
        rss_mb["most"] = _most_mb(courier.pid)
        cpu_ms = 1000 * cpu_s(courier.pid) / (artifacts * (1 - KILL_AT))
    share.arrivals.close()
    lines = Counter(str(x.fields["path"]) for x in read(box.settings.journal_dir) if x.kind == "delivered")
    return {
        "calls": calls,
        "artifacts": artifacts,
        "attempts_meanwhile": attempts,
        "failures_said": spells,
        **_found(box, share),
        "lines_again": sum(count - 1 for count in lines.values()),
        "filed_per_s": round(artifacts / filed_s),
        "delivered_per_s": round(artifacts / recovered_s),
        "cpu_ms_each": round(cpu_ms, 2),
        "rss_mb": rss_mb,
    }


def _found(box: Box, share: Share) -> dict[str, int]:
    """What is at the centre, against the catalog."""
    lost: list[str] = []
    known = set()
    for artifact in box.catalog.artifacts():
        path = share.centre / artifact.path
        known.add(path)
        if not path.is_file() or sha256_of(path) != artifact.cipher_sha256:
            lost.append(artifact.call_id)
        elif artifact.call_id.endswith("00"):  # opening all of them would measure age
            decrypt(path.read_bytes(), box.secrets[artifact.purpose])
    strangers = [path for path in share.centre.rglob("*") if path.is_file() and path not in known]
    twice = [path for path, count in share.arrivals.count.items() if count > 1]
    if share.arrivals.overflowed or len(share.arrivals.count) < len(known) - len(lost):
        raise RuntimeError("arrivals were not seen: what came twice is not known")
    return {"lost": len(set(lost)), "duplicated": len(twice) + len(strangers)}


def _wait(what: str, there: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not there():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what}: not within {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def _mb(pid: int) -> float:
    return round(rss_kib(pid) / 1024, 1)


def _most_mb(pid: int) -> float:
    """proc(5), VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def main() -> None:
    """Print the figures; exit 1 when anything was lost or came twice."""
    parser = argparse.ArgumentParser(prog="python -m bench.offline", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--folder", type=Path, help="where files are; in memory without it")
    parser.add_argument("--json", action="store_true", help="for programs")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.folder or memory_folder()) as folder:
        figures = measure_offline(wanted.calls, Path(folder))
    print(json.dumps({"offline": figures}, indent=None if wanted.json else 2))
    sys.exit(bool(figures["lost"] or figures["duplicated"]))


if __name__ == "__main__":
    main()
