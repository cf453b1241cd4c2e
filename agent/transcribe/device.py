"""What a model runs on: a GPU where CTranslate2 sees one, else the processor, one thread a worker.

A second thread makes Whisper's encoder faster and its decoder slower (docs/transcription.md), so the cores of a box
go to workers: as many windows at once, all by the same weights.
"""

import os
from dataclasses import dataclass
from typing import Literal

from agent.transcribe.engine import EngineError

Wanted = Literal["auto", "cpu", "cuda"]
_GPU_COMPUTE = ("float16", "int8_float16", "int8")
"""In order of preference; old GPUs have no half floats."""
_GPU_WORKERS = 4
"""Streams of one GPU: enough to keep it busy while others wait for the processor."""
_GPU_BATCH = 16
"""Stretches of a final text decoded together."""


@dataclass(frozen=True, slots=True)
class Device:
    """`name` and `compute` as CTranslate2 calls them; with `batch` 1 final texts are decoded a stretch at a time."""

    name: str
    compute: str
    workers: int
    batch: int
    why: str


def pick(wanted: Wanted, most_workers: int | None) -> Device:
    """The device for `[scribe] device`, with at most `most_workers`. Raises EngineError when there is no such GPU."""
    import ctranslate2  # noqa: PLC0415 - a large library, for those who transcribe

    cores = len(os.sched_getaffinity(0))
    gpus = 0 if wanted == "cpu" else ctranslate2.get_cuda_device_count()
    if gpus:
        known = ctranslate2.get_supported_compute_types("cuda")
        compute = next((c for c in _GPU_COMPUTE if c in known), "default")
        return Device("cuda", compute, min(most_workers or _GPU_WORKERS, cores), _GPU_BATCH, "CTranslate2 sees a GPU")
    if wanted == "cuda":
        raise EngineError('scribe.device is "cuda", and CTranslate2 sees no GPU: is its driver there, and CUDA 12?')
    why = "as configured" if wanted == "cpu" else "CTranslate2 sees no GPU"
    return Device("cpu", "int8", min(most_workers or cores, cores), 1, why)
