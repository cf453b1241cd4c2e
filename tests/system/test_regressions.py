"""What users of other recorders report, on a whole agent: each a test by that name."""

import asyncio
from collections.abc import Callable

import pytest
from frames import frames_of, heard_in, noise

from agent.probe import ProbeCall
from agent.probe.messages import Person, metadata

CUSTOMER = Person("P1", "M1", "+33612345678", "Customer", "1")
FIRST_AGENT = Person("P2", "M2", "201", "First agent", "2")
SECOND_AGENT = Person("P3", "M3", "203", "Second agent", "2")


def lossless(text: str, edit: Callable[..., str]) -> str:
    """Evidence and training of every call, audio only."""
    audio = {"artifacts": '["audio", "manifest"]', "audio_format": '"flac"'}
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None, **audio)
    text = edit(text, "purpose.training", percent="100", **audio)
    return edit(edit(text, "purpose.analytics", artifacts="[]"), "scribe", engine='"none"')


@pytest.mark.slow
def test_regression_recordings_that_stop_at_a_transfer(make_site, edit, run_story) -> None:
    """Both agents are heard, for every purpose, in one call; from then on it is the second agent's to pause."""
    seen = make_site(lambda text: lossless(text, edit))
    site = seen.site
    first, second, between, after = noise(3, 1), noise(3, 2), noise(5, 3), noise(3, 4)

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:

            def among(*people: Person) -> str:
                return metadata(call.session_id, "G", call.call_id, people, "2026-01-01T00:00:00Z")

            await call.reinvite(metadata_xml=among(CUSTOMER, FIRST_AGENT))
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((first, first))
            await call.reinvite(metadata_xml=among(CUSTOMER, SECOND_AGENT))
            await call.speak((second, second))
            await call.speak((between, None))  # more than a press reaches back
            gone = await asyncio.to_thread(site.press, "pause", agent="201")
            assert gone.status_code == 404, "no more the first agent's call"
            paused = await asyncio.to_thread(site.press, "pause", agent="203")
            assert paused.status_code == 200 and paused.json()["call_id"] == call_id
            assert (await asyncio.to_thread(site.press, "resume", agent="203")).status_code == 200
            await call.speak((after, after))
            await call.bye()
        return call_id

    call_id = run_story(story())
    seen.wait_delivered(call_id)
    assert [c.call_id for c in site.catalog().calls()] == [call_id], "one call"
    for purpose in ("evidence", "training"):
        audio = seen.audio(call_id, purpose)
        for channel in audio[:, None]:
            for said in (first, second):
                assert heard_in(channel, said) == len(frames_of(said))
            assert heard_in(channel, after[8000:]) == len(frames_of(after[8000:]))
    agents = [p for p in site.catalog().parties(call_id) if p.role == "agent"]
    assert len(agents) == 2 and [p.left_ns is None for p in agents] == [False, True]


@pytest.mark.slow
def test_regression_empty_files_on_inbound_calls(make_site, edit, told, run_story) -> None:
    """Whoever called, both are heard whole; and where there is nothing to hear there is no file, but a reason."""
    seen = make_site(lambda text: lossless(text, edit))
    site = seen.site
    customer, agent = noise(3, 1), noise(3, 2)

    async def place(caller: str, sound: bool = True) -> str:
        async with ProbeCall(seen.target("udp"), caller=caller) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            if sound:
                await call.speak((customer, agent))
            await call.bye()
        return call_id

    inbound, outbound = run_story(place("customer")), run_story(place("agent"))
    silent = run_story(place("customer", sound=False))
    for call_id, direction in ((inbound, "inbound"), (outbound, "outbound")):
        seen.wait_delivered(call_id)
        assert site.catalog().find_call(call_id).direction == direction
        for purpose in ("evidence", "training"):
            audio = seen.audio(call_id, purpose)
            channels = {p.role: p.channel for p in site.catalog().parties(call_id)}
            for role, said in (("customer", customer), ("agent", agent)):
                assert heard_in(audio[[channels[role]]], said) == len(frames_of(said))
    site.wait_state(silent, "finalised")
    assert not [a for a in site.catalog().artifacts(call_id=silent) if a.kind.value == "audio"]
    assert site.catalog().nothing(silent)["evidence"] in told(site.greffier("show", silent))
