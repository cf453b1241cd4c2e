"""`greffier pause`, `resume` and `keep`: press from the command line, by call or by agent."""

from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, actor, ask_recorder, console, fail, settings_of
from agent.model.gate import GateVerb

CallArgument = Annotated[str | None, typer.Argument(help="Call id, or its first digits.")]
AgentOption = Annotated[str | None, typer.Option("--agent", "-a", help="Extension: the agent's newest live call.")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", "-p", help="Only this purpose.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Kept in the journal.")]


def pause(
    call: CallArgument = None,
    agent: AgentOption = None,
    purpose: PurposeOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Pause: nothing more is written, and what was said in the holdback before is removed too."""
    _press(GateVerb.PAUSE, call, agent, purpose, reason, config)


def resume(
    call: CallArgument = None,
    agent: AgentOption = None,
    purpose: PurposeOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Resume after a pause."""
    _press(GateVerb.RESUME, call, agent, purpose, reason, config)


def keep(
    call: CallArgument = None,
    agent: AgentOption = None,
    purpose: PurposeOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep: record this call for its on-demand purposes."""
    _press(GateVerb.KEEP, call, agent, purpose, reason, config)


def _press(
    verb: GateVerb, call: str | None, agent: str | None, purpose: str | None, reason: str, config: ConfigOption
) -> None:
    if (call is None) == (agent is None):
        fail(f"say which: `greffier {verb.value} CALL` or `greffier {verb.value} --agent EXTENSION`", 2)
    which = {"call": call} if call else {"agent": agent}
    answer = ask_recorder(
        settings_of(config), op="gate", verb=verb.value, actor=actor(), purpose=purpose, reason=reason, **which
    )
    states = ", ".join(f"{name} {state}" for name, state in answer["states"].items())
    if answer["changed"]:
        done = {"pause": "closed", "resume": "open", "keep": "kept"}[verb.value]
        console.print(f"[green]✓[/] {done} since {answer['since_s']:.2f} s of the call: {states}", highlight=False)
    else:
        console.print(f"[yellow]=[/] nothing changed: {states}", highlight=False)
