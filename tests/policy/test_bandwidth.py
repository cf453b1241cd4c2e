"""How fast at which hour: on the clocks of the site, also in the nights when these change."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from agent.config.destinations import FolderSection
from agent.policy.bandwidth import rate_at
from agent.policy.calendar import FRANCE

MBIT = 125_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def section(**fields: object) -> FolderSection:
    return FolderSection.model_validate({"kind": "folder", "path": "/x", **fields})


WORK = section(
    limit_mbit=10,
    hours=[
        {"from": "08:00", "to": "19:00", "days": "mon-fri", "mbit": 2},
        {"from": "07:00", "to": "20:00", "mbit": 5},
        {"from": "23:00", "to": "01:00", "mbit": 0},
    ],
).bandwidth()


@pytest.mark.parametrize(
    ("utc", "mbit"),
    [
        ("2026-11-30T07:30", 2),  # a Monday, 08:30 in Paris
        ("2026-11-30T06:30", 5),
        ("2026-11-29T07:30", 5),  # a Sunday
        ("2026-11-30T18:00", 5),  # 19:00: the first stretch is over
        ("2026-11-30T20:00", 10),
        ("2026-11-30T22:30", 0),
        ("2026-11-30T23:59", 0),  # past midnight
        ("2026-12-01T00:00", 10),
        ("2026-06-30T06:30", 2),  # summer: 08:30
    ],
)
def test_the_first_stretch_that_fits_counts(utc: str, mbit: float) -> None:
    assert rate_at(WORK, FRANCE, at(utc)) == mbit * MBIT


def test_clocks_that_change_make_a_stretch_shorter_or_longer_and_nothing_else() -> None:
    night = section(hours=[{"from": "02:00", "to": "04:00", "mbit": 1}]).bandwidth()

    def minutes(day: str) -> int:
        start = at(f"{day}T00:00") - 6 * 3600 * 10**9
        return sum(rate_at(night, FRANCE, start + m * 60 * 10**9) is not None for m in range(18 * 60))

    assert minutes("2026-02-10") == 120
    assert minutes("2026-03-29") == 60, "02:00 to 03:00 did not exist"
    assert minutes("2026-10-25") == 180, "02:00 to 03:00 came twice"


def test_without_limits_there_is_none_and_errors_say_what_is_expected() -> None:
    assert rate_at(section().bandwidth(), FRANCE, 0) is None
    assert rate_at(section(limit_mbit=0).bandwidth(), FRANCE, 0) == 0
    for wrong in ({"from": "8", "to": "19:00", "mbit": 2}, {"from": "08:00", "to": "25:00", "mbit": 2}):
        with pytest.raises(ValidationError, match="expected hours such as"):
            section(hours=[wrong])
    with pytest.raises(ValidationError):
        section(hours=[{"from": "08:00", "to": "19:00", "mbit": -1}])
