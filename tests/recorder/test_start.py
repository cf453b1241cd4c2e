"""The recorder as a process: what it waits for before it takes calls, and how it goes."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from running_site import RunningSite, wait_for

from agent.vault.age import new_identity


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


def recorder(site: RunningSite) -> subprocess.Popen[bytes]:
    """The recorder alone, logging to the site's log."""
    with site.log.open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "agent.recorder", "--config", str(site.config)], stderr=log)


def test_no_call_is_taken_before_there_is_an_identity_to_wrap_its_key_to(site: RunningSite) -> None:
    process = recorder(site)
    try:
        wait_for("the warning", lambda: site.events("recorder.waiting"))
        assert not site.events("recorder.ready") and process.poll() is None
        site.settings.recipient_file.parent.mkdir(parents=True)
        site.settings.recipient_file.write_text(new_identity().recipient)
        wait_for("the recorder to be ready", lambda: site.events("recorder.ready"))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_it_stops_while_it_waits(site: RunningSite) -> None:
    process = recorder(site)
    wait_for("the warning", lambda: site.events("recorder.waiting"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.fixture
def ready(site: RunningSite) -> RunningSite:
    """The site, with an identity."""
    site.settings.recipient_file.parent.mkdir(parents=True)
    site.settings.recipient_file.write_text(new_identity().recipient)
    return site


def test_a_port_that_is_taken_is_an_error_in_words(ready: RunningSite) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ready.sip_port))
        assert recorder(ready).wait(20) == 1
    (failed,) = ready.events("process.failed")
    assert "address already in use" in failed["error"].lower()


def test_a_second_recorder_does_not_touch_the_first_ones_log(ready: RunningSite) -> None:
    first = recorder(ready)
    try:
        wait_for("the recorder to be ready", lambda: ready.events("recorder.ready"))
        assert recorder(ready).wait(20) == 1
        (failed,) = ready.events("process.failed")
        assert "another process writes this capture log" in failed["error"]
        assert len(list(ready.settings.capture_dir.glob("*.glog"))) == 1
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
