"""docs/destinations.md and the example configuration: every example is accepted, and every setting is in one."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from agent.config.destinations import KINDS
from agent.config.load import parse

PAGE = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text(encoding="utf-8")
TEMPLATE = files("agent.commands").joinpath("template.toml").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^    \[.*\n(?:^    .*\n)+", PAGE, re.MULTILINE)
EXAMPLES = re.findall(r"(?:^# .*\n)+", TEMPLATE.split("[destination.centre]")[1].split("# ----")[0], re.MULTILINE)


def test_every_example_of_the_manual_is_accepted_and_names_every_setting() -> None:
    shown: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for block in BLOCKS:
        text = re.sub("^    ", "", block, flags=re.MULTILINE)
        parse(text, Path("/etc/greffier/greffier.toml"))
        for section in tomllib.loads(text)["destination"].values():
            shown[section["kind"]] |= set(section)
    for kind, model in KINDS.items():
        missing = {name for name in set(model.model_fields) - shown[kind] if not re.search(rf"\b{name} = ", PAGE)}
        assert missing <= {"verify_tls"}, f"{kind}: the manual says nothing of {missing}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_configuration_is_accepted(example: str) -> None:
    text = "\n".join(line[2:] for line in example.splitlines() if not line.startswith("# Other kinds"))
    (section,) = parse(text, Path("/etc/greffier/greffier.toml")).destination.values()
    assert section.kind in KINDS


def test_a_kind_each_is_shown() -> None:
    assert len(BLOCKS) == len(KINDS) and len(EXAMPLES) == len(KINDS) - 1
