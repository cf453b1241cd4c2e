"""After the call, on a whole agent: a span is masked (issue: what slipped through), a customer withdraws (S16)."""

import asyncio
import json
from collections.abc import Callable

import numpy as np
import pytest
from running_site import wait_for

from agent.model.artifact import Delivery
from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall
from agent.store.journal import read


def noise(seconds: float, seed: int) -> np.ndarray:
    """Sound that is nowhere else."""
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * CLOCK_RATE)).astype(np.int16)


def every_call(text: str, edit: Callable[..., str]) -> str:
    audio = {"artifacts": '["audio", "manifest"]', "redact": "[]"}
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None, **audio)
    text = edit(text, "purpose.training", percent="100", **audio)
    return edit(edit(text, "purpose.analytics", artifacts="[]"), "scribe", correction_window='"10 min"')


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s16_what_slipped_through_is_masked_and_what_was_withdrawn_destroyed(make_site, edit, files_under) -> None:
    seen = make_site(lambda text: every_call(text, edit))
    site = seen.site

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((noise(6, 1), noise(6, 2)))
            await call.bye()
            return call_id

    call_id = asyncio.run(asyncio.wait_for(story(), 60))
    seen.wait_delivered(call_id)
    before = seen.audio(call_id, "evidence")
    secret = before[0, 2 * CLOCK_RATE + 100 : 2 * CLOCK_RATE + 400].tobytes()
    assert np.frombuffer(secret, np.int16).any()

    site.greffier("mask", call_id, "--from", "0:02", "--to", "3.5", "--reason", "card number")
    catalog = site.catalog()

    def made_anew() -> bool:
        mine = [a for a in catalog.artifacts(call_id=call_id, purpose="evidence") if a.kind.value == "audio"]
        sent = [a for a in mine if a.delivery is Delivery.SENT]
        return len(sent) == 2 and not [a for a in catalog.artifacts(call_id=call_id) if a.delivery is Delivery.WAITING]

    wait_for("the new version at the centre", made_anew, 60)
    found = {a.path.split("/")[1].split(".", 1)[1]: a for a in catalog.artifacts(call_id=call_id, purpose="evidence")}
    (grave,) = [a for name, a in found.items() if name.startswith("tombstone")]
    body = json.loads(site.age_opens("evidence", site.centre / grave.path) or b"")["body"]
    old = [site.centre / named["path"] for named in body["destroy"]]
    wait_for("the old ones to be deleted at the centre", lambda: not any(path.exists() for path in old), 60)
    after = seen.opened_at(found["audio-2.flac.age"].path, "evidence")
    assert after.shape == before.shape and not after[:, 2 * CLOCK_RATE : int(3.5 * CLOCK_RATE)].any()
    assert np.array_equal(after[:, : 2 * CLOCK_RATE], before[:, : 2 * CLOCK_RATE])
    assert np.array_equal(after[:, int(3.5 * CLOCK_RATE) :], before[:, int(3.5 * CLOCK_RATE) :])
    for path, _ in files_under(site.folder):
        if "audio" in path.name and path.suffix == ".age" and "evidence" in path.parts:
            assert secret not in seen.opened_at(path, "evidence").tobytes(), path

    said = site.greffier("drop", call_id, "--reason", "the customer withdrew")
    assert "evidence is kept: its basis is contract" in said

    def told() -> set[tuple[str, str | None]]:
        return {(x.kind, x.purpose) for x in read(site.settings.journal_dir, call_id)}

    wait_for("training to be destroyed", lambda: {("drop.kept", "evidence"), ("dropped", "training")} <= told())

    def tombstones() -> list[str]:
        sent = catalog.artifacts(call_id=call_id, purpose="training", delivery=Delivery.SENT)
        return [a.path for a in sent if a.path.endswith(".tombstone-3.json.age")]

    wait_for("its tombstone at the centre", tombstones)
    here = {a.kind.value for a in catalog.artifacts(call_id=call_id, purpose="training", local=True)}
    assert here == {"tombstone"}
    site.stop()
    assert "everything is as it was written" in site.greffier("verify")
