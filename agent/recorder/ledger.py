"""Which capture files were ingested, and of the one being ingested which calls are whole: one small file each.

The folder `ingested/` of the capture log has a file for each run, named by the SHA-256 of the capture file's content
and the number of the run. Its first line says where the file is; a line follows for each call that is in the log for
good; when the run is over, a single line without path or calls is left. So a run that was cut off is taken up again
with nothing lost and nothing twice, and a file that was ingested is known by its content.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.vault.secretfile import sync_folder

FOLDER = "ingested"


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over, at UTC `at_ns`. `whole` is false when the file was gone before its end."""

    at_ns: int
    calls: int
    whole: bool = True


class Ledger:
    """The run `number` (from 1) of the capture file whose content has this SHA-256 (hex). Raises OSError."""

    def __init__(self, capture_dir: Path, digest: str, number: int) -> None:
        self.digest, self.number = digest, number
        self._path = capture_dir / FOLDER / f"{digest}.{number}"

    def begin(self, path: Path, at_ns: int) -> None:
        """The run begins; durable when this returns."""
        self._path.parent.mkdir(mode=0o750, exist_ok=True)
        with self._path.open("x", encoding="utf-8") as file:
            file.write(json.dumps({"path": str(path), "begun_ns": at_ns}))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)

    def ended(self, call_ids: list[str]) -> None:
        """These calls are whole and durable in the log; durable here when this returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines("\n" + json.dumps(call_id) for call_id in call_ids)  # a torn line before is ended
            file.flush()
            os.fsync(file.fileno())

    def finish(self, finished: Finished) -> None:
        """The run is over; durable when this returns."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"finished": asdict(finished)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        sync_folder(self._path.parent)

    def forget(self) -> None:
        """Nothing was recorded: as if it had never been tried."""
        self._path.unlink(missing_ok=True)

    def read(self) -> tuple[Path | None, set[str], Finished | None]:
        """Where the file is, the calls that are whole, and the end if the run is over. A torn line is none."""
        path, whole, finished = None, set(), None
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, str):
                whole.add(said)
            elif "finished" in said:
                finished = Finished(**said["finished"])
            else:
                path = Path(said["path"])
        return path, whole, finished


def runs(capture_dir: Path, digest: str = "") -> list[Ledger]:
    """All runs of one file, or of all files, the first run first."""
    found = []
    for path in (capture_dir / FOLDER).glob(f"{digest}*"):
        name, _, number = path.name.partition(".")
        if number.isdigit():
            found.append(Ledger(capture_dir, name, int(number)))
    return sorted(found, key=lambda ledger: (ledger.digest, ledger.number))
