"""Feature codes: every code that is pressed counts, nothing else does, and no key of a code is ever free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Consent, Role
from agent.model.gate import GateVerb
from agent.model.keys import KEY_NAMES, KeyCode
from agent.model.media import KeyPress
from agent.policy.featurecodes import Reading, Typing, allowed, expire, read

GAP = 100
AGENT = frozenset({Role.AGENT})
PAUSE, RESUME = KeyCode("*71", GateVerb.PAUSE, AGENT), KeyCode("*72", GateVerb.RESUME, AGENT)
TWICE = KeyCode("**1", GateVerb.KEEP, AGENT)
CODES = (PAUSE, RESUME, TWICE)


def press(key: str, at: int) -> KeyPress:
    return KeyPress("c", 0, KEY_NAMES.index(key), at)


def typed(text: str, step: int = 10) -> tuple[list[KeyCode], str, str]:
    """Codes found, keys set free and keys still held when `text` is typed, a key every `step` samples; a space is a
    pause longer than the gap."""
    now = Typing()
    found, free, at = [], "", 0
    for key in text:
        at += step
        if key == " ":
            at += GAP
            continue
        reading = read(CODES, now, press(key, at), GAP)
        now = reading.now
        free += "".join(KEY_NAMES[k.event] for k in reading.free)
        found += [reading.code] if reading.code else []
    return found, free, "".join(KEY_NAMES[k.event] for k in now.held)


@pytest.mark.parametrize(
    ("text", "found", "free", "held"),
    [
        ("*71", [PAUSE], "", ""),
        ("*71*72", [PAUSE, RESUME], "", ""),
        ("5*71", [PAUSE], "5", ""),
        ("*7*71", [PAUSE], "*7", ""),
        ("***1", [TWICE], "*", ""),
        ("*73", [], "*73", ""),
        ("*7 1", [], "*71", ""),
        ("* *71", [PAUSE], "*", ""),
        ("*7", [], "", "*7"),
        ("711", [], "711", ""),
    ],
)
def test_what_is_typed_is_read(text: str, found: list[KeyCode], free: str, held: str) -> None:
    assert typed(text) == (found, free, held)


@given(st.text("*71259", max_size=40))
def test_every_key_is_of_a_code_or_free_or_held_in_the_order_pressed(text: str) -> None:
    found, free, held = typed(text)
    left, codes = text, [code.keys for code in found]
    for keys in codes:
        before, _, left = left.partition(keys)  # the first place where it is complete
        assert not any(code.keys in before for code in CODES)
    assert not any(code.keys in left for code in CODES)
    assert len(free) + len(held) + sum(map(len, codes)) == len(text)
    assert any(code.keys.startswith(held) for code in CODES) and text.endswith(held)


@given(st.lists(st.tuples(st.sampled_from("*712"), st.integers(0, 2 * GAP)), max_size=20))
def test_a_code_is_never_read_over_a_gap(presses: list[tuple[str, int]]) -> None:
    now, at, history = Typing(), 0, ""
    for key, wait in presses:
        at += wait
        history = (history if wait <= GAP else "") + key
        reading = read(CODES, now, press(key, at), GAP)
        now = reading.now
        if reading.code:
            assert history.endswith(reading.code.keys)
            history = ""


def test_what_is_held_is_free_after_the_gap() -> None:
    held = (press("*", 0), press("7", 50))
    now = Typing(held, True, 50)
    assert expire(now, 50 + GAP, GAP) == Reading(now)
    assert expire(now, 51 + GAP, GAP) == Reading(Typing(), held)


@pytest.mark.parametrize(("text", "found"), [("1", 1), ("41", 0), ("4 1", 1), ("*1", 0), ("*71 1", 1), ("121", 1)])
def test_a_digit_within_a_number_is_no_choice(text: str, found: int) -> None:
    yes = KeyCode("1", Consent.GIVEN)
    now, at, count = Typing(), 0, 0
    for key in text:
        at += GAP if key == " " else 10
        if key != " ":
            reading = read((PAUSE, yes), now, press(key, at), GAP)
            now = reading.now
            count += reading.code is yes
    assert count == found


def test_only_who_may_press_a_code_presses_it() -> None:
    yes, stop = KeyCode("1", Consent.GIVEN, frozenset({Role.CUSTOMER})), KeyCode("9", Consent.WITHDRAWN)
    codes = (*CODES, yes, stop)
    assert allowed(codes, Role.AGENT, may_choose=True) == (*CODES, stop)
    assert allowed(codes, Role.CUSTOMER, may_choose=True) == (yes, stop)
    assert allowed(codes, Role.CUSTOMER, may_choose=False) == (stop,)
    assert allowed(codes, None, may_choose=True) == (stop,), "nobody in particular presses what anybody may"
