"""A phone's action URL, as a phone asks it (curl): a press on its agent's own call, shown on its display."""

import subprocess
from xml.etree import ElementTree

import pytest

YEALINK, SNOM, POLY = "Yealink SIP-T46U 108.86.0.20", "snomD785/10.1.159.12", "PolycomVVX-VVX_450-UA/6.4.6"


def phone(desk, path: str, *options: str) -> tuple[int, str, str]:
    """Status, media type and body."""
    command = ["curl", "--silent", "--max-time", "60", "--write-out", "\n%{http_code} %{content_type}", *options]
    done = subprocess.run([*command, f"{desk.url}{path}"], capture_output=True, text=True, check=True)
    body, _, last = done.stdout.rpartition("\n")
    status, _, media_type = last.partition(" ")
    return int(status), media_type, body


def test_a_key_of_the_phone_pauses_and_another_resumes(desk) -> None:
    call, other = desk.recorder.add("2001"), desk.recorder.add("2002")
    url = f"/v1/phone/{desk.tokens['phone']}"
    status, media_type, said = phone(desk, f"{url}/pause")
    assert (status, said) == (200, "Recording is paused since 10 s\n") and media_type.startswith("text/plain")
    assert set(desk.recorder.states(call).values()) == {"paused"}
    assert set(desk.recorder.states(other).values()) == {"recording"}
    (asked,) = desk.recorder.requests
    assert (asked["actor"], asked["agent"], asked["reason"]) == ("agent:2001", "2001", "phone desk-7")
    desk.recorder.change(call, causes={"evidence": ["agent", "context:payment"], "training": ["agent"]})
    assert phone(desk, f"{url}/resume")[2] == "Still paused by: context:payment\n"
    desk.recorder.change(call, causes={})
    assert phone(desk, f"{url}/resume")[:1] == (200,) and set(desk.recorder.states(call).values()) == {"recording"}


@pytest.mark.parametrize(
    ("form", "agent", "root", "media_type"),
    [
        ("yealink", YEALINK, "YealinkIPPhoneTextScreen", "text/xml"),
        ("snom", SNOM, "SnomIPPhoneText", "text/xml"),
        ("poly", POLY, "{http://www.w3.org/1999/xhtml}html", "application/xhtml+xml"),
    ],
)
def test_displays_get_what_they_take(desk, form: str, agent: str, root: str, media_type: str) -> None:
    desk.recorder.add("2001")
    url = f"/v1/phone/{desk.tokens['phone']}"
    for asked in (
        phone(desk, f"{url}/pause?format={form}"),
        phone(desk, f"{url}/pause", "--user-agent", agent, "--header", "Accept: text/xml,application/xhtml+xml"),
        phone(desk, f"/v1/phone/<wrong>/pause?format={form}", "--globoff"),
    ):
        page = ElementTree.fromstring(asked[2])
        assert page.tag == root and asked[1].startswith(media_type)
        assert "paused since" in "".join(page.itertext()) or asked[0] == 401
    assert phone(desk, f"{url}/pause", "--user-agent", agent)[1].startswith("text/plain")
    assert phone(desk, f"{url}/pause?format=evil")[1].startswith("text/plain")


def test_what_is_not_done_is_never_success(desk) -> None:
    url = f"/v1/phone/{desk.tokens['phone']}"
    status, _, said = phone(desk, f"{url}/pause?format=yealink")
    assert status == 404 and "NOT DONE" in said, "there is no call"
    call = desk.recorder.add("2001")
    assert phone(desk, f"{url}/explode")[0] == 404
    assert phone(desk, f"{url}/pause", "--header", "Sec-Purpose: prefetch")[0] == 403
    assert phone(desk, f"{url}/pause", "--request", "POST")[0] == 405
    desk.recorder.mode = "lying"
    assert phone(desk, f"{url}/pause")[0] == 502
    assert set(desk.recorder.states(call).values()) == {"recording"}


def test_the_display_says_what_became_of_the_call(desk) -> None:
    url = f"/v1/phone/{desk.token('agent', '2001', device='phone', name='display')}"
    call = desk.recorder.add("2001")
    desk.recorder.mode = "lying"
    for states, verb, status, said in (
        ({"evidence": "recording", "training": "dropped"}, "drop", 200, "Dropped, but not: evidence\n"),
        ({"evidence": "dropped", "training": "idle"}, "drop", 200, "Recording is dropped\n"),
        ({"evidence": "recording", "training": "paused"}, "drop", 502, "NOT DONE"),
        ({"evidence": "recording", "training": "idle"}, "keep", 200, "Call is kept\n"),
        ({"evidence": "idle", "training": "dropped"}, "keep", 502, "NOT DONE"),
        ({"evidence": "idle", "training": "armed"}, "resume", 200, "Recording goes on\n"),
        ({"evidence": "idle", "training": "dropped"}, "resume", 200, "Not paused; nothing is recorded\n"),
    ):
        desk.recorder.change(call, states=states)
        done, _, shown = phone(desk, f"{url}/{verb}")
        assert done == status and shown.startswith(said), (states, verb)


@pytest.mark.parametrize("name", ["admin", "lead", "ann", "hotkey", "crm", "eye"])
def test_only_phones_press_by_get(desk, name: str) -> None:
    call = desk.recorder.add("2001")
    status, _, said = phone(desk, f"/v1/phone/{desk.tokens[name]}/pause")
    assert status == 403 and "revoke it" in said
    assert set(desk.recorder.states(call).values()) == {"recording"}
    assert "token in a URL" in [what for what, _ in desk.refusals()]


def test_a_leaked_url_is_taken_back_alone_and_is_in_no_log(desk) -> None:
    desk.recorder.add("2001")
    other = desk.token("agent", "2001", device="phone", name="desk-8")
    leaked = desk.directory.tokens()[-1].token_id
    assert phone(desk, f"/v1/phone/{other}/pause")[0] == 200
    desk.directory.revoke(leaked, 1)
    assert phone(desk, f"/v1/phone/{other}/pause")[0] == 401
    assert phone(desk, f"/v1/phone/{desk.tokens['phone']}/resume")[0] == 200
    for path in desk.folder.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert other.encode() not in held and desk.tokens["phone"].encode() not in held, path


def test_nobody_keeps_the_answer(desk) -> None:
    command = ["curl", "-s", "-D", "-", "-o", "/dev/null", f"{desk.url}/v1/phone/x/pause"]
    headers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
    assert "cache-control: no-store" in headers and "referrer-policy: no-referrer" in headers
