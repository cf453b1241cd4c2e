"""A call that is taken up after a kill goes on as it was decided, whatever became of the configuration meanwhile."""

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

from alone import Alone
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from line import AUDIO, CALL, Line
from running_site import wait_for

from agent.capture.format import RecordKind
from agent.capture.gate import CallGate
from agent.capture.keys import CallKey, create
from agent.capture.reader import calls_in
from agent.capture.writer import LogWriter
from agent.config import Endpoint, Settings
from agent.model.call import Call, Codec, MediaStream, Party, Role
from agent.model.condition import Condition
from agent.model.events import CallEnded
from agent.model.gate import GateState, GateVerb
from agent.model.purpose import Purpose, Trigger
from agent.model.wire import dump, load
from agent.policy.calendar import FRANCE
from agent.policy.decide import Policy
from agent.probe import ProbeCall
from agent.recorder.basis import basis_of
from agent.recorder.calls import Calls
from agent.recorder.policy import Rulebook
from agent.recorder.resume import Resume, ResumeBox
from agent.vault.secretfile import read_secret

LONG = Purpose("training", Trigger.ALL, AUDIO, ("age1x",), None, when=Condition(agent=("2*",)), holdback_s=9.0)
BASIS = replace(basis_of(Settings(), (LONG,), FRANCE), timezone="Europe/Berlin", limit_samples=77 * 8000)
LIVE = Call(CALL, "ref", "siprec", "gw", 0, parties=(Party("a", "2001", role=Role.AGENT),))


def test_what_a_call_was_decided_on_is_sealed_with_it_and_older_records_are_read_without(tmp_path: Path) -> None:
    box = ResumeBox(tmp_path)
    gate = CallGate(CALL, (LONG,), None, 0, 0, 0).snapshot()
    whole = Resume(LIVE, 5, b"dialog", gate, (), BASIS)
    assert box.open(box.seal(whole)) == whole
    older = replace(whole, basis=None)
    assert box.open(box.seal(older)) == older


def test_a_call_of_before_a_restart_is_decided_on_again_by_what_it_began_with() -> None:
    now = Purpose("quality", Trigger.ALL, AUDIO, ("age1x",), None)
    rules = Rulebook(Settings(), Policy((now,), bytes(32)))
    rules.restore(CALL, BASIS)
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
    rules = Rulebook(Settings(), Policy((short,), bytes(32)))
    rules.restore(CALL, BASIS)
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
    capture = alone.settings.capture_dir
    alone.start()

    async def story() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        async with ProbeCall(Endpoint(transport="udp", host="127.0.0.1", port=alone.site.sip_port)) as call:
            await call.invite()
            (before,) = (await asyncio.to_thread(alone.answer, op="calls"))["calls"]
            await asyncio.to_thread(wait_for, "the call to be in the log", lambda: calls_in(capture)[0])
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


def resealed(folder: Path, resume: Resume, **changed: object) -> bytes:
    """What a newer program might have remembered."""
    box, aead = ResumeBox(folder), AESGCM(read_secret(folder / "resume.key"))
    whole = box.seal(resume)
    fields = json.loads(aead.decrypt(whole[:12], whole[12:], b"greffier resume 1")) | changed
    return whole[:12] + aead.encrypt(whole[:12], json.dumps(fields).encode(), b"greffier resume 1")


NEWER = (
    {"version": 2},
    {"call": '{"call_id": "+33612345678"}'},
    {"origin_ns": "later"},
    {"gate": b64encode(b'{"call_id":"x","now":0,"frontier":0,"gates":[{"name":"a","state":"muted"}]}').decode()},
    {"basis": dump(BASIS).decode().replace('"all"', '"sometimes"')},
    {"basis": dump(replace(BASIS, holidays="ATLANTIS")).decode()},
    {"basis": dump(replace(BASIS, timezone="Mars/Olympus")).decode()},
    {"basis": dump(replace(BASIS, purposes=(replace(LONG, when=Condition(expression="mood(")),))).decode()},
    {"dialog": b64encode(b'["{\\"version\\":99}"]').decode()},
    {"dialog": b64encode(b"+33612345678").decode()},
    {"boot": None, "call": None},
)


def test_what_a_newer_program_remembered_interrupts_its_call_and_nothing_else(tmp_path: Path) -> None:
    alone = Alone(tmp_path / "site")
    run_dir, port = alone.settings.site.run_dir, alone.settings.siprec.media_ports[0]
    for folder in (alone.settings.capture_dir, alone.settings.callkeys_dir, run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    gate = Line(tmp_path, (LONG,), 1).live.gate.snapshot()
    writer = LogWriter(alone.settings.capture_dir, 1 << 26, lambda: 0)
    calls = {f"{n:032x}": changed for n, changed in enumerate(NEWER, 1)}
    for call_id, changed in calls.items():
        ours = port + 2 * (int(call_id, 16) % 2)
        stream = MediaStream(0, "p", 0, "p", Codec.PCMA, 8, ours, True)
        resume = Resume(replace(LIVE, call_id=call_id, streams=(stream,)), 0, b"", gate, (), BASIS)
        recipient = alone.settings.recipient_file.read_text()
        used = writer.use(create(alone.settings.callkeys_dir, call_id, 0, recipient))
        writer.append_opaque(RecordKind.RESUME, used, resealed(run_dir, resume, **changed))
    writer.close()
    with alone.running():
        assert alone.answer(op="calls")["calls"] == []

        async def place() -> None:
            async with ProbeCall(Endpoint(transport="udp", host="127.0.0.1", port=alone.site.sip_port)) as call:
                await call.invite()
                assert set(call.remote.values()) == {("127.0.0.1", port), ("127.0.0.1", port + 2)}, (
                    "their ports are free"
                )
                await call.bye()

        asyncio.run(asyncio.wait_for(place(), 60))
    said = alone.said()
    for call_id in calls:
        kind, _, _, content = said[call_id][-1]
        assert kind is RecordKind.END and load(CallEnded, content).cause == "interrupted"
    assert len(alone.site.events("call.interrupted")) == len(NEWER)
    assert "612345678" not in alone.site.log.read_text()
