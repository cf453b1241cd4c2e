"""docs/pause.md promises nothing that no test holds it to: every link leads to a test that is there."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LINK = re.compile(r"\]\(\.\./(tests/[\w/.]+)(?:#(\w+))?\)")
PAGE = (REPOSITORY / "docs" / "pause.md").read_text(encoding="utf-8")


def test_every_link_is_a_test() -> None:
    links = LINK.findall(PAGE)
    assert len(links) > 20
    for file, name in links:
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text if name else "def test_" in text, f"{file}#{name}"


def test_every_promise_has_one() -> None:
    promise, held, after = (PAGE.split(f"## {title}")[1] for title in ("The promise", "What holds", "After the fact"))
    promises = re.split(r"\n(?=\d+\. )", promise.split("\n## ")[0].strip())
    points = re.split(r"\n(?=- )", held.split("\n## ")[0].strip())[1:]
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "proof" not in line]
    more = re.split(r"\n(?=- )", after.split("\n## ")[0].strip())
    for claim in [*promises, *points, *rows, *more]:
        assert LINK.search(claim), claim
