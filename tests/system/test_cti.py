"""A telephone system presses pause on a whole agent: the right call, attributed; another agent's is refused."""

import asyncio
import json

import pytest
from pbx import KINDS, SECRET, USERNAME, Pbx
from running_site import wait_for

from agent.commands.demo_site import free_ports
from agent.probe import ProbeCall


def journal(site, process: str) -> list[dict]:
    """Its lines."""
    return [json.loads(line) for line in (site.settings.journal_dir / f"{process}.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_pauses_the_right_call_tells_of_it_and_is_refused_another_agent_s(
    kind: str, make_site, edit, run_story, told
) -> None:
    (port,) = free_ports(1)

    def with_telephone_system(text: str) -> str:
        text = edit(edit(text, "purpose.evidence", trigger='"all"', keep_from=None), "scribe", engine='"none"')
        hall = [
            f'kind = "{kind}"',
            f'address = "127.0.0.1:{port}"',
            'agents = ["2*"]',
            'credentials_file = "hall.toml"',
        ]
        return "\n".join([text, "[cti.hall]", *hall, ""])

    seen = make_site(with_telephone_system)
    site = seen.site
    (site.etc / "hall.toml").touch(mode=0o600)
    (site.etc / "hall.toml").write_text(f'username = "{USERNAME}"\nsecret = "{SECRET}"\n')
    says, muted = KINDS[kind].user_event, KINDS[kind].mute

    def call(call_id: str) -> dict:
        return next(call for call in site.live() if call["call_id"] == call_id)

    async def stands(call_id: str, wanted: str) -> None:
        await asyncio.to_thread(wait_for, wanted, lambda: call(call_id)["states"]["evidence"] == wanted, 60)

    async def story() -> tuple[str, str]:
        async with (
            Pbx(KINDS[kind].talk, port).running() as hall,
            ProbeCall(seen.target("udp"), agent_number="201") as ours,
            ProbeCall(seen.target("udp"), agent_number="301") as theirs,
        ):
            ids = []
            for one in (ours, theirs):
                await one.invite()
                ids.append(await asyncio.to_thread(site.call_of, one.session_id))
            await hall.say(says("pause", Extension="301"))
            await hall.say(says("pause", Call=theirs.session_id))
            await hall.say(says("context", Tag="vip", Queue="sales", Call=ours.session_id))
            await hall.say(says("pause", Extension="201", Reason="card number"))
            await stands(ids[0], "paused")
            assert call(ids[1])["states"]["evidence"] == "recording", "the call of 301 goes on"
            await hall.say(says("resume", Call=ours.session_id))  # the dialplan's hand is not the agent's
            await hall.say(says("resume", Extension="201"))
            await stands(ids[0], "recording")
            await hall.say(muted(True))
            await stands(ids[0], "paused")
            assert call(ids[0])["causes"]["evidence"] == ["pbx"]
            await hall.say(muted(False))
            await stands(ids[0], "recording")
            live = call(ids[0])
            assert (live["queue"], live["tags"]) == ("sales", ["vip"])
            await ours.bye()
            await theirs.bye()
            return ids[0], ids[1]

    ours, theirs = run_story(story())
    for call_id in (ours, theirs):
        site.wait_state(call_id, "finalised", 90)
    marks = [m for m in site.catalog().marks(ours) if m.purpose == "evidence" and m.verb in ("pause", "resume")]
    agent, hall = "agent:201", "pbx:hall"
    assert [(m.verb, m.actor) for m in marks] == [
        ("pause", agent),
        ("resume", agent),
        ("pause", hall),
        ("resume", hall),
    ]
    assert marks[0].reason == "card number"
    assert not [m for m in site.catalog().marks(theirs) if m.verb == "pause"]
    (context,) = [c for c in site.catalog().contexts(ours) if c.tags]
    assert (context.queue, context.tags, context.actor, context.source) == ("sales", ("vip",), hall, kind)
    shown = told(site.greffier("show", ours))
    assert all(words in shown for words in (agent, hall, "card number", "sales", "vip", kind))
    refused = [line["fields"] for line in journal(site, "desk") if line["kind"] == "refused"]
    assert {(fields["what"], fields["actor"]) for fields in refused} == {("call of another agent", hall)}
    gate = [
        line["fields"] for line in journal(site, "scribe") if (line["kind"], line["purpose"]) == ("gate", "evidence")
    ]
    assert [(fields["verb"], fields["actor"]) for fields in gate if fields["verb"] in ("pause", "resume")] == [
        (m.verb, m.actor) for m in marks
    ]
    assert SECRET not in site.log.read_text()
