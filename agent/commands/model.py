"""`greffier model`: models of speech and of names, as folders here. Nothing is downloaded at run time, only here."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.commands.plain import plain
from agent.transcribe import hub, models
from agent.transcribe.engine import EngineError
from agent.transcribe.select import choose, load
from agent.transcribe.trial import Score, try_folder

app = typer.Typer(help="Models of speech, and of names, on this box.", no_args_is_help=True)


@app.command("list")
def list_models(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List installed models with their SHA-256, and say which one transcribes, on what, and why."""
    settings = settings_of(config)
    table = Table()
    for column in ("model", "for", "sha256", "folder"):
        table.add_column(column)
    for model in models.installed(settings.models_dir):
        table.add_row(model.name, model.kind, model.sha256, str(model.path))
    if not table.row_count:
        console.print("No model yet: transcripts wait. `greffier model add PATH` installs one.")
        return
    console.print(table)
    scribe = settings.scribe
    try:
        choice = choose(scribe.engine, settings.models_dir, scribe.model, scribe.device, scribe.workers)
    except EngineError as error:
        fail(str(error))
    console.print(f"In use: {choice.why}." if choice.engine else f"None in use: {choice.why}.", soft_wrap=True)


@app.command("add")
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH|NAME",
            help="Folder or archive of a faster-whisper (CTranslate2) model, or of a spaCy pipeline that finds names "
            "(a wheel will do); or a name, such as small or OWNER/MODEL, which is downloaded from huggingface.co after "
            "you agreed.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name here; the folder's own by default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to the download of a NAME.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Install a model from a folder, an archive or, if you agree, the network. Transcripts that waited are made."""
    settings = settings_of(config)
    try:
        model = _add(Path(source), settings.models_dir, name, yes)
    except (OSError, ValueError) as error:
        fail(str(error))
    console.print(f"[green]✓[/] {model.name}  sha256 {model.sha256}", highlight=False, soft_wrap=True)
    if model.kind is models.Kind.NAMES and model.name not in settings.names.models:
        told = f'it finds names once [names] says models = ["{model.name}"] (docs/redaction.md)'
        console.print(told, highlight=False, markup=False, soft_wrap=True)


def _add(source: Path, models_dir: Path, name: str | None, yes: bool) -> models.Model:
    if source.exists() or not hub.is_name(str(source)):
        with console.status("copying and hashing…"):
            return models.add(source, models_dir, name)
    if not yes:
        typer.confirm(f"{source} is no folder here. Download it from huggingface.co (up to 3 GB)?", abort=True)
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=models_dir) as room:
        hub.fetch(str(source), Path(room))
        with console.status("hashing…"):
            return models.add(Path(room), models_dir, name or source.name)


@app.command("try")
def try_model(
    folder: Annotated[
        Path, typer.Argument(help="Folder of sound files with a manifest.csv: columns file, language, reference.")
    ],
    name: Annotated[str | None, typer.Option("--model", help="Model as listed; the one in use by default.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a model hear speech whose text is known, and say how many words it gets wrong: clean, and by telephone."""
    settings = settings_of(config)
    scribe = settings.scribe
    scores: dict[str, Score] = {}
    try:
        choice = choose(scribe.engine, settings.models_dir, name or scribe.model, scribe.device, scribe.workers)
        engine = load(choice)
        if engine is None:
            fail(f"nothing to try: {choice.why}; `greffier model add PATH` installs a model")
        with console.status("listening…") as status:
            for heard, score in try_folder(engine, folder):
                scores[score.language] = score
                status.update(plain(f"listening… {heard}"))
    except (EngineError, ValueError, OSError) as error:
        fail(str(error))
    table = Table(title=plain(f"{engine.name}, {engine.model}{' (a test engine)' if engine.test_only else ''}"))
    for column in ("language", "files", "words", "wrong, clean", "wrong, G.711", "CPU s an hour"):
        table.add_column(column, justify="right")
    for score in sorted(scores.values(), key=lambda s: s.language):
        table.add_row(
            plain(score.language),
            str(score.files),
            str(score.words),
            f"{score.clean_errors / score.words:.1%}",
            f"{score.phone_errors / score.words:.1%}",
            f"{score.cpu_s / score.sound_s * 3600:.0f}",
        )
    console.print(table)
    console.print(
        "Wrong: words replaced, left out and added, by words said. Capitals and punctuation do not count; numbers "
        "count as written. G.711: A-law, 300 to 3400 Hz.",
        soft_wrap=True,
    )


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
