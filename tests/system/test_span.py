"""A mirror port and nothing else (S05): a phone and a PBX that know nothing of us are recorded, whatever is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import phones
import pytest
from running_site import wait_for

from agent.media.g711 import decode
from agent.model.call import CLOCK_RATE, Codec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


def listening(text: str, edit, interface: str) -> str:
    """Evidence of every call in FLAC, from a mirror port."""
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
    text = edit(text, "purpose.training", percent="100")
    return edit(text, "scribe", engine='"none"') + f'\n[span]\ninterface = "{interface}"\n'


def pcm(coded: bytes) -> bytes:
    """What it sounds like."""
    return decode(np.frombuffer(coded, np.uint8), Codec.PCMA).tobytes()


def both_voices(audio: np.ndarray, *coded: bytes) -> list[int]:
    """Where in their channels (whichever) these are heard, every sample of them; the test fails when they are not."""
    found = []
    for one in coded:
        places = [channel.tobytes().find(pcm(one)) for channel in audio]
        assert max(places) >= 0, "a voice is not in the recording as it was spoken"
        found.append(max(places) // 2)
    return found


@pytest.mark.parametrize("tags", [0, 1, 2])
def test_s05_a_mirror_port_is_enough(make_site, edit, tags: int) -> None:
    with phones.wire(tags) as wire:
        seen = make_site(lambda text: listening(text, edit, wire.mirror))
        wire.talk(5, "from-the-mirror")
        (call,) = wait_for("the call to end", lambda: [c for c in seen.site.catalog().calls() if c.cause] or None)
        seen.wait_audio(call.call_id, "evidence")
        call = seen.site.catalog().find_call(call.call_id)
        assert (call.tap, call.cause) == ("span", "bye")
        starts = both_voices(seen.audio(call.call_id, "evidence"), phones.voice(5, 1), phones.voice(5, 2))
        assert abs(starts[0] - starts[1]) < CLOCK_RATE // 2
        for _, counts in seen.site.catalog().counts(call.call_id):
            assert (counts.received, counts.lost, counts.foreign) == (250, 0, 0)
        said = seen.site.greffier("doctor")
        assert f"mirror port {wire.mirror}: " in said and ", 1 calls, 0 dropped" in said


def test_after_kill_minus_nine_the_overheard_call_goes_on(make_site, edit) -> None:
    with phones.wire() as wire:
        seen = make_site(lambda text: listening(text, edit, wire.mirror))
        answering = wire.script("pbx", "pbx", "--seconds", 16, "--seed", 2)
        time.sleep(0.8)
        calling = wire.script("phone", "phone", "--seconds", 16, "--seed", 1, "--reference", "survivor")
        call_id = seen.site.call_of("survivor")
        time.sleep(7)
        seen.site.kill("recorder")
        assert seen.site.call_of("survivor") == call_id, "the same call goes on"
        assert calling.wait(60) == 0 and answering.wait(10) == 0
        wait_for("the call to be recorded", lambda: seen.site.catalog().calls() or None)
        seen.wait_audio(call_id, "evidence")
        (call,) = seen.site.catalog().calls()
        assert (call.call_id, call.cause) == (call_id, "bye")
        audio = seen.audio(call_id, "evidence")
        for seed in (1, 2):
            voice = phones.voice(16, seed)
            first, last = voice[: 1 * CLOCK_RATE], voice[-4 * CLOCK_RATE :]
            (before, after) = both_voices(audio, first, last)
            assert abs(after - before - 12 * CLOCK_RATE) <= CLOCK_RATE // 4, "time stays aligned, but for a late sender"


def test_without_the_capability_it_says_what_to_do(tmp_path: Path) -> None:
    code = "from agent.media.mirror import open_mirror\nopen_mirror('lo', (5060,), (1024, 65535), 4)\n"
    without = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]
    done = subprocess.run([*without, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode and "span.interface lo: a mirror port needs CAP_NET_RAW" in done.stderr
