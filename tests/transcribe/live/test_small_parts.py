"""Voice, agreement and credibility, each alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.text import Word
from agent.transcribe.engine import Heard, to_engine_rate
from agent.transcribe.invented import is_outro
from agent.transcribe.live.agreement import Agreement, in_order, plain
from agent.transcribe.live.credible import credible
from agent.transcribe.live.voice import FRAME, Edge, Silero, Turns


def words(text: str, start_s: float = 0.0, each_s: float = 0.3) -> tuple[Word, ...]:
    return tuple(Word(w, start_s + n * each_s, start_s + (n + 1) * each_s, 0.9) for n, w in enumerate(text.split()))


# ---- voice -----------------------------------------------------------------------------------------------------------


def test_silero_says_the_same_a_frame_at_a_time_as_all_at_once(speech) -> None:
    from faster_whisper.vad import get_vad_model

    pcm = to_engine_rate(speech("jfk.flac")[: 8000 * 5], 8000)
    pcm += np.random.default_rng(0).normal(0, 0.002, len(pcm)).astype(np.float32)  # no frame that is left out
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    ours = Silero()
    single = np.concatenate([ours.probabilities(frames[n : n + 1]) for n in range(len(frames))])
    few = Silero()
    some = np.concatenate([few.probabilities(part) for part in np.array_split(frames, 7)])
    assert np.allclose(single, some, atol=1e-4)
    theirs = get_vad_model()(frames.reshape(-1).copy()).reshape(-1)
    assert np.allclose(some[:-1], theirs[:-1], atol=1e-4), "all but the last, whose end theirs overwrites"
    assert 0.3 < (single > 0.5).mean() < 0.9


def test_what_nobody_can_hear_never_reaches_the_model() -> None:
    silero = Silero()
    silero._session = None  # it would fail if it were asked
    assert silero.probabilities(np.full((50, FRAME), 8 / 32768, np.float32)).max() == 0.0
    assert len(silero.probabilities(np.zeros((0, FRAME), np.float32))) == 0


def test_a_voice_that_is_reset_knows_nothing(speech) -> None:
    frames = to_engine_rate(speech("jfk.flac")[: FRAME * 30], 8000).reshape(-1, FRAME)
    fresh, used = Silero(), Silero()
    used.probabilities(frames)
    assert not np.allclose(fresh._h, used._h)
    used.reset()
    assert np.array_equal(Silero().probabilities(frames), used.probabilities(frames))


def edges(probabilities: list[float]) -> list[Edge]:
    turns = Turns()
    return [turns.feed(p)[0] for p in probabilities]


def test_a_turn_begins_with_two_frames_and_ends_after_half_a_second() -> None:
    assert set(edges([0.9, 0.0] * 20)) == {Edge.NONE}, "a click is no turn"
    found = edges([0.0, 0.4, 0.4, *[0.25] * 100, *[0.1] * 15])
    assert found[2] is Edge.BEGINS and found.count(Edge.ENDS) == 1 and found[-1] is Edge.ENDS
    assert Edge.ENDS not in edges([0.4, 0.4, *[*[0.1] * 14, 0.3] * 10])


# ---- agreement -------------------------------------------------------------------------------------------------------


def texts(found) -> list[str]:
    return [w.text for w in found]


def test_two_windows_that_agree_decide() -> None:
    agreement = Agreement()
    assert agreement.offer(words("bonjour je")) == ((), words("bonjour je"))
    decided, guess = agreement.offer(words("Bonjour, je voudrais"))
    assert texts(decided) == ["Bonjour,", "je"] and texts(guess) == ["voudrais"]
    decided, guess = agreement.offer(words("vous drait"))
    assert decided == () and texts(guess) == ["vous", "drait"]
    agreement.settle()
    assert agreement.offer(words("vous drait"))[0] == ()


def test_words_are_compared_without_their_dress() -> None:
    assert plain("« Été ! »") == "été" and plain("l'Hôtel,") == "l'hôtel" and plain("…") == ""


TIMES = st.floats(-100, 100, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES)), st.floats(0, 10), st.floats(0, 10))
def test_times_never_run_backwards(times, since_s: float, length_s: float) -> None:
    until_s = since_s + length_s
    ordered = in_order([Word("x", a, b, 1.0) for a, b in times], since_s, until_s)
    edges_s = [t for w in ordered for t in (w.start_s, w.end_s)]
    assert edges_s == sorted(edges_s)
    assert all(since_s - 0.001 <= t <= until_s + 0.001 for t in edges_s)


# ---- credibility -----------------------------------------------------------------------------------------------------

ALL = [(0.0, 60.0)]


@pytest.mark.parametrize(
    "line",
    [
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titrage Société Radio-Canada",
        "Sous-titrage ST' 501",
        "❤️ par SousTitreur.com, Sous-titres réalisés para la communauté d'Amara.org",
        "Merci d'avoir regardé cette vidéo !",
        "N'oubliez pas de vous abonner à la chaîne.",
        "Abonnez-vous !",
        "Thanks for watching!",
        "Thank you so much for watching.",
        "Please subscribe to my channel.",
        "Subtitles by the Amara.org community",
    ],
)
def test_lines_that_end_videos_are_not_believed(line: str) -> None:
    assert is_outro(line) and credible(Heard(words(line)), ALL) == ()


@pytest.mark.parametrize(
    "line",
    [
        "Merci.",
        "Merci d'avoir patienté.",
        "Merci d'avoir suivi notre conversation.",
        "Je voudrais m'abonner à la chaîne sport.",
        "Vous abonner ?",
        "Les sous-titres ne marchent pas sur ma télé.",
        "Thank you for calling.",
        "I would like to subscribe to the newspaper.",
        "Au revoir, à bientôt.",
    ],
)
def test_lines_of_calls_are_believed(line: str) -> None:
    assert not is_outro(line) and credible(Heard(words(line)), ALL) == words(line)


def test_a_model_in_doubt_is_not_believed() -> None:
    said = words("je vous écoute")
    assert credible(Heard(said, no_speech=0.9, logprob=-1.5), ALL) == ()
    assert credible(Heard(said, no_speech=0.9, logprob=-0.2), ALL) == said
    assert credible(Heard(said, no_speech=0.1, logprob=-1.5), ALL) == said


def test_what_is_said_over_and_over_is_not_believed() -> None:
    assert credible(Heard(words("je suis là, " * 20)), ALL) == ()
    number = words("quatre neuf sept zéro un zéro un deux trois quatre cinq six sept huit neuf zéro")
    assert credible(Heard(number), ALL) == number


def test_words_where_nobody_spoke_are_not_believed() -> None:
    said = words("un deux trois quatre cinq six sept huit neuf dix")
    near = credible(Heard(said), [(0.0, 0.6), (2.4, 2.7)])
    assert texts(near) == ["un", "deux", "trois", "huit", "neuf", "dix"]
    assert credible(Heard(said), []) == ()
