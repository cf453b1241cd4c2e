"""docs/feed.md promises nothing that no test holds it to, and names each parameter and field that the feed has."""

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LINK = re.compile(r"\]\(\.\./(tests/[\w/.]+)#(\w+)\)")
PAGE = (REPOSITORY / "docs" / "feed.md").read_text(encoding="utf-8")
DOCUMENT = json.loads((REPOSITORY / "docs" / "feed.openapi.json").read_text(encoding="utf-8"))


def test_every_link_is_a_test_and_every_promise_has_one() -> None:
    promises = re.split(r"\n(?=- )", PAGE.split("## What holds")[1].strip())
    assert len(promises) > 4 and all(LINK.search(promise) for promise in promises)
    for file, name in LINK.findall(PAGE):
        assert f"def {name}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}#{name}"


def test_every_field_and_parameter_is_named() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    told = ("Feed", "Item", "Destroyed", "ReceiptBody", "KeyBody")
    fields = {name for one in told for name in schemas[one]["properties"]}
    parameters = {one["name"] for one in DOCUMENT["paths"]["/v1/feed"]["get"]["parameters"]}
    assert len(fields) > 20 and parameters == {"purpose", "after", "wait", "limit"}
    for name in fields | parameters:
        assert f'"{name}"' in PAGE or f"`{name}`" in PAGE, name
    for route in DOCUMENT["paths"]:
        assert route.replace("artifact_id", "id") in PAGE
