"""A card number spoken by a person, from the gateway's packets to what each reader gets (S21).

The digits are human ones (the shared folder of speech), and a real recogniser hears them: PocketSphinx, bound by a
grammar to digits and to the other sentences of this call. It gets some wrong, as engines do.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import FRAME, at, everything_evidence, frames_of
from listening import Heard
from running_site import wait_for

from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall
from agent.transcribe.redaction.tables import table

DIGITS = table("zero oh one two three four five six seven eight nine")
BEFORE, AFTER, ANSWER = (
    "he was not an ill disposed young man",
    "he might even have been made amiable himself",
    "in being comparatively modern",
)
GRAMMAR = f"""#JSGF V1.0;
grammar call;
public <said> = <part>*;
<part> = ( {" | ".join(sorted(DIGITS))} ) | ( {BEFORE} ) | ( {AFTER} ) | ( {ANSWER} );
"""
SILENCE = 8
"""What G.711's own code of silence decodes to."""


def said_in(transcript: dict[str, Any], channel: int) -> list[str]:
    return [w["text"] for s in transcript["segments"] if s["channel"] == channel for w in s["words"]]


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * CLOCK_RATE), np.int16)


def level(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@pytest.mark.slow
def test_s21_a_spoken_card_number_is_masked_silenced_and_never_told_where_it_may_not_be(
    make_site, edit, run_story, speech, tmp_path: Path
) -> None:
    grammar = tmp_path / "call.gram"
    grammar.write_text(GRAMMAR)

    def bound(text: str) -> str:
        text = edit(everything_evidence(text, edit), "purpose.training", audio_format='"flac"')
        engine = {"engine": '"pocketsphinx"', "model": f'"{grammar}"', "language": '"en"'}
        return edit(text, "scribe", **engine)

    seen = make_site(bound)
    site = seen.site
    before, number, after = (
        speech(name) for name in ("librivox-0880.flac", "fsdd-card-jackson.wav", "librivox-0930.flac")
    )
    parts = [quiet(0.5), before, quiet(1.0), number, quiet(2.0), after, quiet(1.0)]
    starts = np.cumsum([0, *map(len, parts)])
    customer = np.concatenate(parts)
    agent = np.concatenate([quiet(0.2), speech("LJ001-0002.flac"), quiet(1.0)])
    reader = Heard(f"{site.url}/v1/live", site.admin)

    def last_words() -> bool:
        return any("himself" in json.dumps(data) for name, data in reader.events if name == "text")

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((customer, agent))
            await asyncio.to_thread(wait_for, "the last words", last_words, 30)
            await call.bye()
            return call_id

    wait_for("the recorder to have a listener", lambda: site.events("live.connected"))
    wait_for("the stream", lambda: reader.comments)
    try:
        call_id = run_story(story())
        seen.wait_delivered(call_id)
    finally:
        reader.close()

    evidence = json.loads(seen.opened(call_id, "evidence", "transcript"))
    training = json.loads(seen.opened(call_id, "training", "transcript"))
    heard = [word for word in said_in(evidence, 0) if word in DIGITS]
    assert len(heard) >= 13, "a purpose that does not redact has what was heard"
    masked = said_in(training, 0)
    assert "[CARD]" in masked and not DIGITS & set(masked)
    assert {"disposed", "himself"} <= set(masked) and "comparatively" in said_in(training, 1)

    whole, silenced = seen.audio(call_id, "evidence")[0], seen.audio(call_id, "training")[0]
    begins = at(whole, frames_of(number)[50]) - 50 * FRAME - starts[3]
    spoken = slice(begins + starts[3], begins + starts[4])
    assert level(whole[spoken]) > 1000
    assert np.abs(silenced[spoken]).max() <= SILENCE, "nothing of the number is heard"
    for part in (1, 5):
        kept = slice(begins + starts[part], begins + starts[part + 1])
        assert level(silenced[kept]) > 0.5 * level(whole[kept]) > 100, "and what is no part of it is"

    told = [word["text"] for name, data in reader.events if name == "text" for word in data["words"]]
    assert "[CARD]" in told and {"disposed", "himself"} <= set(told)
    assert not DIGITS & set(told), "in no live event, stable or guess"
