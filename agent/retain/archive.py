"""One archive for one person: a zip with an index page, written encrypted (age) as it is made.

Recordings are opened and cut to the person's own voice one at a time, in memory; the zip goes through a pipe into the
encryption, so that nothing clear touches a disk unless the operator wants the archive itself in clear.
"""

import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedWriter
from pathlib import Path
from typing import BinaryIO

from agent.model.person import PersonRequest
from agent.model.purpose import ArtifactKind
from agent.retain.dossier import CallDossier
from agent.retain.ownside import Withheld, own_sound, own_words
from agent.retain.page import Facts, page
from agent.retain.words import ENGLISH, FRENCH, Words
from agent.store.persons import Place
from agent.vault.age import WrongKey, decrypt, encrypt_stream

_SAME = {
    "subtitles": "the same words as the transcript",
    "vcon": "the same as audio and transcript",
    "manifest": "a technical record of the call, whose facts are told above",
    "timestamp": "a technical record of the call, whose facts are told above",
}
Whereabouts = Callable[[Place], Path | None]


@dataclass(frozen=True, slots=True)
class Enclosed:
    """What is in the archive for an artifact: its name there, or why it is not."""

    path: str
    name: str = ""
    sha256: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a readable copy of an artifact lies, and secret keys that may open it."""

    where: Whereabouts
    identities: Sequence[str]

    def opened(self, place: Place) -> bytes:
        """Raises Withheld."""
        path = self.where(place)
        if path is None:
            raise Withheld("it is no longer here, but at its destination")
        cipher = path.read_bytes()
        if sha256(cipher).hexdigest() != place.artifact.cipher_sha256:
            raise Withheld("it is not what was filed")
        for identity in self.identities:
            try:
                return decrypt(cipher, identity)
            except WrongKey:
                continue
        raise Withheld("its readers' key was not at hand")


def write(
    target: Path, recipients: Sequence[str], calls: Sequence[CallDossier], facts: Facts, sources: Sources
) -> list[Enclosed]:
    """Write the archive at `target` (mode 0600), encrypted to `recipients`, in clear without any; whole or not at all.

    Returns what is in it. Raises OSError; ValueError for a recipient that is none.
    """
    partial = target.with_name(f".{target.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if recipients:
                enclosed = _encrypted(file, recipients, calls, facts, sources)
            else:
                enclosed = _zip(file, calls, facts, sources)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return enclosed


def _encrypted(
    file: BufferedWriter, recipients: Sequence[str], calls: Sequence[CallDossier], facts: Facts, sources: Sources
) -> list[Enclosed]:
    reading, writing = os.pipe()
    failed: list[Exception] = []

    def encrypt() -> None:
        with os.fdopen(reading, "rb") as clear:
            try:
                encrypt_stream(clear, file, recipients)
            except Exception as error:
                failed.append(error)

    other = threading.Thread(target=encrypt)
    other.start()
    try:
        with os.fdopen(writing, "wb") as clear:
            enclosed = _zip(clear, calls, facts, sources)
    except BrokenPipeError:
        enclosed = []  # the encryption gave up, and says why below
    finally:
        other.join()
    if failed:
        raise failed[0]
    return enclosed


def _zip(file: BinaryIO, calls: Sequence[CallDossier], facts: Facts, sources: Sources) -> list[Enclosed]:
    enclosed = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for call in calls:
            for one, data in _of_call(call, sources):
                enclosed.append(one)
                if data is not None:
                    archive.writestr(one.name, data)
        names = {one.path: one for one in enclosed}
        for language, name in ((FRENCH, "index.html"), (ENGLISH, "index.en.html")):
            archive.writestr(name, page(calls, facts, names, Words(language, facts.zone)))
        archive.writestr("data.json", json.dumps(data_of(calls, facts, names), ensure_ascii=False, indent=1))
    return enclosed


def _of_call(call: CallDossier, sources: Sources) -> Iterator[tuple[Enclosed, bytes | None]]:
    for purpose in sorted({p.artifact.purpose for p in call.places}):
        for place in call.kept(purpose):
            artifact = place.artifact
            try:
                if (why := _SAME.get(artifact.kind.value)) is not None:
                    raise Withheld(why)
                make, ending = (own_sound, "flac") if artifact.kind is ArtifactKind.AUDIO else (own_words, "json")
                data = make(sources.opened(place), call)
            except Withheld as error:
                yield Enclosed(artifact.path, why=str(error)), None
                continue
            stem = Path(artifact.path).name.split(".")[1]
            name = f"calls/{call.call.call_id}/{purpose}-{stem}.{ending}"
            yield Enclosed(artifact.path, name, sha256(data).hexdigest()), data


def data_of(calls: Sequence[CallDossier], facts: Facts, names: Mapping[str, Enclosed]) -> dict[str, object]:
    """The same facts for programs (GDPR art. 20): nothing that names another party."""
    request: PersonRequest = facts.request
    return {
        "format": "greffier-person-data-1",
        "site": facts.site,
        "request": request.number,
        "made_ns": facts.now_ns,
        "calls": [
            {
                "call": c.call.call_id,
                "started_ns": c.call.started_ns,
                "ended_ns": c.call.ended_ns,
                "direction": c.call.direction,
                "queue": c.call.queue,
                "roles": list(c.roles),
                "restricted": c.restricted,
                "decisions": [
                    {"purpose": d.purpose, "applies": d.applies, "rule": d.rule, "at_ns": d.at_ns} for d in c.decisions
                ],
                "consent": [
                    {"consent": said.consent.value, "at_ns": said.at_ns, "tags": list(said.tags)} for said in c.contexts
                ],
                "artifacts": [
                    {
                        "purpose": p.artifact.purpose,
                        "kind": p.artifact.kind.value,
                        "made_ns": p.artifact.created_ns,
                        "here": p.here,
                        "destination": p.artifact.destination,
                        "sent_ns": p.sent_ns,
                        "local_deadline_ns": p.artifact.local_deadline_ns,
                        "central_deadline_ns": p.artifact.central_deadline_ns,
                        "file": names[p.artifact.path].name or None,
                        "why_not": names[p.artifact.path].why or None,
                    }
                    for purpose in sorted({p.artifact.purpose for p in c.places})
                    for p in c.kept(purpose)
                ],
            }
            for c in calls
        ],
    }
