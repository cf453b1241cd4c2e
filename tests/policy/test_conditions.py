"""Conditions: each by itself, hours across changes of the clocks, holidays, expressions and what they may not do."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.expression import checked
from agent.config.when import stretch
from agent.model.call import Call, Consent, Direction, Party, Role
from agent.model.condition import EXPRESSION_FIELDS, EXPRESSION_NAMES, Condition, OnHolidays
from agent.model.purpose import Purpose, Trigger
from agent.policy.calendar import Calendar, within
from agent.policy.conditions import CHECKS, is_set, unmet
from agent.policy.decide import Policy
from agent.policy.expression import FAILED, names_of
from agent.policy.share import Strata

PARIS = Calendar("Europe/Paris", "FR")
AGENT = Party("a", "2001", role=Role.AGENT)
CUSTOMER = Party("b", "+33612345678", role=Role.CUSTOMER)
CALL = Call(
    "0" * 32,
    "r",
    "siprec",
    "sbc1",
    0,
    Direction.INBOUND,
    (AGENT, CUSTOMER),
    queue="sales",
    did="0800123456",
    tags=("campaign=spring", "vip"),
    consent=Consent.GIVEN,
)


def at(text: str, zone: str = "Europe/Paris", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * 10**9


NOON = at("2026-11-25T12:00")  # a Wednesday

MET = {
    "direction": ((Direction.INBOUND,), (Direction.OUTBOUND,)),
    "numbers": (("+336*",), ("07*",)),
    "exclude_numbers": (("07*",), ("2001",)),
    "agent": (("200[1-4]",), ("+33*",)),
    "queue": (("sa*",), ("support",)),
    "did": (("0800*",), ("0900*",)),
    "tags": (("nothing", "campaign=s*"), ("campaign",)),
    "exclude_tags": (("spam",), ("v?p",)),
    "gateway": (("sbc*",), ("pbx",)),
    "tap": (("siprec",), ("span",)),
    "parties_at_least": (2, 3),
    "parties_at_most": (2, 1),
    "consent": ((Consent.GIVEN,), (Consent.UNKNOWN,)),
    "hours": ((stretch("mon-fri 8:00-20:00"),), (stretch("sat 8:00-20:00"),)),
    "holidays": (OnHolidays.EXCLUDE, OnHolidays.ONLY),
}


def test_there_is_a_case_for_every_condition():
    assert set(MET) == set(CHECKS)
    assert set(MET) | {"expression"} == set(Condition.__dataclass_fields__)


@pytest.mark.parametrize("name", MET)
def test_each_condition_holds_and_fails_by_itself(name):
    holds, fails = (Condition(**{name: value}) for value in MET[name])
    assert is_set(holds, name)
    assert unmet(CALL, holds, PARIS.moment(NOON)) is None
    assert unmet(CALL, fails, PARIS.moment(NOON)) == name


def test_the_agent_is_who_has_the_call_now_and_parties_are_those_who_have_not_left():
    left = replace(
        CALL, parties=(replace(AGENT, left_ns=5), CUSTOMER, Party("c", "3001", role=Role.AGENT, joined_ns=5))
    )
    moment = PARIS.moment(NOON)
    assert unmet(left, Condition(agent=("2001",)), moment) == "agent"
    assert unmet(left, Condition(agent=("3001",), numbers=("2001",), parties_at_most=2), moment) is None
    third = replace(CALL, parties=(*CALL.parties, Party("c", "3001")))
    assert unmet(third, Condition(parties_at_least=3), moment) is None


def test_hours_are_on_the_clocks_of_the_site_on_both_sides_of_a_change_of_clocks():
    office = stretch("mon-sun 08:00-20:00")
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):  # the day before and that of each change
        shown = {
            clock: within(PARIS.moment(at(f"{day}T{clock}")), office) for clock in ("07:59", "08:00", "19:59", "20:00")
        }
        assert shown == {"07:59": False, "08:00": True, "19:59": True, "20:00": False}, day
    night = stretch("02:00-03:00")
    assert all(within(PARIS.moment(at("2026-10-25T02:30", fold=f)), night) for f in (0, 1)), "the hour that comes twice"
    assert PARIS.moment(at("2026-11-25T23:30", "UTC")).day_name == "thu"


def test_hours_past_midnight_are_of_the_day_on_which_they_begin():
    friday_night = stretch("fri 22:00-06:00")
    shown = ["2026-11-27T21:59", "2026-11-27T22:00", "2026-11-28T05:59", "2026-11-28T06:00", "2026-11-27T01:00"]
    assert [within(PARIS.moment(at(t)), friday_night) for t in shown] == [False, True, True, False, False]


def test_days_go_round_the_week_and_without_days_it_is_every_day():
    assert stretch("sat-mon 0:00-24:00").days == (5, 6, 0)
    assert stretch("22:00-06:00").days == tuple(range(7))


@pytest.mark.parametrize(
    "text", ["", "8-20", "mon 25:00-26:00", "lun 08:00-20:00", "mon 08:60-09:00", "mon 08:00-24:01"]
)
def test_what_is_no_stretch_of_the_day_is_explained(text):
    with pytest.raises(ValueError, match="mon-fri 08:00-20:00"):
        stretch(text)


def test_holidays_are_those_of_the_country_and_of_its_part():
    assert PARIS.moment(at("2026-07-14T10:00")).holiday
    assert not PARIS.moment(at("2026-12-26T10:00")).holiday
    assert Calendar("Europe/Paris", "FR-57").moment(at("2026-12-26T10:00")).holiday, (
        "Moselle has a second Christmas day"
    )
    assert not Calendar("Europe/Paris", "").moment(at("2026-07-14T10:00")).holiday


# ---- expressions


def rule(source: str, call: Call = CALL, now_ns: int = NOON) -> tuple[bool, str]:
    purpose = Purpose("p", Trigger.ALL, (), (), None, when=Condition(expression=checked(source)))
    (decision,) = Policy((purpose,), bytes(32)).decide(call, now_ns, Strata("s"))
    return decision.applies, decision.rule


@pytest.mark.parametrize(
    "source",
    [
        "call.direction == 'inbound' && call.gateway.startsWith('sbc') && call.tap == 'siprec'",
        "parties.exists(p, p.role == 'customer' && p.number.startsWith('+336') && p.present)",
        "agent == '2001' && queue in ['sales', 'support']",
        "'vip' in tags && tags['campaign'] == 'spring' && !('spam' in tags)",
        "hour == 12 && minute == 0 && weekday == 'wed' && !holiday",
        "call.consent == 'given' && call.did == '0800123456' && size(parties) == 2",
    ],
)
def test_an_expression_speaks_of_all_that_is_known(source):
    assert rule(source) == (True, "trigger all")


def test_an_expression_that_is_not_true_excludes_without_saying_what_it_says():
    applies, said = rule("agent == '2002' || parties.exists(p, p.number == '+33600000000')")
    assert (applies, said) == (False, "condition not met: expression")


@pytest.mark.parametrize(
    "source", ["tags['none'] == 'x'", "hour / 0 == 1", "hour", "queue + 1 == '2'", "parties[7].role == 'a'"]
)
def test_an_expression_that_fails_excludes_and_says_so(source):
    applies, said = rule(source)
    assert not applies and said.startswith(FAILED)
    assert not any(number in said for number in ("2001", "612345678"))


def test_the_names_that_are_checked_are_those_that_are_given():
    names = names_of(CALL, PARIS.moment(NOON))
    assert set(names) == EXPRESSION_NAMES
    assert all(set(names[whole]) == parts for whole, parts in EXPRESSION_FIELDS.items())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("agnt == '1'", 'did you mean "agent"'),
        ("call.directon == 'x'", 'did you mean "direction"'),
        ("agent ==", "not an expression: 1:9"),
        ("true" + " || true" * 200, "too long"),
        (" || ".join(["parties.exists(p, p.present)"] * 4), "at most 3"),
        ("(" * 400 + "true" + ")" * 400, "not an expression"),
    ],
)
def test_an_expression_that_cannot_be_used_is_explained(source, says):
    with pytest.raises(ValueError, match=says.split(":")[0]) as caught:
        checked(source)
    assert says in str(caught.value) and len(str(caught.value)) < 300


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused_in_words_and_decides_without_raising(source):
    try:
        checked(source)
    except ValueError:
        return
    rule(source)
