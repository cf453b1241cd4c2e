"""What a person types is found however letters and pages write it; what gateways write for nobody is refused."""

import pytest

from agent.vault.numbers import NotANumber, number_hashes, of_a_person

KEY = bytes(range(32))


@pytest.mark.parametrize(
    "typed",
    [
        "+33 (0)6 12 34 56 78",
        "+33(0)612345678",
        "0033 (0) 6.12.34.56.78",
        "06\u201112\u201134\u201156\u201178",
        "06\u200912\u200934\u200956\u200978",
        "tel:+33612345678",
        " 06 12 34 56 78 ",
    ],
)
def test_one_number_however_it_is_written(typed: str) -> None:
    assert number_hashes(KEY, of_a_person(typed), "33") == number_hashes(KEY, "0612345678", "33")


@pytest.mark.parametrize("typed", ["", "-", "anonymous", "Anonymous.invalid", "coverage-unavailable", "000", "sip:"])
def test_what_stands_for_nobody_is_refused(typed: str) -> None:
    with pytest.raises(NotANumber):
        of_a_person(typed)


def test_a_user_of_sip_stays_one() -> None:
    assert of_a_person("sip:Ann@example.net") == "Ann@example.net"
