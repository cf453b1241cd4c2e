"""What the tests of transcription share: speech files, and a model folder that costs no download."""

import csv
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soxr

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights."""
    spec = importlib.util.spec_from_file_location("tiny_whisper", HERE / "tiny_whisper.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build(tmp_path_factory.mktemp("model") / "whisper-random")


@pytest.fixture(scope="session")
def speech() -> Callable[[str], np.ndarray]:
    """`speech("jfk.flac")` → mono int16 at 8 kHz. Skips where the shared recordings are not at hand."""
    folder = Path(os.environ.get("GREFFIER_SPEECH", HERE.parents[2] / "shared" / "speech"))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no speech recordings at {folder} (set GREFFIER_SPEECH)")
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        known = {row["file"] for row in csv.DictReader(file)}

    def load(name: str) -> np.ndarray:
        assert name in known
        with av.open(str(folder / name)) as container:
            rate = container.streams.audio[0].rate
            resampler = av.AudioResampler("s16", "mono", rate)
            frames = [f for raw in container.decode(audio=0) for f in resampler.resample(raw)]
            frames += resampler.resample(None)
        pcm = np.concatenate([f.to_ndarray()[0] for f in frames])
        return np.asarray(soxr.resample(pcm, rate, 8000), dtype=np.int16)

    return load
