"""A channel's language is settled by enough speech that surely is of it, and never changes after."""

from hypothesis import given
from hypothesis import strategies as st

from agent.transcribe.engine import Spoken
from agent.transcribe.tongue import Tongue


def settled(*heard: tuple[str, float, float]) -> str | None:
    tongue = Tongue(None)
    for one in heard:
        tongue.hear(Spoken(*one))
    return tongue.language


def test_short_or_doubtful_speech_settles_nothing() -> None:
    assert settled(("en", 0.95, 0.5)) is None
    assert settled(("en", 0.3, 3.0)) is None
    assert settled(("fr", 0.8, 2.5)) == "fr"
    assert settled(("en", 0.95, 0.5), ("fr", 0.9, 3.0)) == "fr"
    assert settled(("en", 0.5, 2.9), ("fr", 0.6, 2.9)) is None, "nearly as much for either"


def test_a_language_that_was_said_is_never_doubted() -> None:
    tongue = Tongue("de")
    tongue.hear(Spoken("fr", 1.0, 30.0))
    assert tongue.language == tongue.likely == "de"


HEARD = st.tuples(st.sampled_from(("fr", "en", "de")), st.floats(0, 1), st.floats(0, 30))


@given(st.lists(HEARD, max_size=20))
def test_what_is_settled_stays_and_was_heard(heard: list[tuple[str, float, float]]) -> None:
    tongue, before = Tongue(None), None
    for one in heard:
        tongue.hear(Spoken(*one))
        assert before in (None, tongue.language)
        before = tongue.language
        assert tongue.likely in {language for language, _, _ in heard}
    assert tongue.language in {None, *(language for language, _, _ in heard)}
