"""What decides on calls, put together from the configuration and the files it names."""

from agent.config import Settings
from agent.policy.calendar import Calendar
from agent.policy.decide import Policy
from agent.vault.secretfile import read_secret


def policy_of(settings: Settings) -> Policy:
    """Purposes with their readers, the key of `percent`, lists and calendar. Raises OSError and ValueError in words."""
    site = settings.site
    return Policy(
        settings.purposes(),
        read_secret(site.keys_dir / "percent.key"),
        calendar=Calendar(site.timezone, site.holidays),
    )
