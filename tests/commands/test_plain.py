"""What others wrote does nothing to the terminal of whoever looks."""

import io

from rich.console import Console

from agent.commands.plain import PlainTable


def test_a_cell_is_neither_markup_nor_an_escape_sequence() -> None:
    table = PlainTable("reason")
    for reason in ("[/x]", "[red]card[/red]", "\x1b]0;owned\x07", "a\rb"):
        table.add_row(reason)
    shown = io.StringIO()
    Console(file=shown, force_terminal=True, color_system=None, width=80).print(table)
    said = shown.getvalue()
    assert "[/x]" in said and "[red]card[/red]" in said and "owned" in said
    assert "\x1b]" not in said and "\x07" not in said and "\r" not in said
