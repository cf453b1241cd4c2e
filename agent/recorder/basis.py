"""What a call is decided on: the purposes it began with, the calendar of the site, how far pauses reach and last.

A call keeps it until it ends, whatever becomes of the configuration, and a restart finds it in the RESUME record.
"""

from dataclasses import dataclass

from agent.config import Settings
from agent.model.call import CLOCK_RATE
from agent.model.purpose import Purpose
from agent.policy.calendar import Calendar
from agent.policy.gate import holdback_s


@dataclass(frozen=True, slots=True)
class Basis:
    """`timezone` and `holidays` as in `agent.policy.calendar.Calendar`; the rest is what a gate is made with (samples,
    see `agent.capture.gate.CallGate`)."""

    purposes: tuple[Purpose, ...]
    timezone: str
    holidays: str
    holdback_samples: int
    limit_samples: int
    warn_samples: int
    wait_samples: int

    @property
    def longest_samples(self) -> int:
        """How long media of the call may have to wait in RAM: as long as the longest holdback of a purpose."""
        site_s = self.holdback_samples / CLOCK_RATE
        return max((round(holdback_s(p, site_s) * CLOCK_RATE) for p in self.purposes), default=0)


def basis_of(settings: Settings, purposes: tuple[Purpose, ...], calendar: Calendar) -> Basis:
    """That of calls which begin under these."""
    pause = settings.pause
    return Basis(
        purposes,
        calendar.timezone,
        calendar.country,
        int(settings.capture.holdback_s * CLOCK_RATE),
        pause.limit_s * CLOCK_RATE,
        pause.warn_s * CLOCK_RATE,
        pause.consent_wait_s * CLOCK_RATE,
    )
