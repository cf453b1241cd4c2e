"""What the desktop says: a page that is open holds a pause of its own; tags, queue and consent, by whoever may."""

import pytest


def said(desk, token: str, **body: object):
    """POST /v1/context."""
    return desk.ask("POST", "/v1/context", token, json=body)


def test_a_page_that_is_open_pauses_until_it_is_closed(desk) -> None:
    call = desk.recorder.add("2001")
    opened = said(desk, "crm", agent="2001", opened="payment")
    assert opened.status_code == 200 and set(opened.json()["states"].values()) == {"paused"}
    assert opened.json()["causes"]["evidence"] == ["context:payment"] and opened.json()["since_s"] == 9.5
    assert [(r["actor"], r["cause"]) for r in desk.recorder.requests] == [("context:2001", "context:payment")]
    desk.ask("POST", "/v1/agents/2001/pause", "ann")
    assert set(said(desk, "crm", call=call, closed="payment").json()["states"].values()) == {"paused"}, "by hand"
    desk.ask("POST", "/v1/agents/2001/resume", "ann")
    assert set(desk.recorder.states(call).values()) == {"recording"}


def test_a_page_may_pause_some_purposes_only(desk) -> None:
    desk.recorder.add("2001")
    done = said(desk, "ann", agent="2001", opened="survey").json()
    assert done["states"] == {"evidence": "recording", "training": "paused"}


def test_from_one_page_to_the_next_there_is_no_gap(desk) -> None:
    desk.recorder.add("2001")
    said(desk, "crm", agent="2001", opened="survey")
    desk.recorder.requests.clear()
    said(desk, "crm", agent="2001", opened="payment", closed="survey")
    assert [r["verb"] for r in desk.recorder.requests] == ["pause", "resume"]


def test_tags_queue_and_consent_are_passed_on(desk) -> None:
    call = desk.recorder.add("2001")
    body = {"queue": "sales", "add_tags": ["vip", "contract=gold"], "consent": "given"}
    done = said(desk, "crm", agent="2001", opened="payment", **body)
    assert done.status_code == 200 and done.json()["call_id"] == call and done.json()["since_s"] == 9.5
    now = desk.recorder.call(call)
    assert (now["queue"], now["tags"], now["consent"]) == ("sales", ["contract=gold", "vip"], "given")
    asked = desk.recorder.requests[-1]
    assert (asked["op"], asked["actor"], asked["source"]) == ("context", "agent:2001", "api")
    assert said(desk, "lead", call=call, remove_tags=["vip"]).status_code == 200
    assert desk.recorder.call(call)["tags"] == ["contract=gold"]


@pytest.mark.parametrize("token", ["admin", "lead", "cleo", "ann", "crm"])
def test_who_may_tell_of_consent(desk, token: str) -> None:
    call = desk.recorder.add("2001")
    assert said(desk, token, agent="2001", consent="withdrawn").status_code == 200
    assert desk.recorder.call(call)["consent"] == "withdrawn"


@pytest.mark.parametrize("token", ["bob", "hotkey", "phone", "eye", None])
def test_who_may_not(desk, token: str | None) -> None:
    call = desk.recorder.add("2001")
    for of in ({"agent": "2001"}, {"call": call}):
        refused = said(desk, token, **of, consent="given", opened="payment")
        assert refused.status_code in (401, 403, 404)
    assert desk.recorder.requests == [] and desk.recorder.call(call)["consent"] == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        {"opened": "payment"},
        {"agent": "2001", "call": "abcd", "opened": "payment"},
        {"agent": "2001"},
        {"agent": "2001", "opened": "nonsense"},
        {"agent": "2001", "opened": "payment", "closed": "nonsense"},
        {"agent": "2001", "opened": "payment", "closed": "payment"},
        {"agent": "2001", "consent": "perhaps"},
        {"agent": "2001", "add_tags": ["née"]},
        {"agent": "2001", "add_tags": ["x"] * 17},
        {"agent": "2001", "colour": "red", "opened": "payment"},
    ],
)
def test_what_makes_no_sense_changes_nothing(desk, body: dict) -> None:
    desk.recorder.add("2001")
    assert desk.ask("POST", "/v1/context", "admin", json=body).status_code == 422
    assert desk.recorder.requests == []


def test_a_page_opened_is_never_success_without_a_pause(desk) -> None:
    desk.recorder.add("2001")
    desk.recorder.mode = "lying"
    assert said(desk, "crm", agent="2001", opened="payment").status_code == 502
