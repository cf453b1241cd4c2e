"""`greffier pull`: the puller of `client/`, which is a distribution of its own, where the agent is installed too."""

import typer
from greffier_pull.program import main


def pull(context: typer.Context) -> None:
    """Fetch what a box keeps for a central system: resumed, checked, acknowledged. `greffier pull --help` says more."""
    raise typer.Exit(main(context.args, "greffier pull"))
