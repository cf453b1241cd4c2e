"""What decides on calls, put together from the configuration and the files it names."""

import structlog

from agent.config import Settings
from agent.model.purpose import Decision
from agent.policy.calendar import Calendar
from agent.policy.decide import Policy
from agent.policy.expression import FAILED
from agent.policy.lists import NO_LISTS, Lists
from agent.vault.lists import KEY_FILE, OPT_OUT, PROTECTED, Hasher, read_list
from agent.vault.secretfile import read_secret

log = structlog.get_logger()


def policy_of(settings: Settings) -> Policy:
    """Purposes with their readers, the key of `percent`, lists and calendar. Raises OSError and ValueError in words."""
    site = settings.site
    return Policy(
        settings.purposes(),
        read_secret(site.keys_dir / "percent.key"),
        lists_of(settings),
        Calendar(site.timezone, site.holidays),
    )


def lists_of(settings: Settings) -> Lists:
    """The lists of who is never recorded. Raises OSError and ValueError: without them nothing may be recorded."""
    opt_out, protected = (
        frozenset(entry.hash for entry in read_list(settings.lists_dir / name)) for name in (OPT_OUT, PROTECTED)
    )
    if not opt_out and not protected:
        return NO_LISTS
    try:
        hasher = Hasher.load(settings.site.keys_dir, settings.site.calling_code)
    except FileNotFoundError:
        raise ValueError(f"there are lists in {settings.lists_dir}, but no {KEY_FILE} that opens them") from None
    return Lists(opt_out, protected, hasher)


def say_failed(call_id: str, decisions: tuple[Decision, ...]) -> None:
    """Log expressions that could not be evaluated for a call."""
    for decision in decisions:
        if decision.rule.startswith(FAILED):
            log.warning("policy.expression_failed", call=call_id, purpose=decision.purpose, rule=decision.rule)
