"""docs/threat-model.md guarantees nothing that no test holds, and every attacker is told what is, and what is not."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LINK = re.compile(r"\]\(\.\./(tests/[\w/.]+)#(\w+)\)")
PAGE = (REPOSITORY / "docs" / "threat-model.md").read_text(encoding="utf-8")
GUARANTEES = re.split(r"\n\n(?=\*\*G\d+\*\*)", PAGE.split("## Guarantees")[1].split("\n## ")[0].strip())
ATTACKERS = PAGE.split("## Attackers")[1].split("\n### ")[1:]


def test_every_link_is_a_test() -> None:
    links = LINK.findall(PAGE)
    assert len(links) > 40
    for file, name in links:
        assert f"def {name}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}#{name}"


def test_guarantees_are_numbered_and_each_has_its_test() -> None:
    numbers = [int(re.match(r"\*\*G(\d+)\*\*", one)[1]) for one in GUARANTEES]
    assert numbers == list(range(1, len(GUARANTEES) + 1)) and len(numbers) > 20
    for one in GUARANTEES:
        assert LINK.search(one), one


def test_every_attacker_is_told_what_is_guaranteed_and_what_is_not() -> None:
    used: set[str] = set()
    assert len(ATTACKERS) > 12
    for one in ATTACKERS:
        parts = [one.find(f"\n*{word}*") for word in ("Can", "Guaranteed", "Not guaranteed")]
        assert -1 < parts[0] < parts[1] < parts[2], one
        named = re.findall(r"G\d+", one[parts[1] : parts[2]])
        assert named, one
        used |= set(named)
    assert used <= {f"G{n}" for n in range(1, len(GUARANTEES) + 1)}
    left = {f"G{n}" for n in range(1, len(GUARANTEES) + 1)} - used
    assert left <= {"G24"}, f"guarantees that stop no attacker: {left}"
