"""`python -m agent.recorder --config FILE`: the recorder process."""

import asyncio
import signal
import sys

from agent.config import Settings
from agent.process import main
from agent.recorder.memory import keep_memory
from agent.recorder.service import Recorder

SWITCH_S = 0.0005
"""How long the media thread keeps the interpreter when the control socket or SIP wants it: a press must not wait."""


async def _serve(settings: Settings) -> None:
    keep_memory()
    sys.setswitchinterval(SWITCH_S)
    recorder = Recorder(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, recorder.stop)
    await recorder.run()


if __name__ == "__main__":
    main("recorder", lambda settings: asyncio.run(_serve(settings)))
