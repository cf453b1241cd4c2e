"""Checking what was taken back: that it is gone here, and that word of it was sent, signed and written in the journal.

Without a key the rows of the catalog, the files and the journal are held against each other; with a purpose's key its
tombstones (`greffier-tombstone-1`, docs/artifacts.md) are opened too. Corrections that are still open are left alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.model.artifact import Artifact
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.journal import JournalLine
from agent.store.report import Report, inside, opened, sha256_of
from agent.store.rows import CorrectionRow
from agent.vault.manifest import BadManifest, check_manifest
from agent.vault.signing import Trusted

FORMAT = "greffier-tombstone-1"
_SAYS = {"mask": "masked", "drop": "dropped"}


class Tombstones:
    """The calls of which something was taken back; `hear` the good lines of the journal first, then `check`."""

    def __init__(self, catalog: Catalog, outbox_dir: Path, public: Trusted, identities: Sequence[str]) -> None:
        self._catalog, self._outbox = catalog, outbox_dir
        self._public, self._identities = public, identities
        self._before = {call_id: catalog.corrections.of_call(call_id) for call_id in catalog.corrections.calls()}
        """Corrections as they stood before the journal was read: what was done by then must be in it."""
        self._done: set[tuple[str, str]] = set()
        """Kind of a line, and the number of the correction that it speaks of."""
        self._made: set[tuple[object, object]] = set()
        """Path and digest of what was filed."""
        self._deleted: set[object] = set()

    def hear(self, line: JournalLine) -> None:
        """Remember a line, if it is of such a call."""
        if line.call_id not in self._before:
            return
        if line.kind in _SAYS.values():
            self._done.add((line.kind, str(line.fields.get("key"))))
        elif line.kind == "derived":
            self._made.add((line.fields.get("path"), line.fields.get("cipher_sha256")))
        elif line.kind == "local.deleted":
            self._deleted.add(line.fields.get("path"))

    def check(self, report: Report) -> None:
        """Everything of every such call."""
        for call_id, before in sorted(self._before.items()):
            rows, artifacts = self._catalog.corrections.of_call(call_id), self._catalog.artifacts(call_id=call_id)
            for purpose in sorted({row.purpose for row in rows}):
                mine = [row for row in rows if row.purpose == purpose]
                if all(row in before and not row.is_open for row in mine):
                    done = [row for row in mine if row.state == "done" and not row.detail]
                    self._purpose(call_id, done, [a for a in artifacts if a.purpose == purpose], report)

    def _purpose(self, call_id: str, done: list[CorrectionRow], artifacts: list[Artifact], report: Report) -> None:
        for row in done:
            report.count("corrections")
            if (_SAYS[row.verb], str(row.number)) not in self._done:
                report.bad(f"{row.purpose}/{call_id}", f"a {row.verb} was done that is not in the journal")
        corrections = self._catalog.corrections
        withdrawn = corrections.withdrawn(call_id)
        graves = [a for a in artifacts if a.kind is ArtifactKind.TOMBSTONE]
        named: set[str] | None = set()
        for grave in graves:
            paths = self._grave(grave, done, {a.path: a for a in artifacts if a.artifact_id in withdrawn}, report)
            named = None if named is None or paths is None else named | paths
        dropped = any(row.verb == "drop" for row in done)
        for artifact in artifacts:
            if artifact.artifact_id in withdrawn:
                self._gone(artifact, report)
                left = corrections.may_have_left(artifact.artifact_id)
                if left and (not graves or (named is not None and artifact.path not in named)):
                    report.bad(artifact.path, "had left, and no tombstone calls it back")
            elif dropped and artifact.kind is not ArtifactKind.TOMBSTONE:
                report.bad(artifact.path, "is of a purpose that was dropped, and was not taken back")

    def _gone(self, artifact: Artifact, report: Report) -> None:
        if (self._outbox / artifact.path).exists() or self._catalog.is_local(artifact.artifact_id):
            report.bad(artifact.path, "was taken back, and is still here")
        elif artifact.path not in self._deleted:
            report.bad(artifact.path, "was taken back, and no line of the journal says that it was deleted")

    def _grave(
        self, grave: Artifact, done: list[CorrectionRow], withdrawn: dict[str, Artifact], report: Report
    ) -> set[str] | None:
        """One tombstone; returns the paths it names, None when it cannot be opened here."""
        report.count("tombstones")
        if (grave.path, grave.cipher_sha256) not in self._made:
            report.bad(grave.path, "no line of the journal says that it was made")
        asked = [row for row in done if grave.path == path_of(row)]
        if not asked:
            report.bad(grave.path, "calls back what nobody asked to be masked or dropped")
        plain = opened(self._outbox / grave.path, self._identities)
        if plain is None:
            return None
        try:
            body, listed = read(plain, self._public)
        except BadManifest as error:
            report.bad(grave.path, str(error))
            return set()
        said = (body.get("call"), body.get("purpose"))
        if said != (grave.call_id, grave.purpose) or body.get("verb") not in {row.verb for row in asked}:
            report.bad(grave.path, "speaks of another call, purpose or deed")
        for path, digest in listed:
            if path not in withdrawn or withdrawn[path].cipher_sha256 != digest:
                report.bad(grave.path, f"calls back {path}, which was never taken back")
        return {path for path, _ in listed}


def path_of(row: CorrectionRow) -> str:
    """Where the tombstone of a correction lies, if there is one."""
    number = "" if row.revision == 1 else f"-{row.revision}"
    return f"{row.purpose}/{row.call_id}.tombstone{number}.json.age"


def read(plain: bytes, public: Trusted) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The body of a tombstone, and path and digest of each file it calls back. Raises BadManifest."""
    body = check_manifest(plain, public)
    try:
        if body["format"] != FORMAT:
            raise ValueError("another format")
        return body, [(inside(one["path"]), str(one["cipher_sha256"])) for one in body["destroy"]]
    except (KeyError, TypeError, ValueError):
        raise BadManifest("does not list what it calls back as a tombstone does") from None


def check_delivered(folder: Path, public: Trusted, identities: Sequence[str], report: Report) -> set[str]:
    """The tombstones among delivered files: what they call back must not lie there. Returns the paths of that."""
    gone: set[str] = set()
    for grave in sorted(folder.rglob("*.tombstone*.json.age")):
        root, name = grave.parent.parent, f"{grave.parent.name}/{grave.name}"
        plain = opened(grave, identities)
        if plain is None:
            report.count("tombstones not opened")
            continue
        report.count("tombstones")
        try:
            _, listed = read(plain, public)
        except BadManifest as error:
            report.bad(name, str(error))
            continue
        for path, digest in listed:
            gone.add(path)
            if (root / path).is_file() and sha256_of(root / path) == digest:
                report.bad(path, f"was to be destroyed by {name}, and is still there")
    return gone
