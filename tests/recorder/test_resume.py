"""A call that is taken up after a kill goes on as it was decided, whatever became of the configuration meanwhile."""

import asyncio
from dataclasses import replace
from pathlib import Path

from alone import Alone
from line import AUDIO, CALL, Line

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.writer import LogWriter
from agent.config import Endpoint, Settings
from agent.model.call import Call, Party, Role
from agent.model.condition import Condition
from agent.model.gate import GateState, GateVerb
from agent.model.purpose import Purpose, Trigger
from agent.policy.calendar import FRANCE
from agent.policy.decide import Policy
from agent.probe import ProbeCall
from agent.recorder.basis import basis_of
from agent.recorder.calls import Calls
from agent.recorder.policy import Rulebook
from agent.recorder.resume import Resume, ResumeBox

LONG = Purpose("training", Trigger.ALL, AUDIO, ("age1x",), None, when=Condition(agent=("2*",)), holdback_s=9.0)
BASIS = replace(basis_of(Settings(), (LONG,), FRANCE), timezone="Europe/Berlin", limit_samples=77 * 8000)
LIVE = Call(CALL, "ref", "siprec", "gw", 0, parties=(Party("a", "2001", role=Role.AGENT),))


def test_what_a_call_was_decided_on_is_sealed_with_it_and_older_records_are_read_without(tmp_path: Path) -> None:
    box = ResumeBox(tmp_path)
    whole = Resume(LIVE, 5, b"dialog", b"gate", (), BASIS)
    assert box.open(box.seal(whole)) == whole
    older = replace(whole, basis=None)
    assert box.open(box.seal(older)) == older


def test_a_call_of_before_a_restart_is_decided_on_again_by_what_it_began_with() -> None:
    now = Purpose("quality", Trigger.ALL, AUDIO, ("age1x",), None)
    rules = Rulebook(Settings(), Policy((now,), bytes(32)), {CALL: BASIS})
    (again,) = rules.again(LIVE, (), 1)
    assert again.purpose == "training" and again.applies
    (again,) = rules.again(replace(LIVE, parties=(Party("b", "9001", role=Role.AGENT),)), (again,), 2)
    assert not again.applies, "its conditions are those of then"
    assert rules.began_with(CALL) == BASIS
    assert rules.longest_samples == 9 * 8000, "and there is room for its holdback"
    assert rules.names() == {"quality", "training"}


def test_the_holdback_of_a_call_reaches_as_far_after_a_restart_though_it_is_shorter_now(tmp_path: Path) -> None:
    call = Line(tmp_path, (LONG,), 1)
    call.calls.use_key(call.key)
    for _ in range(100):
        call.go_on(0.0, (True, True))
    gate, decisions = call.live.gate.snapshot(), call.live.decisions
    call.writer.close()
    call.writer = LogWriter(tmp_path, 1 << 26, lambda: 0)
    short = replace(LONG, holdback_s=1.0)
    rules = Rulebook(Settings(), Policy((short,), bytes(32)), {CALL: BASIS})
    call.calls = Calls(
        Settings(), (short,), call.writer, 4, began_with=rules.began_with, longest_samples=rules.longest_samples
    )
    call.key = CallKey(CALL, 1, call.key.key)
    call.calls.restored(call.live.call, 0, gate, decisions, call.key, call.ms * 1_000_000)
    call.live = call.calls.all()[0]
    taken_up_ms = call.ms
    for n in range(1200):  # nobody talks for so long that nothing waits any more
        call.go_on(0.0, (not 50 < n < 600,) * 2)
    pressed_ms = call.ms
    call.press(GateVerb.PAUSE)
    for _ in range(200):
        call.go_on(0.0, (True, True))
    _, written = call.end()
    late = [place for _, place in written if place >= taken_up_ms * 8]
    assert late and max(late) == (pressed_ms - 9000) * 8 - 1, "nothing of the nine seconds before the press"


def test_after_a_kill_a_call_keeps_purposes_that_are_configured_no_more(tmp_path: Path) -> None:
    alone = Alone(tmp_path / "site")
    alone.start()

    async def story() -> tuple[str, dict[str, str], dict[str, object]]:
        async with ProbeCall(Endpoint(transport="udp", host="127.0.0.1", port=alone.site.sip_port)) as call:
            await call.invite()
            (before,) = (await asyncio.to_thread(alone.answer, op="calls"))["calls"]
            await asyncio.to_thread(alone.kill)
            text = alone.site.config.read_text()
            start, end = text.index("[purpose.training]"), text.index("[purpose.analytics]")
            alone.site.config.write_text(text[:start] + text[end:].replace("[purpose.analytics]", "[purpose.other]"))
            await asyncio.to_thread(alone.start)
            (after,) = (await asyncio.to_thread(alone.answer, op="calls"))["calls"]
            paused = await asyncio.to_thread(alone.answer, op="gate", agent="201", verb="pause", actor="cli:root")
            await call.bye()
        return before, after, paused

    before, after, paused = asyncio.run(asyncio.wait_for(story(), 60))
    alone.stop()
    assert after["call_id"] == before["call_id"] and after["states"] == before["states"]
    assert "training" in after["states"] and "other" not in after["states"]
    assert paused["states"]["evidence"] == GateState.PAUSED
    records = alone.said()[before["call_id"]]
    assert [kind for kind, *_ in records].count(RecordKind.END) == 1
