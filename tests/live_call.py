"""A call of agent 201 that goes on beside the test, how its gates stand, and processes that do nothing for a while."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from running_site import RunningSite

from agent.config import Endpoint
from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall

SPEECH_S = 100
PAUSED = {"paused", "armed-paused"}
"""States of gates that a pause has closed."""


@contextmanager
def live_call(target: Endpoint) -> Iterator[ProbeCall]:
    """A call of agent 201 in a thread of its own, both parties speaking for as long as the block lasts."""
    up, over = threading.Event(), threading.Event()
    placed: list[ProbeCall] = []

    async def story() -> None:
        noise = np.random.default_rng(1).integers(-9000, 9000, SPEECH_S * CLOCK_RATE).astype(np.int16)
        async with ProbeCall(target) as call:
            await call.invite()
            placed.append(call)
            up.set()
            speaking = asyncio.create_task(call.speak((noise, noise)))
            await asyncio.to_thread(over.wait, SPEECH_S)
            speaking.cancel()
            await call.bye()

    thread = threading.Thread(target=asyncio.run, args=(story(),), daemon=True)
    thread.start()
    try:
        assert up.wait(30), "the call was not answered"
        yield placed[0]
    finally:
        over.set()
        thread.join(30)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process does nothing within the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def gates(site: RunningSite) -> dict[str, str]:
    """Of the only live call, by the recorder's account."""
    (call,) = site.live()
    return {purpose: state for purpose, state in call["states"].items() if state != "off"}
