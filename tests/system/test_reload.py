"""Hot reload on a whole agent, and S17: who must not be recorded is not, and the journal says so without the number."""

import asyncio

import numpy as np
import pytest
from running_site import RunningSite, wait_for

from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.probe import ProbeCall
from agent.store.journal import read


def noise(seconds: float, seed: int) -> np.ndarray:
    """Speech that is nowhere else."""
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * CLOCK_RATE)).astype(np.int16)


def heard(pcm: np.ndarray) -> bytes:
    """One frame of it, as a decoder gives it."""
    return decode(encode(pcm, Codec.PCMA)[1600:1760], Codec.PCMA).tobytes()


def accepted(site: RunningSite, text: str) -> None:
    """Change the configuration, and wait until it is in force."""
    before = len(site.events("config.accepted"))
    site.config.write_text(text)
    wait_for("the change to be in force", lambda: len(site.events("config.accepted")) > before)


def applied(site: RunningSite, call_id: str) -> dict[str, bool]:
    """What was decided last for each purpose."""
    return {d.purpose: d.applies for d in site.catalog().decisions(call_id)}


@pytest.mark.slow
def test_a_live_call_goes_on_across_a_good_and_a_bad_change_and_a_new_call_follows_the_good_one(
    make_site, edit, run_story
) -> None:
    def prepared(text: str) -> str:
        text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
        text = edit(text, "purpose.training", percent="100", artifacts='["audio"]', audio_format='"flac"')
        return edit(text, "scribe", engine='"none"')

    seen = make_site(prepared)
    site = seen.site
    first, second, third = noise(2, 1), noise(2, 2), noise(2, 3)

    async def story() -> tuple[str, str]:
        text = site.config.read_text()
        training = text[text.index("[purpose.training]") : text.index("[purpose.analytics]")]
        quality = training.replace("purpose.training", "purpose.quality")
        good = edit(text, "purpose.training", when='{ agent = "999" }') + "\n" + quality
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            old = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((first, None))
            await asyncio.to_thread(accepted, site, good)
            await call.speak((second, None))
            site.config.write_text(good.replace("percent = 100", "percent = 1000"))
            await asyncio.to_thread(wait_for, "the bad one to be refused", lambda: site.events("config.refused"))
            await call.speak((third, None))
            async with ProbeCall(seen.target("udp"), agent_number="202") as late:
                await late.invite()
                new = await asyncio.to_thread(site.call_of, late.session_id)
                await late.speak((first, None))
                await late.bye()
            await call.speak((noise(4, 4), None))  # more than a press reaches back
            paused = await asyncio.to_thread(site.press, "pause", agent="201")
            assert paused.json()["changed"] == ["evidence", "training", "analytics", "assistance"], "its own gates obey"
            await call.bye()
        site.config.write_text(good)
        return old, new

    old, new = run_story(story())
    (refused,) = site.events("config.refused")[:1]
    assert "percent" in refused["problems"][0] and "line " in refused["problems"][0]
    seen.wait_audio(old, "training")
    audio = seen.audio(old, "training").tobytes()
    assert all(heard(pcm) in audio for pcm in (first, second)), "nothing is missing where the configuration changed"
    assert heard(third) in audio
    assert applied(site, old) == {"evidence": True, "training": True, "analytics": True, "assistance": True}
    wait_for("the new call's end", lambda: any(c.call_id == new and c.ended_ns for c in site.catalog().calls()))
    follows = applied(site, new)
    assert not follows["training"] and follows["quality"] and follows["evidence"]

    def derived() -> bool:
        return any(a.kind.value == "audio" for a in site.catalog().artifacts(call_id=new, purpose="quality"))

    wait_for("audio of a purpose that is new", derived, 60)
    assert not site.catalog().artifacts(call_id=new, purpose="training")


@pytest.mark.slow
def test_s17_calls_of_protected_and_opted_out_numbers_are_not_recorded_and_nothing_names_them(
    make_site, edit, files_under, run_story
) -> None:
    seen = make_site(lambda text: edit(edit(text, "purpose.training", percent="100"), "scribe", engine='"none"'))
    site = seen.site
    opted_out = "+33698765432"
    before = len(site.events("config.accepted"))
    site.greffier("policy", "protect", "add", "299")
    site.greffier("policy", "opt-out", "add", "06 98 76 54 32")
    wait_for("the lists to be in force", lambda: len(site.events("config.accepted")) > before)
    site.greffier("policy", "opt-out", "check", opted_out)
    words = noise(2, 7)

    async def place(**numbers: str) -> str:
        async with ProbeCall(seen.target("udp"), **numbers) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((words, words))
            await call.bye()
        return call_id

    async def story() -> tuple[str, str, str]:
        return (
            await place(agent_number="299"),
            await place(customer_number=opted_out),
            await place(agent_number="201"),
        )

    protected, out, ordinary = run_story(story())
    for call_id in (protected, out):
        site.wait_state(call_id, "finalised")
    seen.wait_audio(ordinary, "training")  # others are recorded
    for call_id, why in ((protected, "protected extension"), (out, "opt-out list")):
        decisions = site.catalog().decisions(call_id)
        assert decisions and not any(d.applies for d in decisions)
        assert all(why in d.rule for d in decisions)
        said = [line for line in read(site.settings.journal_dir, call_id) if line.kind == "decision"]
        assert len(said) == 4 and all(why in line.fields["rule"] for line in said)
        assert not site.catalog().artifacts(call_id=call_id)
    for path, data in files_under(site.settings.site.state_dir):
        assert b"698765432" not in data, path
