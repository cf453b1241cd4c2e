"""Keys pressed in the media itself (RFC 4733), or told by SIP: what they press by feature code, which are just keys.

Pure but for what it remembers of each sender in its call; who obeys is the caller.
"""

from agent.config.presses import Keys
from agent.model.call import CLOCK_RATE, Call, Consent, Party, Role
from agent.model.context import ContextNote
from agent.model.gate import GateCommand, GateVerb
from agent.model.keys import KeyCode
from agent.model.media import KeyPress
from agent.policy.featurecodes import Reading, Typing, allowed, expire, read
from agent.recorder.live import LiveCall

BY_CODE, BY_INFO = "feature code (RFC 4733)", "feature code (SIP INFO)"


class Keypads:
    """Reads the keys of all calls by the codes of the site."""

    def __init__(self, keys: Keys) -> None:
        self._codes = keys.codes()
        self._gap_samples = int(keys.gap_s * CLOCK_RATE)
        self._choice_samples = keys.consent_within * CLOCK_RATE

    def read(self, live: LiveCall, key: KeyPress) -> tuple[tuple[KeyPress, ...], GateCommand | ContextNote | None]:
        """One more key: which ones are just keys now, and what is to be done."""
        if not self._codes:
            return (key,), None
        party = _sender(live.call, key.stream)
        reading = self._read(live.call, party, live.typed.get(key.stream), key)
        live.typed[key.stream] = reading.now
        return reading.free, _meant(live.call, reading.code, party, BY_CODE) if reading.code else None

    def told(self, live: LiveCall, participant_id: str, key: KeyPress) -> GateCommand | ContextNote | None:
        """One more key of a party, told by SIP: what is to be done. Whether it comes in the media as well is for the
        phone to know: the two are read apart, and those told are kept nowhere."""
        party = _present(live.call, participant_id)
        if not self._codes or party is None:
            return None
        reading = self._read(live.call, party, live.told.get(participant_id), key)
        live.told[participant_id] = reading.now
        return _meant(live.call, reading.code, party, BY_INFO) if reading.code else None

    def _read(self, call: Call, party: Party | None, before: Typing | None, key: KeyPress) -> Reading:
        may_choose = call.consent is Consent.UNKNOWN and key.position_samples <= self._choice_samples
        codes = allowed(self._codes, party.role if party else None, may_choose=may_choose)
        return read(codes, before or Typing(), key, self._gap_samples)

    def expire(self, live: LiveCall, now_samples: int) -> tuple[KeyPress, ...]:
        """Keys of which nothing came in time: they are just keys."""
        if not live.typed:
            return ()
        readings: dict[int, Reading] = {
            stream: expire(typing, now_samples, self._gap_samples) for stream, typing in live.typed.items()
        }
        live.typed = {stream: r.now for stream, r in readings.items() if r.now.last_samples is not None}
        return tuple(key for reading in readings.values() for key in reading.free)


def held_keys(live: LiveCall) -> tuple[KeyPress, ...]:
    """Keys that may begin a code yet; at the end of a call they are just keys."""
    return tuple(key for typing in live.typed.values() for key in typing.held)


def _sender(call: Call, stream: int) -> Party | None:
    """Whose stream it is; None: nobody can tell."""
    participant = next((s.participant_id for s in call.streams if s.stream == stream), None)
    return _present(call, participant)


def _present(call: Call, participant_id: str | None) -> Party | None:
    return next((p for p in call.parties if p.participant_id == participant_id and p.left_ns is None), None)


def _meant(call: Call, code: KeyCode, party: Party | None, way: str) -> GateCommand | ContextNote:
    """A customer's number is nobody's business: the gateway says what the customer pressed."""
    is_agent = party is not None and party.role is Role.AGENT and party.number
    actor = f"agent:{party.number}" if party is not None and is_agent else f"gateway:{call.gateway}"
    if isinstance(code.does, GateVerb):
        return GateCommand(call.call_id, code.does, actor, way)
    return ContextNote(call.call_id, actor, "dtmf", consent=code.does)
