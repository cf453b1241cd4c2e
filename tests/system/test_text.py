"""Text on a whole agent: found by what was said, written again, delivered, and forgotten on time."""

import json
from collections.abc import Callable

import pytest
from running_site import wait_for

from agent.model.artifact import Delivery
from agent.probe import ProbeCall, dialogue


def spoken(text: str, edit: Callable[..., str]) -> str:
    """Training of every call, searchable, with pocketsphinx; nothing else keeps anything."""
    text = edit(text, "purpose.training", percent="100", searchable="true", subtitles='"srt"')
    for other in ("evidence", "analytics"):
        text = edit(text, f"purpose.{other}", artifacts="[]")
    return edit(text, "scribe", engine='"pocketsphinx"', language='"en"', correction_window='"10 min"')


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_was_said_is_found_written_again_and_forgotten(make_site, edit, run_story) -> None:
    seen = make_site(lambda text: spoken(text, edit))
    site = seen.site

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = site.call_of(call.session_id)
            await call.speak(dialogue("en").cut(0, 10))
            await call.bye()
            return call_id

    call_id = run_story(story())
    seen.wait_delivered(call_id)
    document = json.loads(seen.opened(call_id, "training", "transcript"))
    assert b" --> " in seen.opened(call_id, "training", "subtitles")
    word = max((w["text"] for s in document["segments"] for w in s["words"]), key=len)
    told = site.greffier("search", word.upper(), "--purpose", "training", "--since", "today")
    assert call_id[:12] in told and word in told
    state = site.settings.site.state_dir
    assert not [p for p in state.rglob("*") if p.is_file() and word.encode() in p.read_bytes()]

    assert "version 2 written by pocketsphinx" in site.greffier("transcribe", call_id)
    catalog = site.catalog()

    def sent() -> set[str]:
        found = catalog.artifacts(call_id=call_id, purpose="training", delivery=Delivery.SENT)
        return {a.path.split(".", 1)[1].removesuffix(".age") for a in found}

    wait_for("the new version at the centre", lambda: {"transcript-2.json", "manifest-2.json"} <= sent(), 60)
    assert {"transcript.json", "subtitles-2.srt"} <= sent(), "beside the old"

    site.greffier("drop", call_id, "--reason", "withdrew", "--purpose", "training")
    assert "Nothing found" in site.greffier("search", word, "--purpose", "training")
    folders = (site.settings.search_dir, site.settings.searchkeys_dir)
    wait_for("the index to forget", lambda: not [p for f in folders for p in f.rglob("*") if p.is_file()], 60)
    assert "was forgotten on" in site.greffier("transcribe", call_id, status=1)
    site.greffier("verify")
