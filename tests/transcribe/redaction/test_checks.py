"""Check digits: published examples, and that any single wrong digit shows."""

import pytest

from agent.transcribe.redaction.checks import hides_card, is_iban, is_nir, is_siret, looks_like_card, luhn


def changed(text: str) -> list[str]:
    return [text[:n] + str((int(c) + 1) % 10) + text[n + 1 :] for n, c in enumerate(text) if c.isdigit()]


@pytest.mark.parametrize("number", ["4532015112830366", "5555555555554444", "378282246310005", "6759649826438453"])
def test_luhn(number: str) -> None:
    assert luhn(number) and not any(map(luhn, changed(number)))
    assert not luhn("")


def test_iban() -> None:
    for good in ("FR7630006000011234567890189", "GB29NWBK60161331926819", "BE68539007547034", "DE89370400440532013000"):
        assert is_iban(good) and not any(map(is_iban, changed(good)))
    assert not is_iban("FR76") and not is_iban("XX7630006000011234567890189")


def test_nir() -> None:
    for good in ("269054958815780", "184127645108946"):
        assert is_nir(good) and not any(map(is_nir, changed(good)))
    corsican = "184122A12345678"
    keys = [f"{corsican[:13]}{key:02}" for key in range(1, 98)]
    assert [k for k in keys if is_nir(k)] == [f"{corsican[:13]}{97 - 1841219123456 % 97:02}"]


def test_siret() -> None:
    assert is_siret("73282932000074") and not any(map(is_siret, changed("73282932000074")))
    assert is_siret("35600000049837") and not is_siret("732829320")


def test_what_must_be_taken_for_a_card() -> None:
    assert looks_like_card("4532015112830366") and looks_like_card("4532015112830367")
    assert looks_like_card("378282246310005") and looks_like_card("453201511283036")
    assert not looks_like_card("1234567890123") and not looks_like_card("352099001761481")
    assert hides_card("99" + "4532015112830366" + "1") and not hides_card("9" * 20)
