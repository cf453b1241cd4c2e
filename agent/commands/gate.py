"""`greffier pause`, `resume` and `keep`: press from the command line, by call or by agent."""

from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, actor, ask_recorder, console, fail, settings_of
from agent.model.gate import AGENT_CAUSE, EVERY_CAUSE, GateVerb

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
    whatever: Annotated[
        bool, typer.Option("--whatever", help="Also what a page, the gateway or a guard holds.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Resume after a pause by hand; what else holds it is said, and stays unless --whatever."""
    _press(GateVerb.RESUME, call, agent, purpose, reason, config, EVERY_CAUSE if whatever else AGENT_CAUSE)


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
    verb: GateVerb,
    call: str | None,
    agent: str | None,
    purpose: str | None,
    reason: str,
    config: ConfigOption,
    cause: str = AGENT_CAUSE,
) -> None:
    if (call is None) == (agent is None):
        fail(f"say which: `greffier {verb.value} CALL` or `greffier {verb.value} --agent EXTENSION`", 2)
    which = {"call": call} if call else {"agent": agent}
    asked = {"verb": verb.value, "actor": actor(), "purpose": purpose, "reason": reason, "cause": cause}
    answer = ask_recorder(settings_of(config), op="gate", **asked, **which)
    states = ", ".join(f"{name} {state}" for name, state in answer["states"].items())
    if answer["changed"]:
        done = {"pause": "closed", "resume": "open", "keep": "kept"}[verb.value]
        console.print(f"[green]✓[/] {done} since {answer['since_s']:.2f} s of the call: {states}", highlight=False)
    else:
        console.print(f"[yellow]=[/] nothing changed: {states}", highlight=False)
    held = sorted({cause for causes in answer["causes"].values() for cause in causes})
    if verb is GateVerb.RESUME and held:
        console.print(f"[yellow]![/] still paused by: {', '.join(held)}", highlight=False)
