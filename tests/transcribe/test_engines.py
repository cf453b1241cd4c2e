"""Both engines on real speech: word times inside the audio, honest names, nothing from the network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.model.text import Segment, Word
from agent.transcribe.engine import ENGINE_RATE, EngineError, confine, to_engine_rate
from agent.transcribe.models import add
from agent.transcribe.select import select
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.whisper import WhisperEngine


def test_engine_rate_doubles_length_and_keeps_time() -> None:
    pcm = np.zeros(8000, np.int16)
    pcm[4000] = 30000
    wide = to_engine_rate(pcm, 8000)
    assert wide.dtype == np.float32 and len(wide) == ENGINE_RATE
    assert abs(int(np.argmax(wide)) - 8000) <= 1


def test_confine_moves_every_time_inside() -> None:
    loose = Segment(1, -1.0, 99.0, "a b", (Word("a", -3.0, 1.0, 1.2), Word("b", 9.0, 4.0, -0.1)))
    tight = confine(loose, 2.0, 5.0)
    assert (tight.start_s, tight.end_s) == (2.0, 5.0)
    assert tight.words == (Word("a", 2.0, 2.0, 1.0), Word("b", 5.0, 5.0, 0.0))


def test_sphinx_hears_words_where_they_are(speech) -> None:
    spoken = speech("jfk.flac")[: 8000 * 11]
    pcm = np.concatenate([np.zeros(16000, np.int16), spoken, np.zeros(8000, np.int16)])
    engine = SphinxEngine()
    segments = engine.transcribe(to_engine_rate(pcm, 8000), "fr", 1, 10.0)
    words = [w for s in segments for w in s.words]
    assert {"country", "you"} & {w.text for w in words}
    assert all(s.channel == 1 for s in segments)
    assert all(12.0 <= w.start_s < w.end_s <= 10.0 + len(pcm) / 8000 for w in words)
    assert [w.start_s for w in words] == sorted(w.start_s for w in words)
    assert engine.test_only and "test" in engine.model and engine.only_language == "en"


def test_sphinx_hears_nothing_in_silence_and_takes_odd_lengths() -> None:
    engine = SphinxEngine()
    assert engine.transcribe(np.zeros(16000 * 3 + 7, np.float32), "en", 0, 0.0) == ()
    assert engine.transcribe(np.zeros(0, np.float32), "en", 0, 0.0) == ()
    assert engine.transcribe(np.zeros(5, np.float32), "en", 0, 0.0) == ()


def test_whisper_runs_with_word_times_inside_the_audio(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    model = add(tiny_whisper, tmp_path)
    engine = WhisperEngine(model)
    pcm = speech("ohf-fr-001.flac")
    segments = engine.transcribe(to_engine_rate(pcm, 8000), "fr", 0, 3.0)
    assert engine.only_language is None and not engine.test_only
    assert (engine.name, engine.model, engine.digest) == ("faster-whisper", "whisper-random", model.sha256)
    words = [w for s in segments for w in s.words]
    assert words, "random weights still write words"
    assert all(3.0 <= w.start_s <= w.end_s <= 3.0 + len(pcm) / 8000 + 0.001 for w in words)
    assert all(0.0 <= w.confidence <= 1.0 for w in words)


def test_whisper_hears_nothing_in_silence(tiny_whisper: Path, tmp_path: Path) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path))
    assert engine.transcribe(np.zeros(ENGINE_RATE * 4, np.float32), "fr", 0, 0.0) == ()
    assert engine.transcribe(np.zeros(0, np.float32), "fr", 0, 0.0) == ()


def test_whisper_refuses_a_broken_model(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    (model.path / "model.bin").write_bytes(b"noise")
    with pytest.raises(EngineError, match="does not load"):
        WhisperEngine(model)
    (model.path / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match="none is ever downloaded"):
        WhisperEngine(model)


def test_whisper_never_opens_a_connection(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    program = (
        "import socket, sys\n"
        "def refuse(*a, **k): print('NETWORK'); sys.stdout.flush(); raise OSError('network touched')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from pathlib import Path; import numpy as np\n"
        "from agent.transcribe.select import select\n"
        "e = select('auto', Path(sys.argv[1]), None)\n"
        "e.transcribe(np.random.default_rng(1).normal(0, .1, 32000).astype(np.float32), 'fr', 0, 0.0)\n"
        "import huggingface_hub.constants as c; print('offline', c.HF_HUB_OFFLINE)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(model.path.parent)],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["offline", "True"], done.stderr


def test_select_says_none_until_a_model_is_there(tiny_whisper: Path, tmp_path: Path) -> None:
    assert select("auto", tmp_path / "absent", None) is None
    assert select("faster-whisper", tmp_path, None) is None
    add(tiny_whisper, tmp_path, "one")
    assert select("none", tmp_path, None) is None
    assert select("auto", tmp_path, "other") is None
    chosen = select("auto", tmp_path, None)
    assert chosen is not None and chosen.model == "one"
    assert isinstance(select("pocketsphinx", tmp_path, None), SphinxEngine)


def test_select_refuses_files_that_changed(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    with (model.path / "model.bin").open("ab") as file:
        file.write(b"!")
    with pytest.raises(ValueError, match="differ from the sha256"):
        select("auto", tmp_path, None)
