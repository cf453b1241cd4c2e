"""The description of the feed alone (OpenAPI 3.1), for whoever writes a reader: `GET /v1/feed/openapi.json`, and
docs/feed.openapi.json, which is the same."""

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

WORDS = (
    "What one purpose of a Greffier box keeps for a central system: fetched as age files, acknowledged, and answered "
    "with a signed receipt. docs/feed.md says the rest."
)
SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "of `greffier token add feed:PURPOSE NAME`"},
    "certificate": {"type": "mutualTLS", "description": "a client certificate that [puller.NAME] knows"},
}


def description(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Of these routes."""
    document = get_openapi(title="Greffier pull feed", version="1", description=WORDS, routes=routes)
    document["components"]["securitySchemes"] = SCHEMES
    document["security"] = [{name: []} for name in SCHEMES]
    return document
