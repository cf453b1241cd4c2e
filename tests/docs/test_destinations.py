"""docs/destinations.md and the example configuration: every example is accepted, and every setting is in one."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from agent.config.bandwidth import Paced
from agent.config.destinations import KINDS
from agent.config.load import parse

PAGE = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text(encoding="utf-8")
TEMPLATE = files("agent.commands").joinpath("template.toml").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^    \[.*\n(?:^    .*\n)+", PAGE, re.MULTILINE)
COMMENTS = re.findall(r"(?:^# .*\n)+", TEMPLATE.split("[destination.centre]")[1].split("# ----")[0], re.MULTILINE)
SENT_TO = {kind: section for kind, section in KINDS.items() if kind != "pull"}
"""What is fetched is another manual's: docs/feed.md."""
EXAMPLES = re.findall(r"^# \[destination\..*\n(?:^# .*\n)+", TEMPLATE, re.MULTILINE)
PACE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
"""How fast is said there, for all kinds."""
PACES = [
    *("".join(line[2:] + "\n" for line in text.splitlines()) for text in COMMENTS if "delivery.md" in text),
    *(re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"^    \[.*\n(?:^    .*\n)+", PACE, re.M)),
]
FOLDER = '[destination.centre]\nkind = "folder"\npath = "/mnt/centre"\n'


def test_every_example_of_the_manual_is_accepted_and_names_every_setting() -> None:
    shown: dict[str, set[str]] = {kind: set() for kind in SENT_TO}
    for block in BLOCKS:
        text = re.sub("^    ", "", block, flags=re.MULTILINE)
        parse(text, Path("/etc/greffier/greffier.toml"))
        for section in tomllib.loads(text)["destination"].values():
            shown[section["kind"]] |= set(section)
    for kind, model in SENT_TO.items():
        own = set(model.model_fields) - set(Paced.model_fields)
        missing = {name for name in own - shown[kind] if not re.search(rf"\b{name} = ", PAGE)}
        assert missing <= {"verify_tls"}, f"{kind}: the manual says nothing of {missing}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_configuration_is_accepted(example: str) -> None:
    text = re.sub("^# (Other kinds.*\n)?", "", example, flags=re.MULTILINE)
    (section,) = parse(text, Path("/etc/greffier/greffier.toml")).destination.values()
    assert section.kind in KINDS


def test_a_kind_each_is_shown() -> None:
    assert len(BLOCKS) == len(SENT_TO) and len(EXAMPLES) == len(KINDS) - 1


@pytest.mark.parametrize("example", PACES)
def test_every_example_of_how_fast_and_how_full_is_accepted(example: str) -> None:
    text = example.replace("[destination.centre]\n", FOLDER)
    if "[purpose.training]" in text:
        text += 'trigger = "all"\nartifacts = ["audio"]\nrecipients_file = "training.txt"\n'
    if "[destination.centre]" not in text:
        text = FOLDER + text
    parse(text, Path("/etc/greffier/greffier.toml"))


def test_how_fast_is_shown_in_full() -> None:
    shown = "".join(PACES)
    assert [name for name in Paced.model_fields if f"{name} = " not in shown and f".{name}]]" not in shown] == []
