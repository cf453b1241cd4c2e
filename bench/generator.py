"""The generator (bench/generator.c) as a process, what it sends, and the CPU of others while it sends.

Payloads are stretches of one block of noise, so that any receiver can be held against `payload_of` byte by byte.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cpu import cpu_s, softirq_threads_s
from bench.net import Link, pinned

FRAME = 160
FRAME_S = 0.02
NOISE_BYTES = 1 << 20
STEP = 7919 * FRAME % NOISE_BYTES

TOO_LATE_S = 0.4
"""A generator so far behind sends all that it owes at once: what is measured then is a machine that was too busy."""

Streams = Sequence[tuple[int, int]]
"""Port it comes from, port it goes to."""


def noise() -> npt.NDArray[np.uint8]:
    """The block that payloads are cut from, with one frame more so that no cut has to wrap."""
    block = np.random.default_rng(7).integers(0, 256, NOISE_BYTES, np.uint8)
    return np.concatenate([block, block[:FRAME]])


def payload_of(stream: int, packets: int) -> npt.NDArray[np.uint8]:
    """All bytes a stream sends."""
    start = stream * STEP % NOISE_BYTES
    return np.take(noise()[:NOISE_BYTES], np.arange(start, start + packets * FRAME), mode="wrap")


def compiled(source: str, folder: Path) -> Path:
    """The program of a C file of this folder."""
    program = folder / Path(source).stem
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(program), str(Path(__file__).with_name(source))], check=True)
    return program


class Generator:
    """Sends `packets` of each stream over a link. Begins at once; `end` waits and says what was done."""

    def __init__(self, folder: Path, link: Link, streams: Streams, packets: int) -> None:
        program, block = compiled("generator.c", folder), folder / "noise"
        block.write_bytes(noise().tobytes())
        words = [link.interface, link.mac, link.source, link.host, str(block), str(STEP), str(packets)]
        words += ["both"] if link.both_ways else []
        command = [*pinned(generator=True), str(program), *words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write("\n".join(f"{source} {to}" for source, to in streams))
        self._process.stdin.close()
        self.pid = self._process.pid

    def end(self) -> dict[str, Any]:
        """`packets` sent, `seconds` it took, and `late_s`, the largest delay behind schedule."""
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        if self._process.wait() != 0:
            raise RuntimeError("the generator failed")
        sent: dict[str, Any] = json.loads(said)
        return sent

    def stop(self) -> None:
        """Send no more, if it still does."""
        self._process.terminate()
        self._process.wait()


async def measure(
    folder: Path, link: Link, streams: Streams, warm_up_s: float, seconds: float, cpu: Callable[[], float]
) -> dict[str, Any]:
    """Send for `warm_up_s` and then `seconds`, and say what `cpu` (CPU seconds used so far) grew by in the latter.

    `kernel_us_per_packet` is what sending a packet costs: receiving it is part of that, since over veth it is done in
    the sender's time or, when that falls behind, by the kernel's own threads.
    """
    generator = Generator(folder, link, streams, int((warm_up_s + seconds) / FRAME_S))
    try:
        await asyncio.sleep(warm_up_s)
        began, before = time.monotonic(), cpu()
        kernel_before = cpu_s(generator.pid) + softirq_threads_s()
        await asyncio.sleep(seconds - 0.5)
        took, used = time.monotonic() - began, cpu() - before
        kernel = cpu_s(generator.pid) + softirq_threads_s() - kernel_before
        sent = await asyncio.to_thread(generator.end)
    except BaseException:
        generator.stop()
        raise
    pace = sent["packets"] / sent["seconds"]
    return {
        "packets": sent["packets"],
        "packets_per_s": round(pace),
        "us_per_packet": round(used / took / pace * 1e6, 3),
        "cpu_share": round(used / took, 3),
        "kernel_us_per_packet": round(kernel / took / pace * 1e6, 3),
        "generator_late_ms": round(sent["late_s"] * 1e3, 1),
        "void": sent["late_s"] > TOO_LATE_S,
    }
