"""Presses over REST: success only when the gate stands so, each on the agent's own call only, and written down."""

import time

import httpx
import pytest
from running_site import wait_for

GOOD = {"evidence": "recording", "training": "recording"}


def test_a_press_tells_how_the_gate_stands_and_since_when(desk) -> None:
    call = desk.recorder.add("2001")
    done = desk.ask("POST", "/v1/agents/2001/pause", "ann", json={"reason": "card"})
    assert done.status_code == 200
    assert done.json() == {
        "call_id": call,
        "states": {"evidence": "paused", "training": "paused"},
        "changed": ["evidence", "training"],
        "since_s": 9.5,
        "causes": {"evidence": ["agent"], "training": ["agent"]},
    }
    assert set(desk.recorder.states(call).values()) == {"paused"}
    (asked,) = desk.recorder.requests
    assert (asked["actor"], asked["reason"], asked["cause"], asked["verb"]) == ("agent:2001", "card", "agent", "pause")
    one = desk.ask("POST", f"/v1/calls/{call[:8]}/resume", "ann", json={"purpose": "training"}).json()
    assert one["states"] == {"evidence": "paused", "training": "recording"} and one["causes"] == {"evidence": ["agent"]}
    assert desk.ask("POST", f"/v1/calls/{call}/drop", "ann").json()["states"]["evidence"] == "dropped"
    assert desk.ask("POST", f"/v1/calls/{call}/keep", "ann").status_code == 200


@pytest.mark.parametrize(
    ("who", "actor"), [("admin", "admin:boss"), ("lead", "supervisor:lead"), ("cleo", "supervisor:2003")]
)
def test_who_presses_for_others_is_written_down_by_name(desk, who: str, actor: str) -> None:
    desk.recorder.add("2001")
    assert desk.ask("POST", "/v1/agents/2001/pause", who).status_code == 200
    assert desk.recorder.requests[-1]["actor"] == actor


def test_a_supervisor_on_the_phone_presses_as_agent(desk) -> None:
    desk.recorder.add("2003")
    assert desk.ask("POST", "/v1/agents/2003/pause", "cleo").status_code == 200
    assert desk.recorder.requests[-1]["actor"] == "agent:2003"


def test_an_agent_has_all_of_their_extensions(desk) -> None:
    desk.recorder.add("2011")
    assert desk.ask("POST", "/v1/agents/2011/pause", "ann").status_code == 200


def test_the_token_of_another_agent_is_refused_and_journalled(desk) -> None:
    call = desk.recorder.add("2002")
    for path in ("/v1/agents/2002/pause", f"/v1/calls/{call}/pause", f"/v1/calls/{call[:6]}/pause"):
        refused = desk.ask("POST", path, "ann")
        assert refused.status_code in (403, 404) and "not done" in refused.json()["detail"]
    assert desk.ask("GET", "/v1/agents/2002/state", "ann").status_code == 403
    assert desk.ask("GET", "/v1/calls", "ann").json() == []
    assert [c["call_id"] for c in desk.ask("GET", "/v1/calls", "bob").json()] == [call]
    nobodys = desk.recorder.add(None)
    assert desk.ask("POST", f"/v1/calls/{nobodys}/pause", "ann").status_code == 404
    assert desk.recorder.states(call) == desk.recorder.states(nobodys) == GOOD and desk.recorder.requests == []
    assert ("call of another agent", "agent:2001") in desk.refusals()


@pytest.mark.parametrize("token", [None, "wrong", "eye", "phone", "Basic"])
def test_what_is_no_token_for_it_presses_nothing(desk, token: str | None) -> None:
    call = desk.recorder.add("2001")
    if token == "Basic":
        headers = {"Authorization": "Basic " + desk.tokens["ann"]}
        done = httpx.post(f"{desk.url}/v1/agents/2001/pause", headers=headers)
    else:
        done = desk.ask("POST", "/v1/agents/2001/pause", token)
    assert done.status_code in (401, 403) and desk.recorder.states(call) == GOOD
    assert desk.recorder.requests == []


