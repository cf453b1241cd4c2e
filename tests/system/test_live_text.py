"""Live text of a whole agent: what both parties say is read at the desk while they speak, by whom it may be read."""

import asyncio
from typing import Any

import numpy as np
import pytest
from frames import everything_evidence
from listening import Heard
from running_site import wait_for

from agent.probe import ProbeCall


def words(reader: Heard, party: str) -> list[str]:
    """What a reader has of a party for good."""
    told = [data for name, data in reader.events if name == "text" and data["stable"] and data["party"] == party]
    return [word["text"] for data in told for word in data["words"]]


@pytest.mark.slow
def test_both_parties_are_read_while_they_speak_and_a_pause_is_not(make_site, edit, run_story, speech) -> None:
    def english(text: str) -> str:
        return edit(everything_evidence(text, edit), "scribe", engine='"pocketsphinx"', language='"en"')

    seen = make_site(english)
    site = seen.site
    talk, agent = speech("jfk.flac"), speech("fleurs-en-000.flac")
    theirs = site.greffier("token", "add", "agent:201").strip()
    others = site.greffier("token", "add", "agent:999").strip()
    readers = [Heard(f"{site.url}/v1/live", token) for token in (site.admin, theirs, others)]
    boss, own, stranger = readers

    async def story() -> None:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((talk, np.concatenate([np.zeros(8000, np.int16), agent])))
            await asyncio.to_thread(
                wait_for, "words of both", lambda: len(words(boss, "customer")) > 4 < len(words(boss, "agent"))
            )
            answer: dict[str, Any] = (await asyncio.to_thread(site.press, "pause", agent="201", reason="card")).json()
            await asyncio.to_thread(wait_for, "the news of it", lambda: "forgotten" in [n for n, _ in own.events])
            at = [n for n, _ in own.events].index("forgotten")
            assert own.events[at][1]["from_s"] == pytest.approx(answer["since_s"], abs=0.01)
            await call.speak((talk[:32000], None))
            await asyncio.sleep(2)
            told = [data for name, data in own.events[at + 1 :] if name == "text" and data["words"]]
            assert all(data["end_s"] <= answer["since_s"] + 0.01 for data in told), "nothing of what is paused"
            await call.bye()

    wait_for("the recorder to have a listener", lambda: site.events("live.connected"))
    try:
        wait_for("the streams", lambda: all(reader.comments for reader in readers))
        run_story(story())
    finally:
        for reader in readers:
            reader.close()
    assert words(own, "agent") == words(boss, "agent") and words(own, "customer") == words(boss, "customer")
    assert {"my", "fellow"} <= set(words(own, "customer")), "what that party said, as far as this engine understands"
    assert not [name for name, _ in stranger.events if name != "away"], "of the calls of others nothing"
