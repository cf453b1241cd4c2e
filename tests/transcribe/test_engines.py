"""Both engines on real speech: word times inside the audio, honest names, nothing from the network."""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agent.model.text import Segment, Word
from agent.transcribe.device import Device, pick
from agent.transcribe.engine import ENGINE_RATE, EngineError, Spoken, confine, to_engine_rate
from agent.transcribe.models import add
from agent.transcribe.select import choose, load
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.whisper import WhisperEngine
from bench.random_whisper import LANGUAGES

CPU = Device("cpu", "int8", 2, 1, "")


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
    engine = WhisperEngine(model, CPU)
    pcm = speech("ohf-fr-001.flac")
    segments = engine.transcribe(to_engine_rate(pcm, 8000), "fr", 0, 3.0)
    assert engine.only_language is None and not engine.test_only
    assert (engine.name, engine.model, engine.digest) == ("faster-whisper", "whisper-random", model.sha256)
    words = [w for s in segments for w in s.words]
    assert words, "random weights still write words"
    assert all(3.0 <= w.start_s <= w.end_s <= 3.0 + len(pcm) / 8000 + 0.001 for w in words)
    assert all(0.0 <= w.confidence <= 1.0 for w in words)


def test_whisper_hears_nothing_in_silence(tiny_whisper: Path, tmp_path: Path) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    assert engine.transcribe(np.zeros(ENGINE_RATE * 4, np.float32), "fr", 0, 0.0) == ()
    assert engine.transcribe(np.zeros(0, np.float32), "fr", 0, 0.0) == ()


def test_whisper_refuses_a_broken_model(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    (model.path / "model.bin").write_bytes(b"noise")
    with pytest.raises(EngineError, match="does not load"):
        WhisperEngine(model, CPU)
    (model.path / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match="none is ever downloaded"):
        WhisperEngine(model, CPU)


def test_batched_final_texts_are_texts_too(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), Device("cpu", "int8", 1, 4, ""))
    pcm = speech("ohf-fr-001.flac")
    words = [w for s in engine.transcribe(to_engine_rate(pcm, 8000), "fr", 0, 3.0) for w in s.words]
    assert words and all(3.0 <= w.start_s <= w.end_s <= 3.0 + len(pcm) / 8000 + 0.001 for w in words)


