"""The `greffier` command: parses, calls, prints. Each command is a file of `agent.commands`."""

from typing import Annotated

import typer

from agent.commands import (
    agents,
    calls,
    compliance,
    config_check,
    demo,
    doctor,
    drop,
    export,
    gate,
    hold,
    ingest,
    init,
    keys,
    mask,
    model,
    person,
    policy,
    probe,
    pull,
    retention,
    run,
    search,
    show,
    sync,
    token,
    transcribe,
    verify,
)
from agent.commands.common import fail
from agent.vault import passphrase

app = typer.Typer(
    name="greffier",
    help="The call recorder at the edge of a telephone network: encrypted on the spot, split by purpose, forgotten on "
    "time.\n\nBegin with: init, config check, doctor, run; then: probe, calls, show.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)

for command in (
    init.init,
    run.run,
    doctor.doctor,
    calls.calls,
    show.show,
    gate.pause,
    gate.resume,
    gate.keep,
    mask.mask,
    drop.drop,
    transcribe.transcribe,
    search.search,
    export.export,
    ingest.ingest,
    verify.verify,
    probe.probe,
    demo.demo,
):
    app.command()(command)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command(add_help_option=False, context_settings=PASSED_ON)(pull.pull)
app.add_typer(config_check.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(policy.app, name="policy")
app.add_typer(sync.app, name="sync")
app.add_typer(agents.app, name="agents")
app.add_typer(token.app, name="token")
app.add_typer(hold.app, name="hold")
app.add_typer(retention.app, name="retention")
app.add_typer(person.app, name="person")
app.add_typer(compliance.app, name="compliance")
app.add_typer(keys.app, name="keys")


@app.callback()
def every_command(
    passphrase_fd: Annotated[
        int | None,
        typer.Option(help="Read the passphrase of this box's keys from this descriptor; asked for without it."),
    ] = None,
) -> None:
    """What holds for every command."""
    try:
        passphrase.take_from(passphrase_fd, may_ask=True)
    except (OSError, ValueError) as error:
        fail(f"--passphrase-fd {passphrase_fd}: {error}", 2)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
