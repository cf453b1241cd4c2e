"""The real program without a window: lines out, presses in, against a desk over HTTP."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk_double import DeskDouble, serving
from greffier_desk.step import DOUBLE_S
from running_site import wait_for

CLIENT = Path(__file__).parents[2] / "client"


class Headless:
    """The running program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))

    def press(self, wish: str) -> None:
        self._process.stdin.write(wish + "\n")
        self._process.stdin.flush()

    def line(self, beginning: str) -> str:
        """The next line with this beginning; those before it are passed over."""
        passed: list[str] = []
        while True:
            try:
                passed.append(self._lines.get(timeout=50))
            except queue.Empty:
                raise AssertionError(f"waited in vain for {beginning!r}; there was {passed}") from None
            if passed[-1].startswith(beginning):
                return passed[-1]

    def lines(self) -> list[str]:
        """Those that nobody has read yet."""
        return [self._lines.get() for _ in range(self._lines.qsize())]


@contextmanager
def headless(config: Path) -> Iterator[Headless]:
    environment = {**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "greffier_desk", "--headless", "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    ) as process:
        try:
            yield Headless(process)
        finally:
            process.terminate()
            assert process.wait(30) == 0


@pytest.fixture
def client(desk: DeskDouble, configured: Callable[..., Path]) -> Iterator[Headless]:
    with headless(configured(f"http://127.0.0.1:{desk.port}")) as running:
        yield running


def test_one_key_pauses_and_resumes(desk: DeskDouble, client: Headless) -> None:
    client.line("recording RECORDING")
    client.press("toggle")
    client.line("paused PAUSED")
    assert (desk.presses, desk.light) == (["pause"], "paused")
    time.sleep(2 * DOUBLE_S)
    client.press("toggle")
    client.line("recording RECORDING")
    wait_for("the desk to be asked", lambda: (desk.presses, desk.light) == (["pause", "resume"], "recording"))


def test_what_others_do_is_shown(desk: DeskDouble, client: Headless) -> None:
    client.line("recording")
    desk.set("paused", {"evidence": ["context:payment"]})
    assert client.line("paused") == "paused PAUSED: also paused by: payment"
    client.press("toggle")
    desk.set("warning", {"evidence": ["context:payment"]})
    client.line("warning STILL PAUSED")
    desk.set("recording")
    client.line("recording")
    desk.set("no-call")
    client.line("no-call NO CALL")
    assert desk.presses == [], "what another cause paused is not ours to resume"


def test_an_event_that_is_not_true_is_never_shown_as_a_pause(desk: DeskDouble, client: Headless) -> None:
    client.line("recording")
    asked = desk.questions
    for _ in range(20):
        desk.say("state", {**desk.state(), "light": "paused"})
        desk.say("state", {**desk.state(), "light": "warning"})
    desk.say("state", {**desk.state(), "light": "paused", "agent": "2002"})
    wait_for("the desk to be asked", lambda: desk.questions > asked)
    desk.set("no-call")
    client.line("no-call")
    assert not [line for line in client.lines() if line.startswith(("paused", "warning"))]


def test_a_press_that_fails_is_told_until_it_is_put_right(desk: DeskDouble, client: Headless) -> None:
    client.line("recording")
    desk.failing = 503
    client.press("toggle")
    client.line("failed NOT PAUSED")
    desk.failing = 0
    time.sleep(2 * DOUBLE_S)
    client.press("toggle")
    client.line("paused PAUSED")


def test_a_frozen_desk_is_told_too(desk: DeskDouble, client: Headless) -> None:
    client.line("recording")
    desk.frozen = True
    client.press("pause")
    client.line("failed NOT PAUSED")
    desk.frozen = False  # the press is done after all, and the light says so
    client.line("paused PAUSED")


def test_a_desk_that_says_done_and_records_on_is_found_out(desk: DeskDouble, client: Headless) -> None:
    client.line("recording")
    desk.lying = True
    client.press("pause")
    assert client.line("failed").startswith("failed NOT PAUSED: the call is still recorded")


def test_it_reconnects_and_a_press_meanwhile_has_failed(free_port: int, configured: Callable[..., Path]) -> None:
    with headless(configured(f"http://127.0.0.1:{free_port}")) as client:
        client.line("offline OFFLINE")
        client.press("toggle")
        assert client.line("failed").startswith("failed NOT PAUSED: OFFLINE")
        with serving(DeskDouble(free_port)) as desk:
            desk.set("paused", {"evidence": ["agent"]})
            client.line("paused PAUSED")
            wait_for("a listener", lambda: desk.listeners)
            desk.cut()
            client.line("offline OFFLINE")
            client.line("paused PAUSED")


def test_what_is_wrong_is_said_without_the_token(configured: Callable[..., Path], tmp_path: Path) -> None:
    path = configured("http://127.0.0.1:9")
    (tmp_path / "token").chmod(0o644)
    command = [sys.executable, "-m", "greffier_desk", "--headless", "--config", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(CLIENT)}, check=False
    )
    assert done.returncode == 1 and "can be read by others" in done.stderr
    assert (tmp_path / "token").read_text().strip() not in done.stderr + done.stdout