def test_a_window_goes_on_after_its_prefix(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    """Decoding is greedy: after its own first words a model goes on as it did, and says none of them again."""
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    pcm = to_engine_rate(speech("fleurs-fr-000.flac")[: 8000 * 9 + 77], 8000)
    whole = engine.transcribe_window(pcm, "fr", ())
    assert len(whole.words) > 20 and 0 <= whole.no_speech <= 1 and whole.logprob < 0
    assert all(0 <= w.start_s <= w.end_s <= len(pcm) / ENGINE_RATE + 0.001 for w in whole.words)
    prefix = whole.words[:8]
    following = engine.transcribe_window(pcm, "fr", prefix).words
    assert [w.text for w in following[:20]] == [w.text for w in whole.words[8:28]]
    assert engine.transcribe_window(pcm, "fr", whole.words).words, "a prefix that is too long is cut"
    assert all(any(letter.isalnum() for letter in w.text) for w in following)


def test_a_window_s_length_bounds_its_words(tiny_whisper: Path, tmp_path: Path) -> None:
    """These weights never end a text by themselves: so it is the bound that ends it (CTranslate2 halves max_length)."""
    model = add(tiny_whisper, tmp_path)
    noise = np.random.default_rng(2).normal(0, 0.1, ENGINE_RATE * 10).astype(np.float32)
    counts = [
        len(
            WhisperEngine(model, CPU, tokens_per_s=rate)
            .transcribe_window(noise[: seconds * ENGINE_RATE], "fr", ())
            .words
        )
        for rate, seconds in ((4, 5), (4, 10), (12, 10))
    ]
    assert [28 - 3 <= counts[0] <= 28, 48 - 3 <= counts[1] <= 48, 128 - 3 <= counts[2] <= 128] == [True] * 3, counts


def test_a_window_of_nothing_has_no_words_and_one_too_long_is_refused(tiny_whisper: Path, tmp_path: Path) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    assert engine.transcribe_window(np.zeros(0, np.float32), "fr", ()).words == ()
    assert engine.transcribe_window(np.zeros(100, np.float32), "fr", ()).words == ()
    with pytest.raises(EngineError, match="at most 10 s"):
        engine.transcribe_window(np.zeros(ENGINE_RATE * 11, np.float32), "fr", ())
    with pytest.raises(EngineError, match="'xx' is not a valid language"):
        engine.transcribe_window(np.zeros(ENGINE_RATE, np.float32), "xx", ())


def test_a_language_is_heard(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    pcm = to_engine_rate(speech("fleurs-fr-000.flac")[:40000], 8000)
    spoken = engine.detect_language(pcm)
    assert spoken and 0 <= spoken.probability <= 1 and 0 < spoken.seconds <= 5
    language = spoken.language
    assert re.fullmatch(r"[a-z]{2,3}", language)
    assert engine.transcribe_window(pcm, language, ()).words


def test_one_model_serves_live_and_final_at_once(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    pcm = to_engine_rate(speech("ohf-fr-001.flac"), 8000)
    alone = engine.transcribe_window(pcm, "fr", ())
    with ThreadPoolExecutor(4) as pool:
        windows = [pool.submit(engine.transcribe_window, pcm, "fr", ()) for _ in range(8)]
        finals = [pool.submit(engine.transcribe, pcm, "fr", 0, 0.0) for _ in range(4)]
        assert all(w.result() == alone for w in windows)
        assert all(f.result() for f in finals), "these draw words by chance, so they differ"


def test_sphinx_windows_say_what_follows(speech) -> None:
    engine = SphinxEngine()
    pcm = to_engine_rate(speech("jfk.flac")[: 8000 * 5], 8000)
    whole = engine.transcribe_window(pcm, "en", ()).words
    assert len(whole) >= 4 and all(0 <= w.start_s < w.end_s <= 5 for w in whole)
    following = engine.transcribe_window(pcm, "en", whole[:2]).words
    assert [(w.text, w.start_s) for w in following] == [(w.text, w.start_s) for w in whole[2:]]
    assert engine.transcribe_window(np.zeros(0, np.float32), "en", ()).words == ()
    assert engine.detect_language(pcm) == Spoken("en", 1.0, 5.0)


OFFLINE = """
import socket, sys
from pathlib import Path
import numpy as np
from agent.transcribe.select import choose, load
try: socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error: print(error.errno)
engine = load(choose("auto", Path(sys.argv[1]), None))
sound = np.random.default_rng(1).normal(0, .1, 32000).astype(np.float32)
engine.transcribe(sound, "fr", 0, 0.0)
print(len(engine.transcribe_window(sound, "fr", ()).words) > 0)
"""


@pytest.mark.slow
def test_the_engine_needs_no_network(tiny_whisper: Path, tmp_path: Path) -> None:
    """In a network namespace with nothing in it."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            pytest.fail("network namespaces are required here and not allowed")
        pytest.skip("network namespaces are not allowed here")
    model = add(tiny_whisper, tmp_path)
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", OFFLINE, str(model.path.parent)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [str(errno.ENETUNREACH), "True"], done.stderr


def test_whisper_never_opens_a_connection(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    program = (
        "import socket, sys\n"
        "def refuse(*a, **k): print('NETWORK'); sys.stdout.flush(); raise OSError('network touched')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from pathlib import Path; import numpy as np\n"
        "from agent.transcribe.select import choose, load\n"
        "e = load(choose('auto', Path(sys.argv[1]), None))\n"
        "e.transcribe(np.random.default_rng(1).normal(0, .1, 32000).astype(np.float32), 'fr', 0, 0.0)\n"
        "import huggingface_hub.constants as c; print('offline', c.HF_HUB_OFFLINE)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(model.path.parent)],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["offline", "True"], done.stderr


def test_no_library_reports_home_or_keeps_anything_in_one(tiny_whisper: Path, tmp_path: Path) -> None:
    """Telemetry is sent by compiled code, which no Python patch sees; its id and database in the home give it away."""
    model, home = add(tiny_whisper, tmp_path), tmp_path / "home"
    home.mkdir()
    program = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "{voice}"
        "from agent.transcribe.select import choose, load\n"
        "e = load(choose('auto', Path(sys.argv[1]), None))\n"
        "e.transcribe(np.random.default_rng(1).normal(0, .1, 32000).astype(np.float32), 'fr', 0, 0.0)\n"
        "print('onnxruntime' in sys.modules)\n"
        "for root, _, files in os.walk(os.environ['HOME']): print(root, files) if files else None\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "CI", "XDG_")) and k != "TF_BUILD"}
    for voice in ("", "from agent.transcribe.live.voice import Silero; Silero()\n"):
        done = subprocess.run(
            [sys.executable, "-c", program.format(voice=voice), str(model.path.parent)],
            capture_output=True, text=True, timeout=60, env=environment | {"HOME": str(home)}, check=False,
        )  # fmt: skip
        assert done.stdout.split() == ["True"], done.stdout + done.stderr


def test_choosing_says_why(tiny_whisper: Path, tmp_path: Path) -> None:
    assert choose("auto", tmp_path / "absent", None).why == "no speech model is installed"
    assert "switched off" in choose("none", tmp_path, None).why
    add(tiny_whisper, tmp_path, "one")
    assert "no model named other" in choose("auto", tmp_path, "other").why
    assert choose("auto", tmp_path, None).why.startswith("one, the only one; cpu int8, ")
    add(tiny_whisper, tmp_path, "two")
    assert choose("faster-whisper", tmp_path, None).why.startswith("two, the one added last of 2; ")
    assert choose("auto", tmp_path, "one", "cpu", 1).why == (
        "one, named by scribe.model; cpu int8, 1 at once: as configured"
    )


def test_choosing_loads_what_it_chose(tiny_whisper: Path, tmp_path: Path) -> None:
    assert load(choose("auto", tmp_path / "absent", None)) is None
    assert load(choose("faster-whisper", tmp_path, None)) is None
    add(tiny_whisper, tmp_path, "one")
    assert load(choose("none", tmp_path, None)) is None
    assert load(choose("auto", tmp_path, "other")) is None
    chosen = load(choose("auto", tmp_path, None, "cpu", 1))
    assert chosen is not None and chosen.model == "one"
    assert (chosen.capabilities.device, chosen.capabilities.compute, chosen.capabilities.windows) == ("cpu", "int8", 1)
    assert isinstance(load(choose("pocketsphinx", tmp_path, None)), SphinxEngine)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        assert pick("cuda", None).name == "cuda"
    else:
        with pytest.raises(EngineError, match="sees no GPU"):
            pick("cuda", None)
    assert pick("cpu", 1).workers == 1 and pick("cpu", 4096).workers == len(os.sched_getaffinity(0))


def test_select_refuses_files_that_changed(tiny_whisper: Path, tmp_path: Path) -> None:
    model = add(tiny_whisper, tmp_path)
    with (model.path / "model.bin").open("ab") as file:
        file.write(b"!")
    with pytest.raises(ValueError, match="differ from the sha256"):
        load(choose("auto", tmp_path, None))


def test_whisper_tells_a_language_by_speech_and_none_by_silence(tiny_whisper: Path, tmp_path: Path, speech) -> None:
    engine = WhisperEngine(add(tiny_whisper, tmp_path), CPU)
    assert engine.detect_language(np.zeros(ENGINE_RATE * 4, np.float32)) is None
    assert engine.detect_language(np.zeros(0, np.float32)) is None
    told = engine.detect_language(to_engine_rate(speech("jfk.flac"), 8000))
    assert told and told.language in LANGUAGES, "random weights tell any"
    assert told.seconds == pytest.approx(11, abs=1.5)
