"""The `greffier` command: parses, calls, prints. Each command is a file of `agent.commands`."""

import typer

from agent.commands import (
    agents,
    calls,
    config_check,
    demo,
    doctor,
    drop,
    export,
    gate,
    hold,
    ingest,
    init,
    mask,
    model,
    policy,
    probe,
    pull,
    run,
    search,
    show,
    token,
    transcribe,
    verify,
)

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
    hold.hold,
    hold.release,
    probe.probe,
    demo.demo,
):
    app.command()(command)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command(add_help_option=False, context_settings=PASSED_ON)(pull.pull)
app.add_typer(config_check.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(policy.app, name="policy")
app.add_typer(agents.app, name="agents")
app.add_typer(token.app, name="token")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
