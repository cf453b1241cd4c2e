"""The site's local time and its public holidays. Pure: holidays are reckoned, not looked up."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from agent.model.condition import WEEKDAYS, Hours

DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on the clocks of the site. `weekday` counts from Monday, 0; `minute` since midnight."""

    weekday: int
    minute: int
    holiday: bool

    @property
    def hour(self) -> int:
        """The hour on the clock, 0 to 23."""
        return self.minute // 60

    @property
    def day_name(self) -> str:
        """mon … sun."""
        return WEEKDAYS[self.weekday]


@dataclass(frozen=True, slots=True)
class Calendar:
    """`timezone` by its IANA name; `country` is an ISO 3166-1 code, with the part of the country where that has
    holidays of its own (`FR`, `FR-57`, `DE-BY`), or empty: no holidays."""

    timezone: str = "Europe/Paris"
    country: str = "FR"
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", ZoneInfo(self.timezone))

    def moment(self, at_ns: int) -> Moment:
        """What clocks and calendar at the site show at this UTC instant."""
        local = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(self._zone)
        return Moment(local.weekday(), local.hour * 60 + local.minute, is_holiday(self.country, local.toordinal()))


FRANCE = Calendar()


@lru_cache(1000)
def is_holiday(country: str, day: int) -> bool:
    """Whether a day, as an ordinal of the proleptic Gregorian calendar, is a public holiday."""
    if not country:
        return False
    land, _, part = country.partition("-")
    date = datetime.fromordinal(day).date()
    return date in holidays.country_holidays(land, subdiv=part or None, years=date.year)


def within(moment: Moment, hours: Hours) -> bool:
    """Whether the moment is in the stretch; one past midnight is of the day on which it began."""
    if hours.from_min < hours.until_min:
        return moment.weekday in hours.days and hours.from_min <= moment.minute < hours.until_min
    yesterday = (moment.weekday - 1) % 7
    begun = moment.weekday in hours.days and moment.minute >= hours.from_min
    return begun or (yesterday in hours.days and moment.minute < hours.until_min)
