"""Live sound of a whole agent: both parties to the sample, and a pause that stops it and is obeyed in memory."""

import asyncio
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from frames import everything_evidence, frames_of, noise
from running_site import wait_for

from agent.model.call import Role
from agent.model.live import Conversation, Forget, Over, Sound
from agent.probe import ProbeCall
from agent.scribe.livefeed import messages


@dataclass
class Memory:
    """What a listener has of one call, by who said it."""

    path: Path
    stop: threading.Event = field(default_factory=threading.Event)
    roles: dict[int, Role] = field(default_factory=dict)
    bytes_at: dict[Role, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    forgotten: list[int] = field(default_factory=list)
    sounds: int = 0
    over: bool = False

    def __enter__(self) -> "Memory":
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(5)

    def _listen(self) -> None:
        for message in messages(self.path, self.stop):
            if isinstance(message, Conversation):
                self.roles = {voice.stream: voice.role for voice in message.voices}
            elif isinstance(message, Sound):
                mine = self.bytes_at[self.roles[message.stream]]
                assert not mine or message.position > max(mine)
                mine |= dict(enumerate(message.payload, message.position))
                self.sounds += 1
            elif isinstance(message, Forget):
                self.forgotten.append(message.since)
                for mine in self.bytes_at.values():
                    for position in [p for p in mine if p >= message.since]:
                        del mine[position]
            elif isinstance(message, Over):
                self.over = True

    def said(self, role: Role) -> tuple[int, bytes]:
        """Where the first sample lies, and all from there on."""
        mine = self.bytes_at[role]
        first = min(mine)
        return first, bytes(mine.get(p, 0) for p in range(first, max(mine) + 1))


@pytest.mark.slow
def test_both_parties_are_heard_to_the_sample_and_a_pause_stops_it_at_once(make_site, edit, run_story) -> None:
    seen = make_site(lambda text: everything_evidence(text, edit))
    site = seen.site
    talk, number, after = noise(5, 31), noise(4, 32), noise(3, 33)
    agent = noise(12, 34)

    async def story(memory: Memory) -> None:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            await asyncio.to_thread(site.call_of, call.session_id)
            speaking = asyncio.create_task(call.speak((np.concatenate([talk, number, after]), agent)))
            await asyncio.sleep(5 + 2)
            answer = (await asyncio.to_thread(site.press, "pause", agent="201", reason="card number")).json()
            assert set(answer["states"].values()) <= {"paused", "idle"} and answer["states"]["assistance"] == "paused"
            await asyncio.sleep(0.2)
            before = memory.sounds
            assert memory.forgotten == [round(answer["since_s"] * 8000)], "as far back as it is written nowhere"
            everything = b"".join(memory.said(role)[1] for role in (Role.CUSTOMER, Role.AGENT))
            assert not any(frame in everything for frame in frames_of(number)), "nothing of the number is remembered"
            await asyncio.sleep(2)
            assert memory.sounds == before, "nothing is heard of what is paused"
            metrics = await asyncio.to_thread(httpx.get, f"{site.url}/metrics")
            assert "greffier_live_listeners 1.0" in metrics.text
            await asyncio.to_thread(site.press, "resume", agent="201", reason="over")
            await speaking
            await call.bye()
        await asyncio.to_thread(wait_for, "the end of the call", lambda: memory.over)
        customer, theirs = (memory.said(role)[1] for role in (Role.CUSTOMER, Role.AGENT))
        whole = b"".join(frames_of(talk))
        reach = round((5 + 2 - 3 - 0.5) * 8000)
        assert whole[:reach] in customer and b"".join(frames_of(agent))[:reach] in theirs, "to the sample, in one piece"
        assert not any(frame in customer for frame in frames_of(number)[:-25])
        assert b"".join(frames_of(after)[-50:]) in customer, "and what was said after it"
        apart = memory.said(Role.CUSTOMER)[0] - memory.said(Role.AGENT)[0]
        assert abs(apart) < 8000, "on one clock"

    with Memory(site.settings.live_socket) as memory:
        wait_for("the recorder to have a listener", lambda: site.events("live.connected"))
        run_story(story(memory))


@pytest.mark.slow
def test_a_recorder_that_is_killed_is_listened_to_again(make_site, edit, run_story) -> None:
    seen = make_site(lambda text: everything_evidence(text, edit))
    site = seen.site

    async def story(memory: Memory) -> None:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            await asyncio.to_thread(site.call_of, call.session_id)
            speaking = asyncio.create_task(call.speak((noise(12, 41), noise(12, 42))))
            await asyncio.to_thread(wait_for, "sound", lambda: memory.sounds > 4)
            await asyncio.to_thread(site.kill, "recorder")
            before = memory.sounds
            await asyncio.to_thread(wait_for, "sound again", lambda: memory.sounds > before + 4)
            await speaking
            await call.bye()

    with Memory(site.settings.live_socket) as memory:
        wait_for("the recorder to have a listener", lambda: site.events("live.connected"))
        run_story(story(memory))
