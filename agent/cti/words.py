"""How the words of a telephone system are understood: whose extension, which verb, which tags (`[cti.NAME]`)."""

import fnmatch
import re
from collections.abc import Iterable, Mapping

from agent.config.cti import Cti
from agent.model.call import Consent
from agent.model.cti import CallOf, ContextSaid, PressSaid, Said, Unclear
from agent.model.gate import GateVerb

MAX_REASON, MAX_WORD, MAX_REFERENCE, MAX_TAGS = 200, 64, 256, 20
_CHANNEL = re.compile(r"[A-Za-z0-9]+/([^@/;]{1,64}?)(?:-[0-9a-f]{8,16})?(?:[@/;].*)?", re.DOTALL)
_ABOUT = {"context", "tag", "consent", "queue"}


class Words:
    """The vocabulary of one connection."""

    def __init__(self, section: Cti) -> None:
        self.section = section
        self.obey = frozenset(section.obey)
        self._tags = {name.lower(): tag for name, tag in section.tags.items()}
        self._presses = {name.lower(): verb for name, verb in section.presses.items()}

    @property
    def wants_variables(self) -> bool:
        """Whether any channel variable says something."""
        return bool(self._tags or self.section.queue_variable or self.section.consent_variable)

    def our_agent(self, candidates: Iterable[str]) -> str:
        """The first candidate that is an extension of this connection's agents; "" when none is."""
        return next((c for c in candidates if c and self.is_agent(c)), "")

    def call_of(self, own: Iterable[str], reference: str, shown: Iterable[str], claimed: Iterable[str] = ()) -> CallOf:
        """Which call is meant: that of the agent whose telephone it is (`own`); else the one of this name, if it has
        one; only else that of the one agent among the numbers `shown`.

        A caller may choose the number that is shown, so that two agents are none, and where it is known to be the
        caller's word (`claimed`) it never decides.
        """
        if agent := self.our_agent(own):
            return CallOf(agent)
        if name := clean(reference, MAX_REFERENCE):
            return CallOf(reference=name)
        honest, said = set(shown), set(claimed)
        agents = {number for number in honest | said if number and self.is_agent(number)}
        return CallOf(agents.pop()) if len(agents) == 1 and agents <= honest else CallOf()

    def is_agent(self, extension: str) -> bool:
        """Whether this connection may speak for an extension."""
        return any(fnmatch.fnmatchcase(extension, pattern) for pattern in self.section.agents)

    def user_event(self, name: str, fields: Mapping[str, str], call: CallOf) -> list[Said]:
        """What a user event says; nothing when it is somebody else's.

        `fields` in small letters: action, extension, call, by, purpose, reason, queue, tag, untag, consent. `call` is
        meant where neither extension nor call is said.
        """
        if "press" not in self.obey:
            return []
        if verb := self._presses.get(name.lower()):
            return [self._press(verb, fields, call)]
        if name.lower() != self.section.user_event.lower():
            return []
        action = fields.get("action", "").strip().lower()
        try:
            return [self._press(GateVerb(action), fields, call)]
        except ValueError:
            pass
        return self._about(action, fields, call)

    def _about(self, action: str, fields: Mapping[str, str], call: CallOf) -> list[Said]:
        if action not in _ABOUT:
            return [Unclear("an action that is none of pause, resume, keep, drop, consent, tag, queue, context")]
        consent = consent_of(fields.get("consent", ""))
        if consent is None and (action == "consent" or fields.get("consent")):
            return [Unclear("a consent that is none of given, refused, withdrawn")]
        said = ContextSaid(
            self._meant(fields, call),
            word(fields.get("queue", "")) or None,
            listed(fields.get("tag", "")),
            listed(fields.get("untag", "")),
            consent,
        )
        return [said] if said != ContextSaid(said.call) else [Unclear("a context that says nothing")]

    def variables(self, pairs: Iterable[tuple[str, str]], call: CallOf) -> list[Said]:
        """What channel variables say of a call; names without regard to case."""
        known = {name.lower(): value for name, value in pairs if name}
        tags = tuple(
            f"{tag}={word(value)}"[:MAX_WORD]
            for name, tag in self._tags.items()
            if (value := known.get(name, "")) and word(value)
        )
        queue = known.get((self.section.queue_variable or "").lower(), "")
        consent = consent_of(known.get((self.section.consent_variable or "").lower(), ""))
        said = ContextSaid(call, word(queue) or None, tags, (), consent)
        return [said] if call != CallOf() and said != ContextSaid(call) else []

    def _press(self, verb: GateVerb, fields: Mapping[str, str], call: CallOf) -> PressSaid:
        by = fields.get("by", "").strip().lower() or ("agent" if fields.get("extension") else "pbx")
        meant = self._meant(fields, call)
        return PressSaid(
            meant,
            verb,
            by == "agent" and bool(meant.extension),
            word(fields.get("purpose", "")) or None,
            clean(fields.get("reason", ""), MAX_REASON),
        )

    def _meant(self, fields: Mapping[str, str], call: CallOf) -> CallOf:
        said = CallOf(clean(fields.get("extension", ""), MAX_WORD), clean(fields.get("call", ""), MAX_REFERENCE))
        return said if said != CallOf() else call


def channel_user(channel: str) -> str:
    """The extension in an Asterisk channel's name: `PJSIP/201-0000001a`, `Local/201@queue-0000001a;1`; "" if none."""
    match = _CHANNEL.fullmatch(channel[:256])
    return match[1] if match else ""


def consent_of(value: str) -> Consent | None:
    """Consent by its name; None when it is none."""
    try:
        consent = Consent(value.strip().lower())
    except ValueError:
        return None
    return None if consent is Consent.UNKNOWN else consent


def clean(text: str, limit: int) -> str:
    """Text without control characters, cut to `limit`."""
    return "".join(c if c.isprintable() else " " for c in text[:limit]).strip()


def word(text: str) -> str:
    """A queue's name or a tag: no spaces in it, cut to `MAX_WORD`."""
    return "_".join(clean(text, MAX_WORD).split())


def listed(text: str) -> tuple[str, ...]:
    """Tags separated by `;` or spaces (commas end an argument of the dialplan)."""
    return tuple(w for w in (word(part) for part in re.split(r"[;,\s]+", text[:2000])) if w)[:MAX_TAGS]
