"""A telephone system presses pause on a whole agent: the right call, attributed; another agent's is refused."""

import asyncio
import hashlib
import json

import pytest
from running_site import wait_for

from agent.commands.demo_site import free_ports
from agent.probe import ProbeCall

SECRET = "s3cret-of-the-pbx"


class Asterisk:
    """AMI as docs.asterisk.org has it ("AMI v2 Specification", "AMI Actions: Challenge, Login")."""

    def __init__(self) -> None:
        self.logged_in = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        writer.write(b"Asterisk Call Manager/7.0.3\r\n")
        while message := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.split(": ", 1) for line in message.decode().strip().split("\r\n"))
            answer = ["Response: Success", f"ActionID: {fields['ActionID']}"]
            if fields["Action"] == "Challenge":
                answer.append("Challenge: 148712")
            writer.write("\r\n".join(answer).encode() + b"\r\n\r\n")
            if fields["Action"] == "Login":
                assert fields["Key"] == hashlib.md5(f"148712{SECRET}".encode()).hexdigest()
                self._writer = writer
                self.logged_in.set()

    async def dialplan(self, *lines: str) -> None:
        """`UserEvent(Greffier,…)` of a trunk's channel."""
        await asyncio.wait_for(self.logged_in.wait(), 60)
        assert self._writer is not None
        head = ["Event: UserEvent", "Privilege: user,all", "Channel: PJSIP/trunk-0000001a", "UserEvent: Greffier"]
        self._writer.write("\r\n".join([*head, *lines]).encode() + b"\r\n\r\n")
        await self._writer.drain()


@pytest.mark.slow
def test_a_user_event_pauses_the_right_call_and_another_agent_s_is_refused(make_site, edit, run_story) -> None:
    (port,) = free_ports(1)

    def with_asterisk(text: str) -> str:
        text = edit(edit(text, "purpose.evidence", trigger='"all"', keep_from=None), "scribe", engine='"none"')
        hall = ['kind = "ami"', f'address = "127.0.0.1:{port}"', 'agents = ["2*"]', 'credentials_file = "hall.toml"']
        return "\n".join([text, "[cti.hall]", *hall, ""])

    seen = make_site(with_asterisk)
    site = seen.site
    (site.etc / "hall.toml").touch(mode=0o600)
    (site.etc / "hall.toml").write_text(f'username = "greffier"\nsecret = "{SECRET}"\n')

    def states(call_id: str) -> dict[str, str]:
        return next(call["states"] for call in site.live() if call["call_id"] == call_id)

    async def waits(what: str, look) -> None:
        await asyncio.to_thread(wait_for, what, look, 60)

    async def story() -> tuple[str, str]:
        hall = Asterisk()
        async with (
            await asyncio.start_server(hall.serve, "127.0.0.1", port),
            ProbeCall(seen.target("udp"), agent_number="201") as ours,
            ProbeCall(seen.target("udp"), agent_number="301") as theirs,
        ):
            ids = []
            for call in (ours, theirs):
                await call.invite()
                ids.append(await asyncio.to_thread(site.call_of, call.session_id))
            await hall.dialplan("Action: pause", "Extension: 301")
            await hall.dialplan("Action: pause", f"Call: {theirs.session_id}")
            await hall.dialplan("Action: tag", "Tag: vip", f"Call: {ours.session_id}")
            await hall.dialplan("Action: pause", "Extension: 201", "Reason: card number")
            await waits("the pause of 201", lambda: states(ids[0])["evidence"] == "paused")
            assert states(ids[1])["evidence"] == "recording", "the call of 301 goes on"
            await hall.dialplan("Action: resume", f"Call: {ours.session_id}")  # the dialplan's hand is not the agent's
            await hall.dialplan("Action: resume", "Extension: 201")
            await waits("the resume of 201", lambda: states(ids[0])["evidence"] == "recording")
            await ours.bye()
            await theirs.bye()
            return ids[0], ids[1]

    ours, theirs = run_story(story())
    for call_id in (ours, theirs):
        site.wait_state(call_id, "finalised", 90)
    marks = [m for m in site.catalog().marks(ours) if m.purpose == "evidence" and m.verb in ("pause", "resume")]
    assert [(m.verb, m.actor) for m in marks] == [("pause", "agent:201"), ("resume", "agent:201")]
    assert marks[0].reason == "card number"
    assert not [m for m in site.catalog().marks(theirs) if m.verb == "pause"]
    lines = [json.loads(line) for line in (site.settings.journal_dir / "desk.jsonl").read_text().splitlines()]
    refused = [line["fields"] for line in lines if line["kind"] == "refused"]
    assert {(fields["what"], fields["actor"]) for fields in refused} == {("call of another agent", "pbx:hall")}
    assert SECRET not in site.log.read_text()
