"""S34 on a whole agent whose clock is moved: forgotten on time, never early, and what is held stays, here and there."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clocks import MovedClock
from running_site import wait_for

from agent.model.artifact import Artifact
from agent.probe import ProbeCall, dialogue
from agent.store.journal import JournalLine, read

DAY_S = 86_400
HELD_NUMBER = "+33687654321"
ROUNDS_S = 3.0
"""Some sweeps, and one round of the scribe's care at least every five seconds."""


def configured(text: str, edit: Callable[..., str]) -> str:
    """Audio of every call for evidence (five years at the centre) and training (thirty days); seven days here."""
    for purpose, centre in (("evidence", "5 years"), ("training", "30 days")):
        trigger = {"trigger": '"all"', "percent": None, "keep_from": None, "redact": "[]"}
        kept = {"local_retention": '"7 days"', "central_retention": f'"{centre}"'}
        text = edit(text, f"purpose.{purpose}", artifacts='["audio", "manifest"]', **trigger, **kept)
    text = edit(edit(text, "purpose.analytics", artifacts="[]"), "scribe", correction_window='"1 day"')
    return text + "\n[courier]\npoll_s = 0.2\nretry_first_s = 0.2\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s34_what_is_due_is_gone_with_signed_lines_what_is_held_stays_and_nothing_goes_early(
    make_site, edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = MovedClock(tmp_path, monkeypatch)
    seen = make_site(lambda text: configured(text, edit))
    site, catalog = seen.site, seen.site.catalog()

    async def place(number: str) -> str:
        async with ProbeCall(seen.target("tcp"), customer_number=number) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak(dialogue("fr").cut(0, 1))
            await call.bye()
            return call_id

    async def story() -> list[str]:
        return [await place("+33612345678"), await place(HELD_NUMBER)]

    gone, held = asyncio.run(asyncio.wait_for(story(), 60))
    site.greffier("hold", "add", "--case", "17", "--number", "06 87 65 43 21", "--reason", "order of the court")
    for call_id in (gone, held):
        seen.wait_delivered(call_id)

    def lines(kind: str) -> list[JournalLine]:
        return [line for line in read(site.settings.journal_dir) if line.kind == kind]

    def there(folder: Path, call_id: str, purpose: str | None = None) -> list[Artifact]:
        return [a for a in catalog.artifacts(call_id=call_id, purpose=purpose) if (folder / a.path).exists()]

    def keys() -> set[str]:
        return {path.name.split(".")[0] for path in site.settings.callkeys_dir.glob("*.age")}

    here, centre = site.settings.outbox_dir, site.centre
    assert len(there(here, gone)) == len(there(centre, gone)) == 4 and keys() == {gone, held}

    # a jump forth and back: doubted, and nothing goes
    clock.ahead(40 * DAY_S)
    wait_for("the doubt", lambda: lines("clock.doubted"))
    time.sleep(ROUNDS_S)
    assert "is doubted" in site.greffier("retention", "clock")
    clock.ahead(0)
    time.sleep(ROUNDS_S)
    clock.ahead(-40 * DAY_S)
    wait_for("the clock to be seen behind", lambda: lines("clock.back"))
    time.sleep(ROUNDS_S)
    clock.ahead(0)
    time.sleep(ROUNDS_S)
    assert lines("local.deleted") == lines("central.deleted") == lines("callkey.destroyed") == []
    assert all(len(there(folder, c)) == 4 for folder in (here, centre) for c in (gone, held))
    assert keys() == {gone, held}

    # eight days on, and somebody says that it is so
    clock.ahead(8 * DAY_S)
    site.greffier("retention", "clock", "--confirm")
    wait_for("the local deadline", lambda: catalog.find_call(gone).state == "forgotten")
    wait_for("its key to go", lambda: keys() == {held})
    assert there(here, gone) == [] and len(there(here, held)) == 4
    assert {line.call_id for line in lines("local.deleted")} == {gone} and len(lines("local.deleted")) == 4
    assert all(line.fields["late_s"] >= DAY_S - 60 for line in lines("local.deleted"))
    assert {line.call_id for line in lines("callkey.destroyed")} == {gone}
    assert len(there(centre, gone)) == 4, "the centre keeps it longer"

    # another identity was made: the old one goes, though the held call's key was wrapped to it
    wait_for("a new working identity", lambda: len(lines("identity.rotated")) >= 2, 20)
    clock.ahead(8 * DAY_S + 90)
    wait_for("the old one to go", lambda: lines("identity.destroyed"), 20)
    assert keys() == {held} and len(list(site.settings.identities_dir.glob("*.age-identity"))) == 1

    # the end of training at the centre
    clock.ahead(31 * DAY_S)
    site.greffier("retention", "clock", "--confirm")
    wait_for("the central deadline", lambda: not there(centre, gone, "training"))
    time.sleep(ROUNDS_S)
    assert len(there(centre, gone, "evidence")) == 2 and len(there(centre, held)) == len(there(here, held)) == 4
    assert {(line.call_id, line.purpose) for line in lines("central.deleted")} == {(gone, "training")}
    assert "unsupported" in site.greffier("hold", "list"), "a folder knows no legal hold"
    assert "everything is as it was written" in site.greffier("verify")

    site.greffier("hold", "release", "17", "--reason", "the case is closed")
    wait_for("the held call to go", lambda: not there(here, held) and not there(centre, held, "training"), 60)
    wait_for("its key to go as well", lambda: not keys())
    assert len(there(centre, held, "evidence")) == 2
    site.stop()
    said = site.greffier("verify", "--folder", centre)
    assert "everything is as it was written" in said and "12 deletions" in said
    assert list(site.settings.callkeys_dir.iterdir()) == list(site.settings.kept_dir.iterdir()) == []
