"""`greffier export CALL`: open a call's artifacts with a given key, into ordinary files that any player plays."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    catalog_of,
    console,
    fail,
    find_call,
    journalled,
    must_be_free,
    settings_of,
)
from agent.config import Settings
from agent.config.destinations import FolderSection
from agent.model.artifact import Artifact
from agent.vault.age import WrongKey, decrypt


def export(
    call: Annotated[str, typer.Argument(help="Call id, or its first digits.")],
    key: Annotated[Path, typer.Option("--key", "-k", help="age identity file of a purpose (AGE-SECRET-KEY-1…).")],
    into: Annotated[Path, typer.Option("--into", "-o", help="Folder for the opened files.")] = Path(),
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Open what a key may open of one call: audio, transcript, subtitles, manifest. What it may not, stays closed. Who
    opened what is in the journal."""
    settings = settings_of(config)
    catalog = catalog_of(settings)
    row = find_call(catalog, call)
    must_be_free(catalog, row)
    identity = read_identity(key)
    into.mkdir(parents=True, exist_ok=True)
    opened, closed, away = 0, 0, 0
    withdrawn = catalog.corrections.withdrawn(row.call_id)
    for artifact in catalog.artifacts(call_id=row.call_id):
        if artifact.artifact_id in withdrawn:
            continue  # masked or dropped: not even where its destination still has it
        source = where(settings, artifact)
        if source is None:
            away += 1
            continue
        try:
            plain = decrypt(source.read_bytes(), identity)
        except WrongKey:
            closed += 1
            continue
        try:
            journalled(settings, "exported", call_id=row.call_id, purpose=artifact.purpose, path=artifact.path)
        except OSError as error:
            fail(f"nothing is opened that the journal does not say: {error}; run it as root or the agent's user")
        target = into / f"{artifact.purpose}-{Path(artifact.path).name.removesuffix('.age')}"
        target.touch(mode=0o600)
        target.write_bytes(plain)
        console.print(f"[green]✓[/] {target}", highlight=False, soft_wrap=True)
        opened += 1
    if closed:
        console.print(f"[yellow]=[/] {closed} artifacts of other purposes stay closed to this key")
    if withdrawn:
        console.print(f"[yellow]=[/] {len(withdrawn)} artifacts were withdrawn: masked since, or dropped")
    if away:
        console.print(
            f"[yellow]=[/] {away} artifacts are no longer here: fetch them from their destination, `age -d` them"
        )
    if not opened:
        fail("this key opens nothing of this call")


def read_identity(path: Path) -> str:
    """The first AGE-SECRET-KEY of an identity file, or the command ends."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}")
    found = [line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-1")]
    if not found:
        fail(f"{path} holds no age identity (a line AGE-SECRET-KEY-1…)")
    return found[0]


def where(settings: Settings, artifact: Artifact) -> Path | None:
    """A readable copy: the outbox, else a folder destination; None when it is only farther away."""
    candidates = [settings.outbox_dir / artifact.path]
    destination = settings.destination.get(artifact.destination or "")
    if isinstance(destination, FolderSection):
        candidates.append(destination.path / destination.prefix / artifact.path)
    return next((path for path in candidates if path.is_file()), None)
