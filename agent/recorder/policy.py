"""What decides on calls, put together from the configuration and the files it names."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

import structlog

from agent.config import Settings
from agent.config.watching import needs_restart
from agent.model.call import Call
from agent.model.purpose import Decision
from agent.policy.calendar import Calendar
from agent.policy.decide import Policy
from agent.policy.expression import FAILED
from agent.policy.lists import NO_LISTS, Lists
from agent.policy.share import Strata
from agent.recorder.basis import Basis, basis_of
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
    """The policy in force, and what each live call is decided on. Any thread may ask.

    A live call keeps its purposes, conditions and draws included, until it ends; the lists are always those in force.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._strata = Strata(secrets.token_hex(4))
        self._in_force = policy, basis_of(settings, policy.purposes, policy.calendar)
        self._began: dict[str, tuple[Policy, Basis]] = {}
        self.longest_samples = self._in_force[1].longest_samples
        """The longest holdback there may be."""

    @property
    def policy(self) -> Policy:
        """Decides on calls that begin."""
        return self._in_force[0]

    def decide(self, call: Call, at_ns: int) -> tuple[Decision, ...]:
        """On a call that begins."""
        policy, _ = self._began[call.call_id] = self._in_force
        return said(call, policy.decide(call, at_ns, self._strata))

    def restore(self, call_id: str, basis: Basis) -> None:
        """A call of before a restart was decided on this. To be told before any media is taken in. Raises ValueError
        for what this program does not know: an expression, a time zone, a country."""
        self._began[call_id] = _under(self.policy, basis), basis
        self.longest_samples = max(self.longest_samples, basis.longest_samples)

    def again(self, call: Call, before: Sequence[Decision], at_ns: int) -> tuple[Decision, ...]:
        """On a call that has changed."""
        policy, _ = self._began.get(call.call_id, self._in_force)
        return said(call, policy.with_lists(self.policy.lists).decide(call, at_ns, self._strata, before))

    def began_with(self, call_id: str) -> Basis:
        """What the call is decided on; of a call that is not known, what is configured."""
        return self._began.get(call_id, self._in_force)[1]

    def ended(self, call_id: str) -> None:
        """Nothing is decided about the call any more."""
        self._began.pop(call_id, None)

    def names(self) -> set[str]:
        """Of all purposes that are configured or that a live call has."""
        known = (self._in_force, *self._began.copy().values())
        return {purpose.name for _, basis in known for purpose in basis.purposes}

    def take(self, settings: Settings) -> None:
        """Decide by it on calls that begin from now on. Raises OSError and ValueError, and nothing is changed."""
        policy = policy_of(settings)
        if basis_of(settings, policy.purposes, policy.calendar).longest_samples > self.longest_samples:
            raise ValueError("a longer holdback_s than there was at the start takes a restart of the recorder")
        self._in_force = policy, basis_of(self._settings, policy.purposes, policy.calendar)
        restart = needs_restart(self._settings, settings)
        log.info("config.accepted", purposes=[p.name for p in policy.purposes], needs_restart=list(restart))

    def refuse(self, problems: list[str]) -> None:
        """The configuration is not good: say so; what was in force stays so."""
        log.error("config.refused", problems=problems)


def _under(policy: Policy, basis: Basis) -> Policy:
    """What decided when this was the basis; lists and key are those of now. Raises ValueError."""
    try:
        calendar = Calendar(basis.timezone, basis.holidays)
        calendar.moment(0)
    except (LookupError, NotImplementedError) as error:
        raise ValueError("its time zone or its country is not known here") from error
    return replace(policy, purposes=basis.purposes, calendar=calendar)


def said(call: Call, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """The decisions; expressions that could not be evaluated are logged."""
    for decision in decisions:
        if decision.rule.startswith(FAILED):
            log.warning("policy.expression_failed", call=call.call_id, purpose=decision.purpose, rule=decision.rule)
    return decisions
