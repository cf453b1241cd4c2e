"""What events of the Asterisk Manager Interface say (docs.asterisk.org, "AMI Events").

`UserEvent`, `MixMonitorMute`, `AgentConnect`, `QueueCallerJoin`, `VarSet`, `DTMFEnd`, and `ChanVariable` lines in any
of them. `AgentCalled` says nothing to us: whoever rings may never have the call.
"""

from agent.cti.inbox import Headers
from agent.cti.keypad import Keypads, Mutes
from agent.cti.words import Words, channel_user, word
from agent.model.cti import CallOf, ContextSaid, PressSaid, Said
from agent.model.gate import GateVerb

_CALL_IDS = ("sipcallid", "channel(pjsip,call-id)")


class AmiWords:
    """Understands the events of one connection."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._mutes = Mutes()
        self._keypads = Keypads(words.section.feature_codes)
        self._known = {
            "userevent": self._user,
            "mixmonitormute": self._mute,
            "agentconnect": self._connected,
            "queuecallerjoin": self._joined,
            "varset": self._set,
        }

    @property
    def classes(self) -> str:
        """Classes of events that are needed, for the log-in."""
        obey = self._words.obey
        needed = [("press", "user"), ("mute", "call"), ("queue", "agent")]
        classes = [name for topic, name in needed if topic in obey]
        classes += ["dialplan"] if self._words.wants_variables else []
        classes += ["dtmf"] if self._words.section.feature_codes else []
        return ",".join(classes) or "off"

    def of(self, event: Headers, now_s: float) -> list[Said]:
        """What an event says."""
        name = event.get("Event").lower()
        if name == "dtmfend":
            return self._key(event, now_s)
        if (understand := self._known.get(name)) is None:
            return []
        said = understand(event)
        if name != "varset" and self._words.wants_variables:
            said += self._words.variables(_variables(event, "ChanVariable"), self._call(event))
        return said

    def _call(self, event: Headers) -> CallOf:
        names = ("Channel", "DestChannel", "Interface")
        numbers = ("CallerIDNum", "ConnectedLineNum", "DestCallerIDNum")
        pairs = _variables(event, "ChanVariable") + _variables(event, "DestChanVariable")
        reference = next((value for name, value in pairs if name.lower() in _CALL_IDS), "")
        own = [channel_user(event.get(name)) for name in names]
        return self._words.call_of(own, reference, [event.get(name) for name in numbers])

    def _user(self, event: Headers) -> list[Said]:
        fields = event.as_dict() | {"tag": " ".join(event.all("Tag")), "untag": " ".join(event.all("Untag"))}
        return self._words.user_event(event.get("UserEvent"), fields, self._call(event))

    def _mute(self, event: Headers) -> list[Said]:
        call = self._call(event)
        if "mute" not in self._words.obey or call == CallOf():
            return []
        muted = self._mutes.told(event.get("Channel"), event.get("Direction"), event.get("State") == "1")
        return [PressSaid(call, GateVerb.PAUSE if muted else GateVerb.RESUME, by_agent=False, reason="MixMonitorMute")]

    def _connected(self, event: Headers) -> list[Said]:
        who = [channel_user(event.get(name)) for name in ("Interface", "DestChannel")] + [event.get("MemberName")]
        agent = self._words.our_agent(who)
        queue = word(event.get("Queue"))
        return [ContextSaid(CallOf(agent), queue)] if agent and queue and "queue" in self._words.obey else []

    def _joined(self, event: Headers) -> list[Said]:
        call, queue = self._call(event), word(event.get("Queue"))
        return [ContextSaid(call, queue)] if call.reference and queue and "queue" in self._words.obey else []

    def _set(self, event: Headers) -> list[Said]:
        return self._words.variables([(event.get("Variable"), event.get("Value"))], self._call(event))

    def _key(self, event: Headers, now_s: float) -> list[Said]:
        agent = self._words.our_agent([channel_user(event.get("Channel"))])  # the agent's own telephone, nobody else's
        if not agent or event.get("Direction").lower() != "received":
            return []
        verb = self._keypads.press(event.get("Channel"), event.get("Digit"), now_s)
        return [PressSaid(CallOf(agent), verb, by_agent=True, reason="feature code")] if verb else []


def _variables(event: Headers, header: str) -> list[tuple[str, str]]:
    pairs = (line.partition("=") for line in event.all(header))
    return [(name.strip(), value) for name, _, value in pairs]
