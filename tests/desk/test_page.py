"""The agent's page as it is served: its own files and nothing else, allowed nothing that it does not need."""

import re
from pathlib import Path

import pytest
from greffier_desk.state import LOOKS
from pydantic import ValidationError

from agent.config.desk import Desk
from agent.desk import page
from agent.desk.page import FILES, headers_of

FOLDER = Path(page.__file__).parent / "web"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir())}


def policy(header: str) -> dict[str, str]:
    """Directive → its values."""
    return {name: values for name, _, values in (part.strip().partition(" ") for part in header.split(";"))}


def test_the_page_and_all_that_it_names_is_served(desk) -> None:
    answer = desk.ask("GET", "/")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    named = set(re.findall(r'(?:href|src)="(page/[^"]+)"', answer.text))
    for text in TEXTS.values():
        named |= {f"page/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
    assert named == {f"page/{name}" for name in FILES} and {"index.html", *FILES} == set(TEXTS)
    for name, media_type in FILES.items():
        part = desk.ask("GET", f"/page/{name}")
        assert (part.text, part.headers["content-type"]) == (TEXTS[name], media_type)


@pytest.mark.parametrize(
    "path", ["/page", "/page/", "/page/index.html", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/agent.js/x"]
)
def test_nothing_else_is_served(desk, path: str) -> None:
    assert desk.ask("GET", path).status_code == 404
    assert desk.ask("POST", "/", content=b"token=secret").status_code == 405


def test_it_may_load_its_own_files_and_ask_the_desk_and_nothing_more(desk) -> None:
    headers = desk.ask("GET", "/").headers
    may = policy(headers["content-security-policy"])
    assert {name for name, values in may.items() if values == "'self'"} == {
        "script-src",
        "style-src",
        "img-src",
        "connect-src",
    }
    assert all(may[name] == "'none'" for name in ("default-src", "frame-ancestors", "base-uri", "form-action"))
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "set-cookie" not in headers and headers["cache-control"] == "no-store"
    for path in ("/v1/health", "/page/agent.js", "/nothing", "/v1/phone/x/pause"):
        answer = desk.ask("GET", path)
        assert answer.headers.get_list("content-security-policy") == ["default-src 'none'; frame-ancestors 'none'"]


def test_it_names_no_other_host_and_makes_no_script_of_words() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|\.cookie"
    for name, text in TEXTS.items():
        without = re.sub(r"/\*.*?\*/|^\s*//.*$|xmlns=\"[^\"]+\"", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"https?:|(?<!:)//|url\(|@import", without), name
        assert not re.search(forbidden, text), name
    html = TEXTS["index.html"]
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*></script>)", html)


def test_lights_look_as_those_of_the_desk_client_and_can_be_read() -> None:
    rule = re.compile(r'\[data-light="([\w-]+)"\] \{ --ground: (#\w{6}); --ink: (#\w{6}); \}')
    looks = {light: (ground, ink) for light, ground, ink in rule.findall(TEXTS["agent.css"])}
    assert looks == {light.value: (look.ground, look.ink) for light, look in LOOKS.items()}
    shapes = dict(re.findall(r'^  "?([\w-]+)"?: "(\w+)",$', TEXTS["panel.js"], re.MULTILINE))
    assert shapes == {light.value: look.shape.value for light, look in LOOKS.items()}
    for ground, ink in looks.values():
        assert contrast(ground, ink) >= 4.5, (ground, ink)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("who", "right", "extension", "extensions", "device"),
    [
        ("ann", "agent", "2001", ["2001", "2011"], None),
        ("hotkey", "agent", "2001", ["2001", "2011"], "hotkey"),
        ("cleo", "supervisor", "2003", ["2003"], None),
        ("lead", "supervisor", None, [], None),
        ("admin", "admin", None, [], None),
    ],
)
def test_the_desk_says_whose_a_token_is(desk, who: str, right: str, extension: str, extensions, device) -> None:
    said = desk.ask("GET", "/v1/me", who)
    assert said.json() == {"right": right, "extension": extension, "extensions": extensions, "device": device}


@pytest.mark.parametrize(("token", "status"), [("phone", 403), ("eye", 403), (None, 401), ("wrong", 401)])
def test_a_token_that_presses_nothing_here_is_refused(desk, token: str | None, status: int) -> None:
    assert desk.ask("GET", "/v1/me", token).status_code == status


def test_a_token_in_the_address_opens_nothing(desk) -> None:
    assert desk.ask("GET", f"/v1/me?token={desk.tokens['ann']}").status_code == 401
    assert desk.ask("GET", "/v1/me", headers={"Cookie": f"token={desk.tokens['ann']}"}).status_code == 401


def test_a_softphone_shows_it_in_a_frame_where_that_is_configured(tmp_path, start_desk) -> None:
    with start_desk(tmp_path / "site", 'embedded_by = ["https://crm.example", "https://phone.example:8443"]') as desk:
        may = policy(desk.ask("GET", "/").headers["content-security-policy"])
        assert may["frame-ancestors"] == "https://crm.example https://phone.example:8443"
        assert may["default-src"] == "'none'"
        assert policy(desk.ask("GET", "/v1/calls").headers["content-security-policy"])["frame-ancestors"] == "'none'"
    assert Desk(embedded_by="https://crm.example").embedded_by == ("https://crm.example",)
    assert policy(headers_of(())["Content-Security-Policy"])["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    "origin",
    ["*", "crm.example", "https://*.example", "https://a.example/x", "https://a.example; script-src *", "data:", ""],
)
def test_an_origin_is_one(origin: str) -> None:
    with pytest.raises(ValidationError):
        Desk.model_validate({"embedded_by": [origin]})
