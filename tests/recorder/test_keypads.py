"""Feature codes pressed in the media: obeyed for whose they are, never kept; all other keys are kept as before."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packets import Packet, block_of, rtp

from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.config.presses import Keys
from agent.media.endpoint import key
from agent.model.call import Call, Codec, Consent, MediaFormat, MediaStream, Party, Role
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateState
from agent.model.keys import KEY_NAMES
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger
from agent.policy.decide import Policy
from agent.policy.share import Strata
from agent.recorder.calls import Calls
from agent.recorder.live import CallSink, LiveCall, as_before

MS, EVENT = 1_000_000, 101
AGENT, CUSTOMER = ("10.0.0.5", 4000), ("10.0.0.1", 6000)
PURPOSES = (
    Purpose("evidence", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None, keys=True),
    Purpose("contract", Trigger.ON_DEMAND, (ArtifactKind.AUDIO,), ("age1x",), None, keys=True),
)
DECISIONS = (Decision("evidence", True, Trigger.ALL, "all"), Decision("contract", True, Trigger.ON_DEMAND, "ask"))
KEYPAD = Keys(pause="*71", resume="*72", keep="*73", consent_given="1", consent_withdrawn="99")


class Keyboard:
    """A call of agent 201 with a customer, both with phones that send RFC 4733, by a clock of its own."""

    def __init__(
        self, folder: Path, keys: Keys, written: list[str], *, heard: bool = True, policy: Policy | None = None
    ) -> None:
        self.writer = LogWriter(folder, 1 << 20, time.time_ns)
        strata, purposes = Strata("keyboard"), policy.purposes if policy else PURPOSES
        again = (lambda call, before, at: policy.decide(call, at, strata, before)) if policy else as_before
        self.calls = Calls(Settings(keys=keys), purposes, self.writer, 16, decide_again=again)
        self.at_ms = 20
        formats = (MediaFormat(8, Codec.PCMA), MediaFormat(EVENT, Codec.TELEPHONE_EVENT))
        streams = tuple(
            MediaStream(n, who, n, who, Codec.PCMA, 8, port, True, host, formats=formats)
            for n, (who, (host, port)) in enumerate((("A", AGENT), ("C", CUSTOMER)))
        )
        parties = (Party("A", "201", role=Role.AGENT), Party("C", "+33612345678", role=Role.CUSTOMER))
        call = Call("a" * 32, "ref", "span", "gw", 0, parties=parties, streams=streams)
        decisions = policy.decide(call, 0, strata) if policy else DECISIONS
        self.live: LiveCall = self.calls.started(CallStarted(call), decisions, 0)
        self.written = written
        self._sequence = 0
        if heard:
            self.speak()

    def speak(self) -> None:
        """Both say something."""
        self._say(AGENT, 8, bytes(160))
        self._say(CUSTOMER, 8, bytes(160))

    def _say(self, to: tuple[str, int], payload_type: int, payload: bytes) -> None:
        self._sequence += 1
        packet = Packet(rtp(self._sequence, self.at_ms * 8, payload, pt=payload_type), at_ms=self.at_ms)
        self.calls.process(block_of([replace(packet, port=key(*to))]))

    def type(self, keys: str, who: tuple[str, int] = AGENT, every_ms: int = 200) -> None:
        """Press keys, one after the other; each is told of thrice."""
        for name in keys:
            for duration in (160, 320, 320):
                self._say(who, EVENT, bytes([KEY_NAMES.index(name), 10]) + duration.to_bytes(2, "big"))
            self.calls.flush(self.at_ms * MS)
            self.at_ms += every_ms

    def wait(self, ms: int) -> None:
        """Let time pass, with everything that is done meanwhile."""
        self.at_ms += ms
        self.calls.care(self.at_ms * MS, self.at_ms * MS, all_calls=True)

    def end(self) -> str:
        """The keys that were written, once the call is over."""
        self.calls.ended(CallEnded("a" * 32, self.at_ms * MS, "bye"), self.at_ms * MS)
        return "".join(self.written)

    @property
    def states(self) -> tuple[GateState, GateState]:
        """Of evidence and contract."""
        return self.live.gate.states["evidence"], self.live.gate.states["contract"]


@pytest.fixture
def keyboard(tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Keyboard]]:
    made: list[Keyboard] = []
    written: list[str] = []
    monkeypatch.setattr(CallSink, "key", lambda self, press: written.append(KEY_NAMES[press.event]))

    def make(keys: Keys = KEYPAD, **how: Any) -> Keyboard:
        made.append(Keyboard(tmp_path, keys, written, **how))
        return made[-1]

    yield make
    for one in made:
        one.writer.close()


def test_the_agents_code_pauses_and_its_keys_are_nowhere(keyboard) -> None:
    board = keyboard()
    board.type("5")
    board.wait(4000)
    board.type("*71")
    assert board.states == (GateState.PAUSED, GateState.ARMED_PAUSED)
    (cause,) = board.live.gate.causes["evidence"]
    assert (cause.name, cause.actor) == ("agent", "agent:201")
    board.type("42")
    board.wait(5000)
    board.type("*72")
    assert board.states == (GateState.RECORDING, GateState.ARMED)
    board.wait(5000)
    board.type("6*73")
    assert board.states == (GateState.RECORDING, GateState.RECORDING)
    board.wait(5000)
    board.type("*7")
    board.wait(10000)
    assert board.end() == "56*7", "keys of codes and of the pause are not kept, all others are"


def test_a_code_pressed_before_anybody_was_heard_pauses_as_well(keyboard) -> None:
    board = keyboard(heard=False)
    board.type("1", CUSTOMER)
    board.type("5*71")
    assert board.states == (GateState.PAUSED, GateState.ARMED_PAUSED)
    assert board.live.call.consent is Consent.GIVEN
    board.speak()
    board.wait(5000)
    assert board.end() == "", "what was pressed in the holdback before it is of the pause"


def test_what_may_begin_a_code_is_kept_when_the_call_ends(keyboard) -> None:
    board = keyboard()
    board.type("8*7")
    assert board.end() == "8*7"


def test_a_customer_cannot_pause_and_the_agent_cannot_consent(keyboard) -> None:
    board = keyboard()
    board.type("*71", CUSTOMER)
    board.type("1", AGENT)
    assert board.states == (GateState.RECORDING, GateState.ARMED)
    assert board.live.call.consent is Consent.UNKNOWN
    assert board.end() == "*711", "to the customer these are just keys"


def test_keys_of_two_make_no_code(keyboard) -> None:
    board = keyboard()
    board.type("*7", AGENT)
    board.type("1", CUSTOMER)
    board.type("2", CUSTOMER)
    assert board.states == (GateState.RECORDING, GateState.ARMED)


ASKED = Purpose("asked", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None, keys=True, consent=True)


def test_codes_and_choices_count_and_keys_are_remembered_while_the_call_waits_for_consent(keyboard) -> None:
    board = keyboard(policy=Policy((ASKED,), b"k" * 16))
    gate = board.live.gate
    assert gate.states == {"asked": GateState.WAITING}
    board.type("34", CUSTOMER)
    board.wait(5000)
    board.type("*71")
    assert gate.states == {"asked": GateState.WAITING_PAUSED}, "a pause is remembered"
    board.type("5", CUSTOMER)
    board.wait(5000)
    board.type("1", CUSTOMER)
    assert gate.states == {"asked": GateState.PAUSED} and board.live.call.consent is Consent.GIVEN
    board.wait(5000)
    board.type("*72")
    assert gate.states == {"asked": GateState.RECORDING}
    board.wait(5000)
    board.type("6", CUSTOMER)
    assert board.end() == "346", "those of before it was agreed to as well, those of the pause not"


def test_where_anybody_may_the_customer_pauses_in_the_gateways_name(keyboard) -> None:
    board = keyboard(Keys(pause="*71", codes_from="any"))
    board.type("*71", CUSTOMER)
    assert {c.actor for c in board.live.gate.causes["evidence"]} == {"gateway:gw"}


def test_the_customers_choice_is_the_first_one_in_time(keyboard) -> None:
    board = keyboard()
    board.type("1", CUSTOMER)
    assert board.live.call.consent is Consent.GIVEN
    board.wait(9000)
    board.type("99", CUSTOMER)
    assert board.live.call.consent is Consent.WITHDRAWN
    assert set(board.states) == {GateState.DROPPED}


def test_a_choice_after_its_time_is_just_a_key(keyboard) -> None:
    board = keyboard()
    board.wait(61_000)
    board.type("1", CUSTOMER)
    assert board.live.call.consent is Consent.UNKNOWN
    assert board.end() == "1"


def test_keys_too_far_apart_are_no_code(keyboard) -> None:
    board = keyboard()
    board.type("*71", every_ms=3500)
    assert board.states == (GateState.RECORDING, GateState.ARMED)
    assert board.end() == "*71"


def test_without_codes_every_key_is_kept(keyboard) -> None:
    board = keyboard(Keys())
    board.type("*71")
    assert board.states == (GateState.RECORDING, GateState.ARMED) and board.live.typed == {}
    assert board.end() == "*71"
