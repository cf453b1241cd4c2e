"""Word error rates: what counts as an error, what a telephone does to sound, and the command on real speech."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.text import Segment
from agent.transcribe.trial import NoSpeech, edits, read, through_telephone, try_folder, words_of


def test_capitals_and_punctuation_do_not_count_and_numbers_do() -> None:
    assert words_of("L'été, à 12 h 30 : « C’est… FINI ! »") == ["l", "été", "à", "12", "h", "30", "c", "est", "fini"]
    assert words_of("e\u0301te\u0301") == words_of("été") and words_of("Ⅻ") == ["xii"]


WORDS = st.lists(st.sampled_from("abc"), max_size=7)


@given(WORDS, WORDS, WORDS)
def test_edits_are_a_distance(a, b, c) -> None:
    assert edits(a, a) == 0 and edits(a, b) == edits(b, a) and edits(a, []) == len(a)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
    assert edits(a, c) <= edits(a, b) + edits(b, c)


def test_edits_of_known_texts() -> None:
    assert edits(words_of("je veux un café"), words_of("je veux café noir")) == 2
    assert edits(words_of("a b c d"), words_of("a x c")) == 2


def test_a_telephone_keeps_time_and_the_middle_of_the_band() -> None:
    t = np.arange(16000) / 16000
    low, middle, high = (np.sin(2 * np.pi * hz * t).astype(np.float32) * 0.5 for hz in (100, 1000, 5000))
    assert len(through_telephone(middle)) == len(middle)
    assert np.abs(through_telephone(middle)).max() > 0.45
    for beyond in (low, high):  # but for the edges of the file
        assert np.abs(through_telephone(beyond)[1000:-1000]).max() < 0.02
    click = np.zeros(16000, np.float32)
    click[8000] = 1.0
    assert abs(int(np.argmax(np.abs(through_telephone(click)))) - 8000) <= 4


class Hears:
    """An engine that hears what it is told to."""

    name, model, digest, test_only, only_language = "hears", "x", "", True, None

    def __init__(self, text: str) -> None:
        self.text = text

    def transcribe(self, pcm16k, language, channel, offset_s):
        return (Segment(channel, 0.0, 1.0, self.text),)


def folder(tmp_path: Path, manifest: str, *names: str) -> Path:
    import av

    (tmp_path / "manifest.csv").write_text(manifest, encoding="utf-8")
    for name in names:
        with av.open(str(tmp_path / name), "w", format="wav") as out:
            stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.full((1, 8000), 1000, np.int16), "s16", "mono")
            frame.sample_rate = 8000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return tmp_path


def test_scores_are_by_language(tmp_path: Path) -> None:
    manifest = "file,language,reference\na.wav,fr,un deux trois\nb.wav,fr,Un.\nc.wav,en,one\nd.wav,en,…\n"
    there = folder(tmp_path, manifest, "a.wav", "b.wav", "c.wav")
    scores = {score.language: score for _, score in try_folder(Hears("un deux"), there)}
    fr, en = scores["fr"], scores["en"]
    assert (fr.files, fr.words, fr.clean_errors, fr.phone_errors) == (2, 4, 2, 2)
    assert (en.files, en.words, en.clean_errors) == (1, 1, 2) and en.sound_s == pytest.approx(2.0, abs=0.01)
    assert len(read(there / "a.wav")) == 16000


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("file,language\na.wav,fr\n", "no column reference"),
        ("file,language,reference\n../a.wav,fr,un\n", "no file of this folder"),
        ("file,language,reference\nabsent.wav,fr,un\n", "cannot be read as sound"),
        ("file,language,reference\n", "no row"),
    ],
)
def test_a_folder_that_will_not_do_is_explained(tmp_path: Path, manifest: str, said: str) -> None:
    with pytest.raises(NoSpeech, match=said):
        list(try_folder(Hears("un"), folder(tmp_path, manifest)))
    with pytest.raises(NoSpeech, match="cannot be read"):
        list(try_folder(Hears("un"), tmp_path / "absent"))
