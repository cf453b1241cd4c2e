"""What events of FreeSWITCH say (developer.signalwire.com, "Event List"; names as in switch_event.c, mod_callcenter.c).

`CUSTOM greffier::…`, `CUSTOM callcenter::info`, `CHANNEL_ANSWER`, `CHANNEL_HANGUP`, and, since masking a recording is
no event itself, the `CHANNEL_EXECUTE` of `record_session_mask` and the `API` of `uuid_record … mask`.
"""

from collections.abc import Mapping

from agent.cti.keypad import Newest
from agent.cti.words import Words, word
from agent.model.cti import CallOf, ContextSaid, PressSaid, Said
from agent.model.gate import GateVerb

_ACTIONS = ("pause", "resume", "keep", "drop", "consent", "tag", "queue", "context")
_WHOSE = ("variable_dialed_user", "variable_user_name")
"""Who was called at this telephone, or has logged in from it."""
_CALLER_SAYS = ("caller-caller-id-number", "caller-destination-number")
_MASKS = {"mask": GateVerb.PAUSE, "unmask": GateVerb.RESUME}
_VARIABLE = "variable_"

Fields = Mapping[str, str]


class EslWords:
    """Understands the events of one connection. Fields have their names in small letters."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._prefix = f"{words.section.user_event.lower()}::"
        self._calls: Newest[CallOf] = Newest()
        """Of channels, by their Unique-ID: `uuid_record` names nothing else. A caller's is that of the agent who
        answered, as long as the agent is there."""

    @property
    def events(self) -> str:
        """Events that are needed, for the subscription. Whatever follows CUSTOM is a subclass."""
        obey, section = self._words.obey, self._words.section
        names = ["CHANNEL_EXECUTE", "API"] if "mute" in obey else []
        names += ["CHANNEL_ANSWER"] if "mute" in obey or self._words.wants_variables else []
        names += ["CHANNEL_HANGUP"] if "mute" in obey else []
        custom = [f"{self._prefix}{action}" for action in _ACTIONS] if "press" in obey else []
        custom += [name for name in section.presses if "press" in obey and name.isprintable() and " " not in name]
        custom += ["callcenter::info"] if "queue" in obey else []
        return " ".join([*names, "CUSTOM", *custom] if custom else names or ["HEARTBEAT"])

    def of(self, event: Fields) -> list[Said]:
        """What an event says."""
        name = event.get("event-name", "")
        if name == "CUSTOM":
            return self._custom(event.get("event-subclass", ""), event)
        if name == "CHANNEL_ANSWER":
            return self._answered(event)
        if "mute" not in self._words.obey:
            return []
        if name == "CHANNEL_HANGUP":
            self._ended(event)
        if name == "CHANNEL_EXECUTE":
            application = event.get("application", "")
            verb = _MASKS.get(application.removeprefix("record_session_"))
            return self._masked(self._call(event), verb) if application.startswith("record_session_") else []
        if name == "API" and event.get("api-command") == "uuid_record":
            channel, _, rest = event.get("api-command-argument", "").partition(" ")
            return self._masked(self._calls.get(channel) or CallOf(), _MASKS.get(rest.partition(" ")[0]))
        return []

    def _custom(self, subclass: str, event: Fields) -> list[Said]:
        if subclass == "callcenter::info":
            return self._served(event)
        head = self._prefix.removesuffix("::") + "-"
        fields = {key.removeprefix(head): value for key, value in event.items() if key.startswith(head)}
        if subclass.lower().startswith(self._prefix):
            fields["action"] = subclass[len(self._prefix) :]
            return self._words.user_event(self._words.section.user_event, fields, self._call(event))
        return (
            self._words.user_event(subclass, fields, self._call(event))
            if subclass in self._words.section.presses
            else []
        )

    def _served(self, event: Fields) -> list[Said]:
        if "queue" not in self._words.obey or event.get("cc-action") != "bridge-agent-start":
            return []
        name = event.get("cc-agent", "").partition("@")[0]
        agent = self._words.our_agent([name, *_own(event)])  # the event is of the agent's channel
        queue = word(event.get("cc-queue", "").partition("@")[0])
        return [ContextSaid(CallOf(agent), queue)] if agent and queue else []

    def _answered(self, event: Fields) -> list[Said]:
        call = self._call(event)
        if (channel := _channel(event)) and call != CallOf():
            self._calls.put(channel, call)
        if call.extension and (caller := _caller(event)):
            self._calls.put(caller, call)
        if not self._words.wants_variables:
            return []
        pairs = ((k.removeprefix(_VARIABLE), v) for k, v in event.items() if k.startswith(_VARIABLE))
        return self._words.variables(pairs, call)

    def _ended(self, event: Fields) -> None:
        call = self._call(event)
        for channel in (_channel(event), _caller(event)):  # the caller may have another agent already, or nobody
            if self._calls.get(channel) == call:
                self._calls.drop(channel)

    def _masked(self, call: CallOf, verb: GateVerb | None) -> list[Said]:
        if verb is None or call == CallOf():
            return []
        return [PressSaid(call, verb, by_agent=False, reason="recording masked")]

    def _call(self, event: Fields) -> CallOf:
        known = self._calls.get(_channel(event)) or CallOf()
        reference = event.get("variable_sip_call_id", "") or known.reference
        claimed = [event.get(name, "") for name in _CALLER_SAYS]
        shown = [event.get("caller-callee-id-number", "")]
        return self._words.call_of([*_own(event), known.extension], reference, shown, claimed)


def _own(event: Fields) -> list[str]:
    """Whose telephone the channel is. The name of one that came in is what its caller's From says (sofia.c)."""
    own = [event.get(name, "") for name in _WHOSE]
    if event.get("call-direction") == "outbound":
        own.append(event.get("channel-name", "").rpartition("/")[2].partition("@")[0])
    return own


def _channel(event: Fields) -> str:
    return event.get("unique-id", "")[:64]


def _caller(event: Fields) -> str:
    """The channel that this one was opened for; "" when it is not one that FreeSWITCH opened."""
    return event.get("other-leg-unique-id", "")[:64] if event.get("other-type") == "originator" else ""