class TestAPauseThatIsAnsweredWithSuccessIsAPause:
    """Regression of other recorders: an API that answers 200 without pausing."""

    @pytest.mark.parametrize(
        ("mode", "path"),
        [
            ("frozen", "agents/2001"),
            ("lying", "agents/2001"),
            ("lying", "calls/CALL"),
            ("stale", "calls/CALL"),
            ("away", "agents/2001"),
            ("away", "calls/CALL"),
        ],
    )
    def test_regression_a_pause_api_that_answers_200_without_pausing(self, desk, mode: str, path: str) -> None:
        call = desk.recorder.add("2001")
        path = path.replace("CALL", call)
        if mode == "away":
            desk.recorder.stop()
        desk.recorder.mode = mode
        try:
            done = desk.ask("POST", f"/v1/{path}/pause", "admin")
            assert done.status_code in (502, 503) and "not done" in done.json()["detail"]
            assert desk.recorder.states(call) == GOOD
        finally:
            if mode == "away":
                desk.recorder.start()
        desk.recorder.mode = "good"
        again = desk.ask("POST", f"/v1/{path}/pause", "admin")
        assert again.status_code == 200 and set(desk.recorder.states(call).values()) == {"paused"}

    @pytest.mark.parametrize("path", ["agents/2002", "calls/" + "ab" * 16, "calls/abcd", "agents/nobody"])
    def test_whatever_call_is_named(self, desk, path: str) -> None:
        desk.recorder.add("2001")
        done = desk.ask("POST", f"/v1/{path}/pause", "admin")
        assert done.status_code == 404 and "not done" in done.json()["detail"]

    @pytest.mark.parametrize("state", ["idle", "waiting", "armed", "recording", "something-new"])
    def test_whatever_state_one_gate_is_left_in(self, desk, state: str) -> None:
        desk.recorder.add("2001", states={"evidence": "paused", "training": state})
        desk.recorder.mode = "lying"
        assert desk.ask("POST", "/v1/agents/2001/pause", "admin").status_code == 502
        only = desk.ask("POST", "/v1/agents/2001/pause", "admin", json={"purpose": "evidence"})
        assert only.status_code == 200, "this one is closed"

    def test_unless_there_is_nothing_to_pause_and_the_pause_is_remembered(self, desk) -> None:
        states, causes = {"evidence": "paused", "training": "idle"}, {"evidence": ["agent"], "training": ["agent"]}
        desk.recorder.add("2001", states=states, causes=causes)
        desk.recorder.mode = "lying"
        assert desk.ask("POST", "/v1/agents/2001/pause", "admin").json()["states"] == states

    def test_a_purpose_that_has_nothing_of_the_call_does_not_make_it_fail(self, desk) -> None:
        desk.recorder.add("2001", states={"evidence": "recording", "training": "idle"})
        done = desk.ask("POST", "/v1/agents/2001/pause", "ann")
        assert done.status_code == 200 and done.json()["states"] == {"evidence": "paused", "training": "idle"}
        assert done.json()["causes"]["training"] == ["agent"], "it is paused if it begins"
        assert desk.ask("POST", "/v1/agents/2001/resume", "ann").status_code == 200

    def test_a_resume_that_did_nothing_is_none_either(self, desk) -> None:
        causes = {"evidence": ["agent"]}
        desk.recorder.add("2001", states={"evidence": "paused"}, causes=causes)
        desk.recorder.mode = "lying"
        assert desk.ask("POST", "/v1/agents/2001/resume", "admin").status_code == 502


def test_a_question_given_up_is_not_answered_to_another(desk) -> None:
    """A frozen recorder that comes to must not have its late answers taken for those of later presses."""
    desk.recorder.add("2001")
    desk.recorder.mode = "frozen"
    assert desk.ask("POST", "/v1/agents/2001/pause", "admin").status_code == 503
    desk.recorder.mode = "good"
    other = desk.recorder.add("2002")
    assert desk.ask("POST", "/v1/agents/2002/pause", "admin").json()["call_id"] == other


def test_bodies_are_small_and_what_is_wrong_in_them_is_not_repeated(desk) -> None:
    desk.recorder.add("2001")
    assert desk.ask("POST", "/v1/agents/2001/pause", "ann", content=b"x" * 20_000).status_code == 413
    wrong = desk.ask("POST", "/v1/agents/2001/pause", "ann", json={"purpose": 4111111111111111, "evil": "secret"})
    assert wrong.status_code == 422 and "4111" not in wrong.text and '"secret"' not in wrong.text
    assert wrong.headers["cache-control"] == "no-store"
    long = desk.ask("POST", "/v1/agents/2001/pause", "ann", json={"reason": "x" * 201})
    assert long.status_code == 422 and desk.recorder.requests == []


def test_a_revoked_or_expired_token_presses_nothing_from_the_next_request_on(desk) -> None:
    desk.recorder.add("2001")
    token = desk.token("agent", "2001")
    assert desk.ask("POST", "/v1/agents/2001/pause", token).status_code == 200
    desk.directory.revoke(desk.directory.tokens()[-1].token_id, time.time_ns())
    assert desk.ask("POST", "/v1/agents/2001/pause", token).status_code == 401
    old = desk.token("agent", "2001", expires_ns=time.time_ns() - 1)
    assert desk.ask("POST", "/v1/agents/2001/pause", old).status_code == 401


def test_no_secret_is_in_the_log(desk) -> None:
    desk.ask("POST", "/v1/agents/2001/pause", "ann")
    wait_for("the log", lambda: desk.log.stat().st_size)
    text = desk.log.read_text()
    assert [name for name, token in desk.tokens.items() if token in text] == []
