"""`greffier token`: bearer tokens of the REST interface."""

from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.desk.tokens import add_token

app = typer.Typer(help="Bearer tokens of the REST interface.", no_args_is_help=True)


@app.callback()
def token() -> None:
    """Bearer tokens of the REST interface."""


@app.command("add")
def add(
    scope: Annotated[str, typer.Argument(help="`admin`, or `agent:EXTENSION` for one agent's own calls.")],
    note: Annotated[str, typer.Option(help="Whose it is; kept beside the digest.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a token. It is shown once; only its SHA-256 is stored."""
    settings = settings_of(config)
    try:
        made = add_token(settings.desk.tokens_file, scope, note)
    except ValueError:
        fail("the scope is `admin` or `agent:EXTENSION`", 2)
    console.print(made, highlight=False, soft_wrap=True)
