"""Numbers in words: all that `num2words` says is read back, in France, Belgium, Switzerland and Britain."""

import pytest
from num2words import num2words

from agent.model.text import Said, Word
from agent.transcribe.redaction.atoms import atoms
from agent.transcribe.redaction.figures import Role, figures


def read(text: str, language: str = "fr") -> list[str]:
    said = [Said(0, Word(w, n * 0.4, n * 0.4 + 0.3, 1.0)) for n, w in enumerate(text.split())]
    return [f.digits for f in figures(atoms(said)[0], language, True) if f.role is Role.READ]


@pytest.mark.parametrize("region", ["fr", "fr_BE", "fr_CH", "en"])
def test_every_number_is_read_back(region: str) -> None:
    for value in [*range(1, 1200), *range(1999, 100_000, 487)]:
        said = num2words(value, lang=region).replace(",", "")
        assert read(said, region[:2]) == [str(value)], said
        if region == "en" or "-" in said:
            assert read(said.replace("-", " "), region[:2]) == [str(value)], said


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("zéro six douze", ["0", "6", "12"]),
        ("double quatre triple zéro", ["44", "000"]),
        ("deux fois le six", ["66"]),
        ("quatre zéros", ["0000"]),
        ("quatre 5 trente-deux 0366", ["4", "5", "32", "0366"]),
        ("06.12.34.56.78", ["06", "12", "34", "56", "78"]),
        ("4532-0151", ["4532", "0151"]),
        ("huit cette neuf", ["8", "7", "9"]),
        ("deux cents trois cents", ["200", "300"]),
        ("sept cents quarante-neuf cent trois", ["749", "103"]),
        ("quatre, vingt", ["4", "20"]),
        ("mille deux cents euros", []),
        ("le 12 mars 2024", []),
        ("à 14h30 ou 15:45 pour 12,50", []),
        ("une maison et un chien neuf", ["9"]),
    ],
)
def test_french_forms(text: str, digits: list[str]) -> None:
    assert read(text) == digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("oh seven double oh", ["0", "7", "00"]),
        ("oh dear", []),
        ("treble four nineteen eighty four", ["444", "19", "84"]),
        ("four thousand two hundred and thirty four thousand one hundred", ["4230", "4100"]),
        ("one of them and two", ["2"]),
        ("two four to six", ["2", "4", "2", "6"]),
    ],
)
def test_english_forms(text: str, digits: list[str]) -> None:
    assert read(text, "en") == digits


def test_other_languages_are_read_in_figures() -> None:
    assert read("vier fünf 4532 0151", "de") == ["4532", "0151"]
