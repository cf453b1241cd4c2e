"""A desk to talk to, and the client configured for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desk_double import AGENT, TOKEN, DeskDouble, serving


@pytest.fixture
def desk(free_port: int) -> Iterator[DeskDouble]:
    """It serves plain HTTP."""
    with serving(DeskDouble(free_port)) as double:
        yield double


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """`configured(url, more)` → a configuration file, with a token file that only we read."""

    def write(url: str, more: str = "") -> Path:
        token = tmp_path / "token"
        token.touch(0o600)
        token.write_text(TOKEN + "\n")
        path = tmp_path / "greffier-desk.toml"
        path.write_text(f'desk = "{url}"\nagent = "{AGENT}"\ntoken_file = "{token}"\nlang = "en"\n{more}')
        return path

    return write
