"""`greffier config check`: is the configuration good, and what does it mean."""

import typer
from rich.table import Table

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.config import Settings
from agent.model.purpose import Purpose, Trigger
from agent.model.redaction import NAMED
from agent.tap.siprec.tls import TlsUnusable, server_context
from agent.transcribe.entities import NamesError, load_names

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """The configuration."""


@app.command("check")
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check greffier.toml: every error with its line; if it is good, say what it means for each purpose."""
    settings = settings_of(config)
    try:
        purposes = settings.purposes()
    except (OSError, ValueError) as error:
        fail(f"recipients: {error}")
    if any(endpoint.transport == "tls" for endpoint in settings.siprec.listen):
        try:
            server_context(settings.siprec)
        except TlsUnusable as error:
            fail(str(error))
    if any(purpose.redaction.hidden & NAMED for purpose in purposes):
        try:
            load_names(settings.names.models, settings.models_dir, settings.names.kinds)
        except (NamesError, OSError) as error:
            fail(f"names: {error}")
    console.print(purposes_table(purposes, settings))
    console.print(f"[green]✓[/] {config} is good", highlight=False)


def purposes_table(purposes: tuple[Purpose, ...], settings: Settings) -> Table:
    """What each purpose records, permits, sends and keeps."""
    table = Table(title=f"Purposes of {settings.site.name}")
    for column in ("purpose", "started by", "may keep", "readers", "goes to", "here", "centre"):
        table.add_column(column)
    for p in purposes:
        started = f"{p.percent:g} % of calls" if p.trigger is Trigger.PERCENT else p.trigger.value
        if p.trigger is Trigger.ON_DEMAND:
            started += f" (from the {p.keep_from.value})"
        table.add_row(
            p.name,
            started,
            ", ".join(p.artifacts) or ("nothing: live only" if p.live else "nothing"),
            str(len(p.recipients)),
            p.destination or "–",
            days(p.local_retention_s),
            days(p.central_retention_s),
        )
    return table


def days(seconds: int) -> str:
    """A duration for people."""
    if seconds >= 2 * 86400:
        return f"{round(seconds / 86400)} days"
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds} s"
