"""What others wrote, shown as it is: names, tags and reasons are neither markup nor escape sequences."""

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text


def plain(text: str) -> Text:
    """The text, its characters that cannot be printed replaced."""
    return Text("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


class PlainTable(Table):
    """A table whose cells are plain where they are text."""

    def add_row(
        self, *cells: RenderableType | None, style: str | Style | None = None, end_section: bool = False
    ) -> None:
        """As `Table.add_row`."""
        shown = [plain(cell) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*shown, style=style, end_section=end_section)
