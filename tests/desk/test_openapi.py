"""docs/feed.openapi.json is what the feed's routes say of themselves, and what they really answer is as it says."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

PAGE = Path(__file__).parents[2] / "docs" / "feed.openapi.json"
DOCUMENT = json.loads(PAGE.read_text(encoding="utf-8"))


def described(path: str, method: str, answer: httpx.Response) -> None:
    """Fails unless the document knows this status of this route, and the body is as it says."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} is not described"
    content: dict[str, Any] = responses[str(answer.status_code)].get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.content and answer.status_code != 416:
        assert kind in content, f"{method} {path}: {kind} is not described"
    if answer.content and kind == "application/json":
        schema = {**content[kind]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer.json())


def test_the_document_is_what_the_desk_serves(fed) -> None:
    served = fed.ask("GET", "/v1/feed/openapi.json")
    assert served.status_code == 200
    assert served.json() == DOCUMENT, f"python -m json.tool of GET /v1/feed/openapi.json belongs into {PAGE.name}"
    whole = fed.ask("GET", "/openapi.json").json()
    of_feed = {path for path in whole["paths"] if path.startswith(("/v1/feed", "/v1/artifacts"))}
    assert (
        set(DOCUMENT["paths"])
        == of_feed
        == {"/v1/feed", "/v1/artifacts/{artifact_id}", "/v1/artifacts/{artifact_id}/ack"}
    )
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"token", "certificate"}


def test_every_answer_is_described(fed) -> None:
    call = "0196" + "0" * 28
    artifact, gone, held = fed.site.put(), fed.site.put(call=call), fed.site.put(call="0197" + "0" * 28)
    fed.ask("GET", f"/v1/artifacts/{gone.artifact_id}", "evidence")
    fed.site.catalog.corrections.withdraw(gone.artifact_id, 1)
    fed.site.put(call=call, kind="tombstone")
    asked = fed.site.ask_mask(held.call_id)
    feed, file, ack = DOCUMENT["paths"]
    seen: set[tuple[str, str, int]] = set()

    def ask(
        path: str, method: str, token: str | None = "evidence", of: str = artifact.artifact_id, **more: Any
    ) -> None:
        answer = fed.ask(method, path.format(artifact_id=of), token, **more)
        described(path, method, answer)
        seen.add((path, method, answer.status_code))

    ask(feed, "GET", params={"limit": 500})
    for token in (None, "admin"):
        ask(feed, "GET", token)
        ask(file, "GET", token)
        ask(ack, "POST", token, json={"sha256": "0" * 64})
    ask(feed, "GET", params={"purpose": "training"})
    ask(feed, "GET", params={"after": "x"})
    ask(feed, "GET", params={"limit": 0})
    ask(file, "GET")
    ask(file, "HEAD")
    ask(file, "GET", of="x")
    ask(file, "GET", headers={"Range": "bytes=0-9"})
    ask(file, "GET", headers={"Range": "bytes=0-9,20-29"})
    ask(file, "GET", headers={"Range": "bytes=5000-"})
    ask(file, "GET", headers={"If-None-Match": "*"})
    for method in ("GET", "HEAD"):
        for other in (held, gone):
            ask(file, method, of=other.artifact_id)
        ask(file, method, of="f" * 32)
    ask(ack, "POST", json={"sha256": "0" * 64})
    ask(ack, "POST", json={"sha256": "0" * 63})
    ask(ack, "POST", json={"sha256": artifact.cipher_sha256})
    ask(ack, "POST", of=gone.artifact_id, json={"sha256": gone.cipher_sha256})
    ask(ack, "POST", of=held.artifact_id, json={"sha256": held.cipher_sha256})
    ask(ack, "POST", of="f" * 32, json={"sha256": "0" * 64})
    ask(ack, "POST", content=b"x" * 20_000)
    fed.site.catalog.corrections.turn(asked, "refused", 1)
    assert {status for _, _, status in seen} >= {200, 206, 304, 401, 403, 404, 409, 410, 413, 416, 422}
    with pytest.raises(AssertionError, match="not described"):
        described(feed, "GET", httpx.Response(418))
