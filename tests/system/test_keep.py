"""S15 on a whole agent: *keep* pressed in the call, from its start or from the press, and nothing else is changed."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from frames import frames_of, heard_in, noise

from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall

HOLDBACK_S = 3


def on_demand(text: str, edit: Callable[..., str], keep_from: str) -> str:
    """Evidence on demand, training of every call, both lossless."""
    audio = {"artifacts": '["audio", "manifest"]', "audio_format": '"flac"'}
    text = edit(text, "purpose.evidence", keep_from=f'"{keep_from}"', **audio)
    text = edit(text, "purpose.training", percent="100", **audio)
    return edit(edit(text, "purpose.analytics", artifacts="[]"), "scribe", engine='"none"')


@pytest.mark.slow
@pytest.mark.parametrize("keep_from", ["start", "press"])
def test_s15_keep_in_the_call_keeps_evidence_from_its_start_or_the_press_and_others_are_untouched(
    make_site, edit, run_story, keep_from: str
) -> None:
    seen = make_site(lambda text: on_demand(text, edit, keep_from))
    site = seen.site
    agent = site.greffier("token", "add", "agent:201").strip()
    begin, then, after = noise(4, 1), noise(HOLDBACK_S + 2, 2), noise(4, 3)

    async def place(keep: bool) -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((np.concatenate([begin, then]), begin))
            if keep:
                done = await asyncio.to_thread(site.press, "keep", agent="201", token=agent)
                assert done.status_code == 200 and done.json()["changed"] == ["evidence"]
                assert done.json()["states"]["evidence"] == "recording"
            await call.speak((after, None))
            await call.bye()
        return call_id

    kept, ordinary = run_story(place(True)), run_story(place(False))
    for call_id in (kept, ordinary):
        seen.wait_delivered(call_id)
        training = seen.audio(call_id, "training")
        for said in (begin, then, after):
            assert heard_in(training, said) == len(frames_of(said))
        verbs = [m.verb for m in site.catalog().marks(call_id) if m.purpose == "training"]
        assert verbs == ["select", "end"], "training knows nothing of it"
    evidence = seen.audio(kept, "evidence")
    later = after[CLOCK_RATE:]  # the press itself falls anywhere in a frame
    assert heard_in(evidence, later) == len(frames_of(later))
    whole = len(frames_of(begin)) if keep_from == "start" else 0
    assert heard_in(evidence, begin) == whole
    (mark,) = [m for m in site.catalog().marks(kept) if m.verb == "keep"]
    assert (mark.purpose, mark.actor) == ("evidence", "agent:201")
    assert not [a for a in site.catalog().artifacts(call_id=ordinary, purpose="evidence") if a.kind.value == "audio"]
