"""The agent's page: a button that pauses, in a browser. The files of `web/`, served as they are, and whose token it is
that the page was given.

The page may load nothing but its own files and speak to nobody but the desk (Content Security Policy Level 3); it is
shown in frames of configured origins only.
"""

from importlib.resources import files

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from agent.desk.door import responses
from agent.desk.hand import Desk
from agent.model.identity import Device, Right

HTML, CSS, SCRIPT = (f"text/{kind}; charset=utf-8" for kind in ("html", "css", "javascript"))
FILES = {
    "agent.css": CSS,
    "agent.js": SCRIPT,
    "desk.js": SCRIPT,
    "icon.svg": "image/svg+xml",
    "panel.js": SCRIPT,
    "session.js": SCRIPT,
    "sound.js": SCRIPT,
    "standing.js": SCRIPT,
    "words.js": SCRIPT,
}
"""What the page is made of, besides itself: nothing else is ever served, whatever is asked for."""


class Me(BaseModel):
    """Whose a token is. `extensions`: all of the same agent; none where it is no agent's."""

    right: Right
    extension: str | None
    extensions: list[str]
    device: Device | None


def headers_of(embedded_by: tuple[str, ...]) -> dict[str, str]:
    """What the page may do, and who may show it in a frame."""
    policy = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "frame-ancestors " + (" ".join(embedded_by) or "'none'"),
    ]
    return {"Content-Security-Policy": "; ".join(policy), "Cross-Origin-Opener-Policy": "same-origin"}


def router(desk: Desk) -> APIRouter:
    """Routes of the page."""
    routes = APIRouter()
    folder = files("agent.desk") / "web"

    def serve(path: str, name: str, media_type: str, headers: dict[str, str] | None = None) -> None:
        content = (folder / name).read_bytes()

        async def file() -> Response:
            return Response(content, headers=headers, media_type=media_type)

        routes.add_api_route(path, file, methods=["GET"], include_in_schema=False)

    serve("/", "index.html", HTML, headers_of(desk.embedded_by))
    for name, media_type in FILES.items():
        serve(f"/page/{name}", name, media_type)

    @routes.get("/v1/me", responses=responses(401, 403, 429))
    async def me(request: Request) -> Me:
        """Whose token it is."""
        who = desk.door.bearer(request)
        return Me(right=who.right, extension=who.extension, extensions=sorted(who.own), device=who.device)

    return routes
