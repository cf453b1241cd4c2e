"""A capture file becomes recordings: the same as of the live call, the same every time, and once only."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import phones
import pytest
from running_site import wait_for

from agent.control.client import ControlClient
from agent.media.g711 import decode
from agent.model.call import CLOCK_RATE, Codec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


def everything(text: str, edit) -> str:
    """Evidence of every call in FLAC."""
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
    text = edit(text, "purpose.training", percent="100")
    return edit(text, "scribe", engine='"none"')


def heard(audio: np.ndarray, coded: bytes) -> int:
    """Where it is heard, every sample of it."""
    wanted = decode(np.frombuffer(coded, np.uint8), Codec.PCMA).tobytes()
    places = [channel.tobytes().find(wanted) for channel in audio]
    assert max(places) >= 0, "a voice is not in the recording as it was spoken"
    return max(places) // 2


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real call that tcpdump wrote down: five seconds, voices of seeds 1 and 2."""
    path = tmp_path_factory.mktemp("capture") / "calls.pcap"
    with phones.wire() as wire:
        writing = wire.tcpdump(path)
        wire.talk(5, "written-down")
        time.sleep(0.5)
        writing.send_signal(signal.SIGTERM)
        writing.wait(10)
    return path


def test_a_file_gives_the_same_calls_every_time_and_only_once(make_site, edit, told, capture: Path) -> None:
    calls, audio = [], []
    for name in ("one", "two"):
        seen = make_site(lambda text: everything(text, edit), name)
        said = told(seen.site.greffier("ingest", capture))
        assert "calls.pcap: 1 calls in" in said and "0 packets of no call" in said
        (call,) = wait_for("the call", lambda found=seen: found.site.catalog().calls() or None)
        seen.wait_audio(call.call_id, "evidence")
        call = seen.site.catalog().find_call(call.call_id)
        assert (call.tap, call.cause) == ("pcap", "bye")
        calls.append(call)
        audio.append(seen.audio(call.call_id, "evidence"))
        for _, counts in seen.site.catalog().counts(call.call_id):
            assert (counts.received, counts.lost, counts.foreign) == (250, 0, 0)
    assert calls[0].call_id == calls[1].call_id and np.array_equal(audio[0], audio[1])
    assert abs(heard(audio[0], phones.voice(5, 1)) - heard(audio[0], phones.voice(5, 2))) < CLOCK_RATE // 2
    assert abs(time.time() - calls[0].started_ns / 1e9) < 600 and calls[0].started_ns < capture.stat().st_mtime_ns

    # once only, whatever it is called, unless that is wanted
    copy = capture.with_name("again.pcapng")
    subprocess.run(["gzip", "-k", "-c", capture], check=True, stdout=copy.open("wb"))
    same = capture.with_name("same.pcap")
    shutil.copy(capture, same)
    refused = told(seen.site.greffier("ingest", same, status=1))
    assert "was ingested at" in refused and "--again" in refused
    seen.site.greffier("ingest", "--again", same)
    wait_for("two calls", lambda: len(seen.site.catalog().calls()) == 2)
    again = {c.call_id for c in seen.site.catalog().calls()}
    assert len(again) == 2 and calls[0].call_id in again
    assert "1 calls in" in told(seen.site.greffier("ingest", copy)), "other content is another file"


def test_the_command_waits_for_a_recorder_that_was_killed(make_site, edit, told, tmp_path: Path) -> None:
    seen = make_site(lambda text: everything(text, edit))
    path = tmp_path / "many.pcap"
    phones.write_capture(path, [f for n in range(50) for f in phones.written_call(n, 1_700_000_000 + n * 0.5, 20)])
    said: list[str] = []
    command = threading.Thread(target=lambda: said.append(told(seen.site.greffier("ingest", path))))
    command.start()

    def halfway() -> bool:
        state = asyncio.run(ControlClient(seen.site.settings.recorder_socket).ask(op="ingest"))["ingest"]
        return state is not None and state["bytes_done"] > path.stat().st_size / 3 and state["state"] == "recording"

    wait_for("some progress", halfway)
    seen.site.kill("recorder")
    command.join(90)
    assert said and "many.pcap: 50 calls in" in said[0]
    wait_for("all calls", lambda: len([c for c in seen.site.catalog().calls(100) if c.cause == "bye"]) == 50)
    assert len(seen.site.catalog().calls(100)) == 50 and len(seen.site.events("ingest.resumed")) == 1


def test_what_cannot_be_ingested_is_said(make_site, edit, told, tmp_path: Path, capture: Path) -> None:
    seen = make_site(lambda text: everything(text, edit))
    text = tmp_path / "text.pcap"
    text.write_text("not a capture file at all")
    assert "not a capture file" in told(seen.site.greffier("ingest", text, status=1))
    assert "there is no such file" in told(seen.site.greffier("ingest", tmp_path / "absent.pcap", status=1))
    silent = tmp_path / "silent.pcap"
    subprocess.run(["tcpdump", "-r", capture, "-w", silent, "not port 5060"], check=True, capture_output=True)
    for _ in range(2):  # nothing was recorded, so nothing stands in the way of another try
        assert "there is no SIP in it" in told(seen.site.greffier("ingest", silent, status=1))
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(capture.read_bytes()[:-90_000])
    said = told(seen.site.greffier("ingest", cut))
    assert "1 calls in" in said and "the file ends within a packet" in said
    (call,) = wait_for("the call", lambda: seen.site.catalog().calls() or None)
    assert wait_for("its end", lambda: seen.site.catalog().calls()[0].cause) == "capture-ended"
    seen.wait_audio(call.call_id, "evidence")
    seen.site.stop()
    assert "the recorder does not answer" in told(seen.site.greffier("ingest", capture, status=1))
    seen.site.start()
