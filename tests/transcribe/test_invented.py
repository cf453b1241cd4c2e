"""Text that nobody said is known by its signs, and what people do say on the telephone is not."""

import pytest

from agent.model.text import Segment, Word
from agent.transcribe.invented import PHRASES, Sign, compression_ratio, folded, sift, sign_of, voiced_share


@pytest.mark.parametrize("phrase", PHRASES)
def test_closing_words_of_videos_are_known_however_they_are_written(phrase: str) -> None:
    for said in (phrase, phrase.upper(), f" {phrase.capitalize()} !", phrase.replace("é", "e"), f"- {phrase}..."):
        assert sign_of(said) is Sign.OUTRO, said


@pytest.mark.parametrize(
    "said",
    [
        "Merci.",
        "Merci, au revoir.",
        "Thank you.",
        "Thank you for calling, goodbye.",
        "Je voudrais résilier mon abonnement, merci d'avoir regardé mon dossier.",
        "I watched the video and subscribed to your channel last month.",
        "Oui oui oui oui oui.",
        "zéro six douze trente-quatre cinquante-six soixante-dix-huit",
        "quatre " + "un " * 15,
        "four one one one one one one one one one one one one one one one",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 et 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "quatre-vingt-dix-neuf " * 8,
        "",
    ],
)
def test_what_people_say_is_kept(said: str) -> None:
    assert sign_of(said, no_speech=0.7, logprob=-0.3) is None, "doubt needs both: nobody spoke, and a poor text"


def test_text_that_repeats_itself_is_invented() -> None:
    assert sign_of("je vais vous dire " * 12) is Sign.REPEATED
    assert compression_ratio("oui " * 9) == 0.0, "too short to tell"
    assert compression_ratio("Je voudrais savoir où en est ma commande de la semaine dernière.") < 1.2


def test_the_models_own_doubt_counts() -> None:
    assert sign_of("Bonjour.", no_speech=0.9, logprob=-1.2) is Sign.DOUBT
    assert sign_of("Bonjour.", no_speech=0.5, logprob=-1.2) is None


def test_text_where_no_voice_is() -> None:
    said = Segment(0, 0.0, 10.0, "a b", (Word("a", 1.0, 2.0, 0.9), Word("b", 8.0, 9.0, 0.9)))
    assert voiced_share(said, [(1.5, 2.5), (7.0, 8.5)]) == 0.5
    assert voiced_share(said, [(3.0, 7.0)]) == 0.0
    assert voiced_share(Segment(0, 1.0, 1.0, "x"), []) == 1.0, "no time, nothing to tell by"
    assert sift([said], [(3.0, 7.0)]) == ([], [(said, Sign.SILENCE)])
    assert sift([said], [(1.0, 7.0)]) == ([said], [])
    assert sift([said]) == ([said], [])


def test_folding_leaves_words() -> None:
    assert folded("  L’Été -- d'Amara.org… À bientôt ! ") == "l ete d amara.org a bientot"
