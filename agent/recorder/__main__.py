"""`python -m agent.recorder --config FILE`: the recorder process."""

import asyncio
import signal

from agent.config import Settings
from agent.process import main
from agent.recorder.memory import keep_memory
from agent.recorder.service import Recorder


async def _serve(settings: Settings) -> None:
    keep_memory()
    recorder = Recorder(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, recorder.stop)
    await recorder.run()


if __name__ == "__main__":
    main("recorder", lambda settings: asyncio.run(_serve(settings)))
