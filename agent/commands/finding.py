"""What `greffier doctor` finds: good, to be noted, or bad, and how to mend it."""

from dataclasses import dataclass

GOOD, NOTE, BAD = "[green]✓[/]", "[yellow]![/]", "[red]✗[/]"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: sign, what it is, and how to mend it when it is not good."""

    sign: str
    what: str
    mend: str = ""
