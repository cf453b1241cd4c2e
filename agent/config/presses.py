"""How the pause button is pressed by telephony: feature codes on the keypad, and what SIP may say of a call."""

import re
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from agent.config.section import Duration, Patterns, Section
from agent.model.call import Consent, Role
from agent.model.gate import GateVerb
from agent.model.keys import KeyCode

KeySequence = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[0-9*#A-D]{1,8}$")]
Whose = Literal["agent", "customer", "any"]

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")
_TAG_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}(=[a-z][a-z0-9_-]{0,31})?")
_ROLES = {"agent": frozenset({Role.AGENT}), "customer": frozenset({Role.CUSTOMER}), "any": frozenset[Role]()}


class Keys(Section):
    """Feature codes: keys (`0`-`9`, `*`, `#`, `A`-`D`) pressed during a call. None counts unless it is configured."""

    pause: KeySequence | None = None
    resume: KeySequence | None = None
    keep: KeySequence | None = None
    drop: KeySequence | None = None
    codes_from: Whose = "agent"
    """Whose feature codes count: never the customer's by default."""
    gap_s: float = Field(3.0, gt=0, le=30)
    """A key that comes later after the one before begins anew."""
    consent_given: KeySequence | None = None
    consent_refused: KeySequence | None = None
    consent_withdrawn: KeySequence | None = None
    consent_from: Whose = "customer"
    consent_within: Duration = 60
    """The choice counts only so long after the call began, and only the first one; withdrawing counts always."""

    def codes(self) -> tuple[KeyCode, ...]:
        """What is configured."""
        verbs = {
            GateVerb.PAUSE: self.pause,
            GateVerb.RESUME: self.resume,
            GateVerb.KEEP: self.keep,
            GateVerb.DROP: self.drop,
        }
        choices = {
            Consent.GIVEN: self.consent_given,
            Consent.REFUSED: self.consent_refused,
            Consent.WITHDRAWN: self.consent_withdrawn,
        }
        found = [KeyCode(keys, verb, _ROLES[self.codes_from]) for verb, keys in verbs.items() if keys]
        return tuple(found + [KeyCode(k, choice, _ROLES[self.consent_from]) for choice, k in choices.items() if k])

    @model_validator(mode="after")
    def _check(self) -> Self:
        for one, other in combinations(self.codes(), 2):
            together = not one.roles or not other.roles or one.roles & other.roles
            if together and (one.keys.startswith(other.keys) or other.keys.startswith(one.keys)):
                raise ValueError(f'keys: "{one.keys}" and "{other.keys}" begin alike: nobody could tell which is meant')
        return self


class SipPresses(Section):
    """What a SIP peer may say of a call beside its media; part of `[siprec]`."""

    info_presses: bool = True
    """Whether an INFO with `Record: on|off`, or with keys, inside a recording session presses."""
    info_keys: Literal["agent", "customer", "unknown"] = "unknown"
    """Whose the keys are that an INFO tells of, where neither it nor the leg says so."""
    inactive_pauses: bool = True
    """A gateway that makes every stream of a session inactive has paused it (RFC 7866 §7.1.1.1)."""
    consent_headers: Patterns = ()
    """Headers that say what the customer answered, in one of the words below."""
    consent_given: Patterns = ("yes", "given", "true", "1")
    consent_refused: Patterns = ("no", "refused", "false", "0")
    consent_withdrawn: Patterns = ("withdrawn", "revoked")
    tag_headers: Patterns = ()
    """Headers whose words are tags; with `=name`, whose value is the tag `name=value`."""

    @model_validator(mode="after")
    def _check_headers(self) -> Self:
        for name in self.consent_headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError('siprec.consent_headers: expected names of headers, such as "X-Consent"')
        for name in self.tag_headers:
            if not _TAG_HEADER.fullmatch(name):
                raise ValueError(
                    'siprec.tag_headers: expected "X-Tags" or, for tags with a value, "X-Campaign=campaign"'
                )
        return self

    @property
    def consent_words(self) -> dict[str, Consent]:
        """Words in lower case, and what they mean."""
        said = (
            (Consent.GIVEN, self.consent_given),
            (Consent.REFUSED, self.consent_refused),
            (Consent.WITHDRAWN, self.consent_withdrawn),
        )
        return {word.lower(): consent for consent, words in said for word in words}
