"""What decides on calls, put together from the configuration and the files it names."""

import secrets
from collections.abc import Sequence

import structlog

from agent.config import Settings
from agent.config.watching import needs_restart
from agent.model.call import Call
from agent.model.purpose import Decision, Purpose
from agent.policy.calendar import Calendar
from agent.policy.decide import Policy
from agent.policy.expression import FAILED
from agent.policy.gate import holdback_s
from agent.policy.lists import NO_LISTS, Lists
from agent.policy.share import Strata
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


class Rulebook:
    """The policy in force, and the purposes that each live call began with. Any thread may ask.

    A live call keeps its purposes, conditions and draws included, until it ends; the lists are always those in force.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self.policy = policy
        self._longest_s = longest(settings, self.policy)
        self._strata = Strata(secrets.token_hex(4))
        self._began: dict[str, Policy] = {}

    def decide(self, call: Call, at_ns: int) -> tuple[Decision, ...]:
        """On a call that begins."""
        policy = self._began[call.call_id] = self.policy
        return said(call, policy.decide(call, at_ns, self._strata))

    def again(self, call: Call, before: Sequence[Decision], at_ns: int) -> tuple[Decision, ...]:
        """On a call that has changed."""
        policy = self._began.get(call.call_id, self.policy).with_lists(self.policy.lists)
        return said(call, policy.decide(call, at_ns, self._strata, before))

    def purposes_of(self, call_id: str) -> tuple[Purpose, ...]:
        """Those that the call began with; of a call of before a restart, those that are configured."""
        return self._began.get(call_id, self.policy).purposes

    def ended(self, call_id: str) -> None:
        """Nothing is decided about the call any more."""
        self._began.pop(call_id, None)

    def names(self) -> set[str]:
        """Of all purposes that are configured or that a live call has."""
        return {purpose.name for policy in (self.policy, *self._began.copy().values()) for purpose in policy.purposes}

    def take(self, settings: Settings) -> None:
        """Decide by it on calls that begin from now on. Raises OSError and ValueError, and nothing is changed."""
        policy = policy_of(settings)
        if longest(settings, policy) > self._longest_s:
            raise ValueError("a longer holdback_s than there was at the start takes a restart of the recorder")
        self.policy = policy
        restart = needs_restart(self._settings, settings)
        log.info("config.accepted", purposes=[p.name for p in policy.purposes], needs_restart=list(restart))

    def refuse(self, problems: list[str]) -> None:
        """The configuration is not good: say so; what was in force stays so."""
        log.error("config.refused", problems=problems)


def longest(settings: Settings, policy: Policy) -> float:
    """The longest look-back of its purposes, in seconds."""
    return max((holdback_s(p, settings.capture.holdback_s) for p in policy.purposes), default=0.0)


def said(call: Call, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """The decisions; expressions that could not be evaluated are logged."""
    for decision in decisions:
        if decision.rule.startswith(FAILED):
            log.warning("policy.expression_failed", call=call.call_id, purpose=decision.purpose, rule=decision.rule)
    return decisions
