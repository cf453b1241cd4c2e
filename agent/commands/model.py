"""`greffier model`: speech models, as folders on this box. Nothing is ever downloaded at run time."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.transcribe import models

app = typer.Typer(help="Speech models on this box.", no_args_is_help=True)


@app.command("list")
def list_models(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List installed models with their SHA-256."""
    table = Table()
    for column in ("model", "sha256", "folder"):
        table.add_column(column)
    for model in models.installed(settings_of(config).models_dir):
        table.add_row(model.name, model.sha256, str(model.path))
    console.print(
        table if table.row_count else "No model yet: transcripts wait. `greffier model add PATH` installs one."
    )


@app.command("add")
def add(
    source: Annotated[Path, typer.Argument(help="Folder or archive of a faster-whisper (CTranslate2) model.")],
    name: Annotated[str | None, typer.Option(help="Name here; the folder's own by default.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Install a model from a folder or archive. Transcripts that waited for one are then made."""
    settings = settings_of(config)
    try:
        with console.status("copying and hashing…"):
            model = models.add(source, settings.models_dir, name)
    except (OSError, ValueError) as error:
        fail(str(error))
    console.print(f"[green]✓[/] {model.name}  sha256 {model.sha256}", highlight=False, soft_wrap=True)


@app.command("check")
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Compute the SHA-256 of every model again and compare."""
    bad = 0
    for model in models.installed(settings_of(config).models_dir):
        good = models.check(model)
        bad += not good
        console.print(f"{'[green]✓[/]' if good else '[red]✗ changed since it was added:[/]'} {model.name}")
    if bad:
        raise typer.Exit(1)


@app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="Name as listed.")], config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Remove a model."""
    try:
        models.remove(name, settings_of(config).models_dir)
    except (LookupError, OSError, ValueError) as error:
        fail(str(error))
    console.print(f"[green]✓[/] {name} removed")
