"""S14 by the web button, on a whole agent: a click in a real browser, the page says *paused*, the gate is closed.

What the page cannot know, since the recorder or the desk is gone, it says; a press meanwhile is told as failed.
"""

from typing import Any

import pytest
from chromium import AgentPage, agent_page
from live_call import PAUSED, gates, live_call, stopped
from running_site import RunningSite, wait_for

from agent.model.call import CLOCK_RATE

SHUT = {"paused", "warning"}


def lights(page: AgentPage) -> list[str]:
    """What was shown, change by change."""
    seen = [one[0] for one in page.shown()]
    return [light for n, light in enumerate(seen) if n == 0 or light != seen[n - 1]]


def stand(site: RunningSite, states: set[str]) -> Any:
    return wait_for(f"the gates to be {states}", lambda: set(gates(site).values()) <= states, 60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s14_the_web_button_pauses_a_real_call_and_says_what_it_cannot_know(make_site, edit, files_under) -> None:
    seen = make_site(lambda text: edit(edit(text, "purpose.training", percent="100"), "scribe", engine='"none"'))
    site = seen.site
    mine, others = (site.greffier("token", "add", f"agent:{agent}").strip() for agent in ("201", "202"))
    with agent_page("en") as page, agent_page("fr") as other:
        for opened, token, words in ((page, mine, "NO CALL"), (other, others, "PAS D’APPEL")):
            opened.open(site.url)
            opened.sign_in(token)
            opened.wait(words)
        with live_call(seen.target("udp")) as call:
            call_id = site.call_of(call.session_id)
            page.wait("RECORDING")
            page.watch()
            page.press("toggle")
            page.wait("PAUSED")
            assert set(gates(site).values()) <= PAUSED, "the page says so because it is so"
            wait_for("since when", lambda: page.text(".detail").startswith("since 0:"))
            said = page.text(".detail")
            other.press("toggle")
            other.wait("PAS EN PAUSE")
            assert other.text(".title") == "PAS D’APPEL", "another agent's call is nobody's business there"
            page.press("toggle")
            page.wait("RECORDING")
            stand(site, {"recording", "armed"})
            assert lights(page) == ["recording", "paused", "recording"]

            pressed = len(site.events("gate"))
            with stopped(site.pid_of("desk")):
                page.press("toggle")
                page.wait("NOT PAUSED")
                assert len(site.events("gate")) == pressed
            assert not set(gates(site).values()) & PAUSED, "nor is it paused by a press that was told as failed"
            page.press("toggle")
            page.wait("PAUSED")
            assert set(gates(site).values()) <= PAUSED

            for process in ("recorder", "desk"):
                page.watch()
                site.kill(process)
                wait_for("it to be said", lambda: "CONNECTION LOST" in {one[1] for one in page.shown()}, 60)
                page.wait("PAUSED")
                assert lights(page)[0] in SHUT and set(gates(site).values()) <= PAUSED, "and it holds still"
            page.press("toggle")
            page.wait("RECORDING")
        page.wait("NO CALL")
        assert page.complaints() == other.complaints() == []
    site.wait_state(call_id, "ended")
    marks = [m for m in site.catalog().marks(call_id) if m.purpose == "training" and m.verb in ("pause", "resume")]
    assert [(m.verb, m.actor, m.cause) for m in marks] == [
        (verb, "agent:201", "agent") for verb in ("pause", "resume", "pause", "resume")
    ]
    minutes, seconds = divmod(marks[0].since_samples // CLOCK_RATE, 60)
    assert said.startswith(f"since {minutes}:{seconds:02} of the call"), "media time, as the call's own account has it"
    for path, content in files_under(site.folder):
        assert mine.encode() not in content and others.encode() not in content, path
