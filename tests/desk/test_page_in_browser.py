"""The agent's page in a real browser, over the real desk; the recorder is scripted, so that it can misbehave."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from chromium import AgentPage, agent_page
from live_call import stopped
from running_site import wait_for
from selenium.webdriver.common.keys import Keys

from agent.model.identity import Agent

pytestmark = pytest.mark.slow

PAUSED = {"evidence": "paused, since 0:09 of the call", "training": "paused, since 0:09 of the call"}
SIREN = 4
"""Tones of one siren."""
HEAR = """
window.heard = 0;
window.OscillatorNode = class extends OscillatorNode { start(at) { window.heard += 1; super.start(at); } };
"""
HIDE = """
Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
document.dispatchEvent(new Event("visibilitychange"));
"""
"""What Chromium does to a tab in the background; without a screen it never does."""
RECORDED = {"evidence": "recorded", "training": "recorded"}


@pytest.fixture(scope="module")
def browser() -> Iterator[AgentPage]:
    with agent_page("en-GB", "fr") as page:
        yield page


@pytest.fixture
def page(browser: AgentPage, desk) -> Iterator[AgentPage]:
    """Nobody is signed in."""
    browser.open(desk.url)
    browser.run("sessionStorage.clear()")
    browser.open(desk.url)
    browser.complaints()
    yield browser
    assert browser.complaints() == [], "nothing was blocked by the page's policy, and no script failed"


@pytest.fixture
def ann(page: AgentPage, desk) -> AgentPage:
    """Ann has signed in; she has no call yet."""
    page.sign_in(desk.tokens["ann"])
    page.wait("NO CALL")
    page.watch()
    return page


def never_paused(page: AgentPage) -> bool:
    """Whether nothing like a pause was shown, not even for a moment, of the call or of a purpose."""
    said = {word for one in page.shown() for word in one}
    assert "RECORDING" in said
    return not any("paused" in word.lower() for word in said)


def test_who_signs_in_is_who_the_token_says(page: AgentPage, desk) -> None:
    refused = {
        "wrong": "the token is not accepted: tell IT",
        "phone": "this token is not an agent's: ask IT for one of your extension",
        "eye": "this token is not an agent's: ask IT for one of your extension",
        "admin": "this token is not an agent's: ask IT for one of your extension",
    }
    for name, words in refused.items():
        page.sign_in(desk.tokens.get(name, name))
        wait_for(words, lambda words=words: page.text("#why") == words)
        assert page.run("return sessionStorage.length") == 0 and not page.text(".line")
        page.run("document.getElementById('why').textContent = ''")
    page.sign_in(f"  {desk.tokens['cleo']} ")
    page.wait("NO CALL")
    desk.recorder.add("2002")
    desk.recorder.add("2003")
    page.wait("RECORDING", "2003")
    assert page.run("return document.querySelectorAll('.line').length") == 1, (
        "a supervisor's page is of their own calls"
    )


def test_the_token_is_in_the_tab_alone_until_it_is_signed_out(ann: AgentPage, desk) -> None:
    token = desk.tokens["ann"]
    assert ann.run("return location.href") == f"{desk.url}/"
    assert ann.run("return document.cookie + JSON.stringify(localStorage)") == "{}"
    assert token not in ann.run("return document.documentElement.outerHTML + document.getElementById('token').value")
    ann.open(desk.url)
    ann.wait("NO CALL")
    ann.find("#sign-out").click()
    wait_for("the form", lambda: ann.text("#sign-in"))
    assert ann.run("return sessionStorage.length") == 0
    ann.driver.switch_to.new_window("tab")
    try:
        ann.open(desk.url)
        assert ann.text("#sign-in"), "another tab has to be signed in by itself"
    finally:
        ann.driver.close()
        ann.driver.switch_to.window(ann.driver.window_handles[0])
    assert token not in desk.log.read_text()


def test_a_press_pauses_and_says_since_when(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    assert ann.purposes() == RECORDED and ann.text(".toggle") == "Pause"
    ann.press("toggle")
    ann.wait("PAUSED")
    wait_for("the purposes", lambda: ann.purposes() == PAUSED)
    assert ann.text(".detail").startswith("since 0:09 of the call · recording again by itself in ")
    assert set(desk.recorder.states(call).values()) == {"paused"}
    (asked,) = desk.recorder.requests
    assert (asked["verb"], asked["actor"], asked["cause"]) == ("pause", "agent:2001", "agent")
    wait_for("the other word", lambda: ann.text(".toggle") == "Resume")
    ann.press("toggle")
    ann.wait("RECORDING")
    wait_for("the purposes", lambda: ann.purposes() == RECORDED)
    desk.recorder.end(call)
    ann.wait("NO CALL")
    assert ann.purposes() == {}


@pytest.mark.parametrize("mode", ["frozen", "lying", "stale"])
def test_it_never_shows_a_pause_that_is_not(ann: AgentPage, desk, mode: str) -> None:
    desk.recorder.add("2001")
    ann.wait("RECORDING")
    desk.recorder.mode = mode
    ann.press("toggle")
    ann.wait("NOT PAUSED")
    assert ann.text(".title") == "RECORDING", "how it stands is said all the same"
    assert never_paused(ann)
    assert ann.find(".failure").aria_role == "alert"
    desk.recorder.mode = "good"
    ann.press("toggle")
    ann.wait("PAUSED")
    wait_for("the failure to be over", lambda: not ann.text(".failure"))


def test_a_failure_stays_until_somebody_has_seen_it(ann: AgentPage, desk) -> None:
    desk.recorder.add("2001")
    ann.wait("RECORDING")
    desk.recorder.mode = "lying"
    ann.run(HEAR)
    ann.press("toggle")
    ann.wait("NOT PAUSED")
    desk.recorder.mode = "good"
    assert desk.ask("POST", "/v1/agents/2001/resume", "ann").status_code == 200
    wait_for("the siren, again and again", lambda: ann.run("return window.heard") >= 3 * SIREN)
    assert ann.text(".failure") == "NOT PAUSED" and ann.driver.title == "⚠ NOT PAUSED"
    ann.press("seen")
    wait_for("it to be gone", lambda: not ann.text(".failure"))
    assert ann.driver.title == "RECORDING"
    heard = ann.run("return window.heard")
    time.sleep(3)
    assert ann.run("return window.heard") == heard


def test_a_tab_in_the_background_is_not_called_paused(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("toggle")
    ann.wait("PAUSED")
    assert ann.driver.title == "PAUSED"
    ann.run(HIDE, True)
    assert ann.driver.title == "Greffier"
    time.sleep(1)
    assert ann.driver.title == "Greffier" and set(desk.recorder.states(call).values()) == {"paused"}
    ann.run(HIDE, False)
    ann.wait("PAUSED")
    wait_for("its title", lambda: ann.driver.title == "PAUSED")
    assert "CONNECTION LOST" in {one[1] for one in ann.shown()}, "it asks before it shows anything again"


def test_it_shows_at_once_what_others_do(ann: AgentPage, desk) -> None:
    other, call = desk.recorder.add("2002"), desk.recorder.add("2001")
    ann.wait("RECORDING")
    assert desk.ask("POST", "/v1/agents/2002/pause", "bob").status_code == 200
    assert desk.ask("POST", f"/v1/calls/{call}/pause", "lead", json={"purpose": "training"}).status_code == 200
    one = RECORDED | {"training": PAUSED["training"]}
    wait_for("one purpose to be paused", lambda: ann.purposes() == one)
    assert ann.text(".title") == "RECORDING", "something of it is kept"
    assert desk.ask("POST", "/v1/context", "crm", json={"agent": "2001", "opened": "payment"}).status_code == 200
    ann.wait("PAUSED")
    wait_for("who else holds it", lambda: "also paused by: payment" in ann.text(".detail"))
    desk.recorder.change(call, causes={"evidence": ["context:payment"], "training": ["context:payment"]})
    wait_for("nothing of the agent's own", lambda: "agent" not in desk.recorder.call(call)["causes"]["training"])
    asked = len(desk.recorder.requests)
    time.sleep(1)
    ann.press("toggle")
    wait_for("it to be said", lambda: ann.text(".note") == "paused by something else: ends with it")
    assert len(desk.recorder.requests) == asked, "what another cause has paused is not resumed"
    desk.recorder.end(other)
    assert ann.text(".title") == "PAUSED"


def test_it_warns_before_recording_goes_on_by_itself(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("toggle")
    ann.wait("PAUSED")
    desk.recorder.change(call, resumes_in_s={"evidence": 60.0, "training": 60.0})
    desk.recorder.alert(call, "warn", "evidence", 240.0)
    ann.wait("STILL PAUSED")
    assert ann.find(".line").get_attribute("data-light") == "warning"
    wait_for("the time left", lambda: "recording again by itself in 0:5" in ann.text(".detail"))
    desk.recorder.change(call, states=dict.fromkeys(RECORDED, "recording"), causes={}, warned=[], since_s={})
    desk.recorder.alert(call, "limit", "evidence", 300.0)
    ann.wait("RECORDING")
    assert ann.text(".note") == "pause too long: recording again"


def test_a_recorder_that_is_gone_is_shown_at_once(ann: AgentPage, desk) -> None:
    desk.recorder.add("2001")
    ann.wait("RECORDING")
    desk.recorder.stop()
    try:
        ann.wait("CONNECTION LOST")
    finally:
        desk.recorder.start()
    ann.wait("RECORDING")


def test_a_recorder_that_is_gone_is_shown_and_a_press_meanwhile_has_failed(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("toggle")
    ann.wait("PAUSED")
    desk.recorder.stop()
    try:
        ann.wait("CONNECTION LOST")
        assert "whether this call is recorded is not known here" in ann.text(".detail") and ann.purposes() == {}
        ann.press("toggle")
        ann.wait("NOT PAUSED")
        assert ann.text(".title") == "CONNECTION LOST"
        desk.recorder.change(call, states=dict.fromkeys(RECORDED, "recording"), causes={}, since_s={})
        ann.watch()
    finally:
        desk.recorder.start()
    ann.wait("RECORDING")
    assert ann.text(".failure") == "NOT PAUSED" and never_paused(ann)
    ann.press("toggle")
    ann.wait("PAUSED")
    wait_for("it to be put right", lambda: not ann.text(".failure"))


def test_a_desk_that_stands_still_is_found_out(ann: AgentPage, desk) -> None:
    """Nothing is lost of the connection, but nothing comes: what was shown does not stay."""
    desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("toggle")
    ann.wait("PAUSED")
    with stopped(desk.pid):
        ann.wait("CONNECTION LOST")
        ann.press("toggle")
        ann.wait("NOT PAUSED")
    ann.wait("PAUSED")


def test_drop_is_asked_about_and_is_of_that_call(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("drop")
    assert "Drop this call?" in ann.text("#sure")
    ann.type(Keys.ENTER)
    assert not ann.text("#sure") and desk.recorder.requests == [], "whoever presses Enter in haste drops nothing"
    ann.press("drop")
    ann.type(Keys.ESCAPE)
    wait_for("the question to go", lambda: not ann.text("#sure"))
    ann.press("drop")
    desk.recorder.end(call)
    wait_for("the question to go with its call", lambda: not ann.text("#sure"))
    second = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.press("drop")
    third = desk.recorder.add("2011")
    ann.wait("RECORDING", "2011")
    ann.find("#drop-it").click()
    wait_for("it to be said", lambda: ann.text("[data-extension='2001'] .note") == "this call is dropped")
    (asked,) = desk.recorder.requests
    assert (asked["verb"], asked["call"]) == ("drop", second)
    assert set(desk.recorder.states(third).values()) == {"recording"}


def test_keep_is_there_where_something_can_be_kept(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    assert not ann.find(".line:not([hidden]) .keep").is_enabled(), "all of it is kept already"
    desk.recorder.change(call, states={"evidence": "armed", "training": "recording"})
    wait_for("the button", lambda: ann.find(".line:not([hidden]) .keep").is_enabled())
    assert ann.purposes()["evidence"] == "kept if you press Keep"
    ann.press("keep")
    wait_for("it to be said", lambda: ann.text(".note") == "kept: evidence")
    assert desk.recorder.requests[-1]["verb"] == "keep"
    desk.recorder.change(call, states={"evidence": "armed", "training": "recording"})
    wait_for("the button", lambda: ann.find(".line:not([hidden]) .keep").is_enabled())
    desk.recorder.mode = "frozen"
    ann.press("keep")
    ann.wait("NOT KEPT")


def test_each_extension_with_a_call_has_its_button(ann: AgentPage, desk) -> None:
    one, two = desk.recorder.add("2001"), desk.recorder.add("2011")
    ann.wait("RECORDING", "2001")
    ann.wait("RECORDING", "2011")
    assert "extension 2011" in ann.text("[data-extension='2011']")
    ann.press("toggle", "2011")
    ann.wait("PAUSED", "2011")
    assert set(desk.recorder.states(two).values()) == {"paused"}
    assert set(desk.recorder.states(one).values()) == {"recording"}
    assert ann.text("[data-extension='2001'] .title") == "RECORDING"
    desk.recorder.end(one)
    wait_for("one to be left", lambda: not ann.text("[data-extension='2001']"))


def test_an_extension_that_the_agent_got_since_is_there_too(page: AgentPage, desk) -> None:
    page.sign_in(desk.token("agent", "2005"))
    page.wait("NO CALL")
    desk.directory.add_agents([Agent("Dora", ("2005", "2006"))], 1)
    desk.recorder.add("2006")
    page.open(desk.url)
    page.wait("RECORDING", "2006")
    page.press("toggle", "2006")
    page.wait("PAUSED", "2006")


def test_the_keyboard_does(ann: AgentPage, desk) -> None:
    call = desk.recorder.add("2001", states={"evidence": "armed", "training": "recording"})
    ann.wait("RECORDING")
    ann.type(Keys.SPACE)
    ann.wait("PAUSED")
    assert ann.driver.switch_to.active_element.accessible_name == "Resume"
    assert set(desk.recorder.states(call).values()) <= {"paused", "armed-paused"}
    reached = []
    for _ in range(6):
        reached.append(ann.driver.switch_to.active_element.accessible_name)
        ann.type(Keys.TAB)
    assert {"Drop…", "Sign out"} <= set(reached)
    status = ann.find(".line:not([hidden]) [role=status]")
    assert (status.aria_role, status.text) == ("status", "PAUSED")


def test_a_token_that_is_taken_back_is_said(page: AgentPage, desk) -> None:
    desk.tokens["lent"] = desk.token("agent", "2001")
    lent = desk.directory.tokens()[-1].token_id
    page.sign_in(desk.tokens.pop("lent"))
    call = desk.recorder.add("2001")
    page.wait("RECORDING")
    desk.directory.revoke(lent, time.time_ns())
    page.press("toggle")
    page.wait("NOT PAUSED")
    assert "the token is not accepted: tell IT" in page.text(".detail")
    assert set(desk.recorder.states(call).values()) == {"recording"}
    page.wait("CONNECTION LOST")


def test_it_speaks_french_to_whoever_reads_french_first(desk) -> None:
    with agent_page("fr-FR", "en") as page:
        page.open(desk.url)
        assert page.run("return document.documentElement.lang") == "fr"
        page.sign_in(desk.tokens["ann"])
        page.wait("PAS D’APPEL")
        desk.recorder.add("2001")
        page.wait("ENREGISTREMENT")
        page.press("toggle")
        page.wait("EN PAUSE")
        assert page.text(".toggle") == "Reprendre" and "depuis 0:09 de l’appel" in page.text(".detail")


def test_no_other_page_may_press_with_it(ann: AgentPage, desk) -> None:
    """A page of another origin, in the same browser: it has no token, and what it tries is not allowed."""
    call = desk.recorder.add("2001")
    ann.wait("RECORDING")
    ann.driver.switch_to.new_window("tab")
    try:
        ann.driver.get(f"http://localhost:{desk.port}/page/words.js")
        script = """
            const [url, done] = arguments;
            const press = (mode) => fetch(url, {method: "POST", mode, credentials: "include"}).then(
                (answer) => answer.status, () => "blocked");
            Promise.all([press("cors"), press("no-cors")]).then(done);
        """
        answers = ann.driver.execute_async_script(script, f"{desk.url}/v1/agents/2001/pause")
        assert set(answers) <= {"blocked", 0}
    finally:
        ann.driver.close()
        ann.driver.switch_to.window(ann.driver.window_handles[0])
        ann.complaints()
    assert set(desk.recorder.states(call).values()) == {"recording"} and desk.recorder.requests == []


def test_over_tls_it_is_the_same(tmp_path, start_desk) -> None:
    with start_desk(tmp_path / "site", 'host = "0.0.0.0"', scheme="https") as desk, agent_page() as page:
        page.open(desk.url)
        page.sign_in(desk.tokens["ann"])
        page.wait("NO CALL")
        desk.recorder.add("2001")
        page.wait("RECORDING")
        page.press("toggle")
        page.wait("PAUSED")
        assert page.complaints() == []


class Frame(BaseHTTPRequestHandler):
    """A softphone that shows whatever is asked for in a frame."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<iframe width="800" height="800" src="{unquote(self.path[1:])}"></iframe>'.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def softphone() -> Iterator[str]:
    """Its origin, another than the desk's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Frame) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_a_softphone_that_is_configured_has_it_in_a_frame_and_no_other_has(
    tmp_path, start_desk, softphone: str
) -> None:
    site = tmp_path / "site"
    with start_desk(site, f'embedded_by = "{softphone}"') as desk, agent_page() as page:
        page.driver.get(f"{softphone}/{desk.url}/")
        page.driver.switch_to.frame(page.find("iframe"))
        wait_for("the form", lambda: page.text("#sign-in"))
        page.sign_in(desk.tokens["ann"])
        page.wait("NO CALL")
        call = desk.recorder.add("2001")
        page.wait("RECORDING")
        page.press("toggle")
        page.wait("PAUSED")
        assert set(desk.recorder.states(call).values()) == {"paused"}
        page.driver.get(f"{softphone.replace('localhost', '127.0.0.1')}/{desk.url}/")
        log = wait_for("it to be refused", lambda: [one["message"] for one in page.driver.get_log("browser")])
        assert any("frame-ancestors" in line for line in log)
        page.driver.switch_to.frame(page.find("iframe"))
        assert not page.text("#sign-in")
