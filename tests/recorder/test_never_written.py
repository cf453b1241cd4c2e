"""I1 over the whole house: whatever is pressed, agreed to, withdrawn, restarted, in any order and under any wall clock,
what was said while nothing could be recorded is in no byte that exists afterwards.

Every 20 ms of every party is random sound of its own: a watermark. A model that knows only what was asked and answered
says which of them may be nowhere, or nowhere in what a purpose has; then log, artifacts and every file are searched.
Somebody listens live all the while: what he hears and still remembers is searched after every step.
"""

import io
import random
import tempfile
import threading
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from listener import Listener
from packets import Packet, block_of, rtp

from agent.capture import keys
from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, open_record, scan
from agent.capture.writer import LogWriter
from agent.config import load
from agent.media.endpoint import key
from agent.media.g711 import decode
from agent.model.call import Call, Codec, Consent, MediaStream
from agent.model.context import ContextNote
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateAnswer, GateCommand, GateState, GateVerb
from agent.model.live import Sound
from agent.policy.decide import Policy
from agent.policy.share import Strata
from agent.recorder.calls import Calls
from agent.scribe.keyring import Keyring
from agent.scribe.loop import Scribe
from agent.vault.age import Identity, decrypt, new_identity
from agent.vault.secretfile import create_secret
from agent.vault.signing import SiteKey

MS, FRAME = 1_000_000, 160
CALL = "0123456789abcdef" * 2
ENDS = (("10.0.0.1", 6000), ("10.0.0.5", 4000))
FOREVER = 1 << 60
HOLDBACK_S, WAIT_S = 1, 4
READERS = ("evidence", "training", "asked")
EARS = "ears"
CONFIG = f"""
[site]
name = "proof"
state_dir = "state"
run_dir = "run"
keys_dir = "keys"

[scribe]
engine = "none"
deferred_limit_s = 0

[capture]
holdback_s = {HOLDBACK_S}

[pause]
consent_wait_s = {WAIT_S}

[purpose.evidence]
basis = "contract"
trigger = "on_demand"
artifacts = ["audio"]
audio_format = "wav"
recipients_file = "evidence.txt"

[purpose.training]
basis = "legitimate interest"
trigger = "all"
artifacts = ["audio"]
audio_format = "wav"
recipients_file = "training.txt"

[purpose.asked]
basis = "consent"
consent = true
trigger = "all"
artifacts = ["audio"]
audio_format = "wav"
recipients_file = "asked.txt"

[purpose.ears]
basis = "legitimate interest"
trigger = "all"
live = true
"""

TALK = st.integers(3, 110)
Interval = tuple[int, int]


@dataclass
class Door:
    """What a purpose may have, as somebody believes who only knows what was asked: it is shut for a reason, or open."""

    causes: set[str] = field(default_factory=set)
    waits: bool = False
    dropped: bool = False
    excluded: bool = False
    opened: int = 0
    paused: list[Interval] = field(default_factory=list)
    unasked: list[Interval] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return not (self.causes or self.waits or self.dropped or self.excluded)

    def shut(self, at: int, back: int) -> None:
        if not self.paused or self.paused[-1][1] != FOREVER:
            self.paused.append((max(at - back, self.opened), FOREVER))
        elif back:
            start = max(at - back, self.opened)
            self.paused[-1] = (min(self.paused[-1][0], start), FOREVER)

    def reopen(self, at: int) -> None:
        if self.paused and self.paused[-1][1] == FOREVER and not (self.causes or self.dropped or self.excluded):
            self.paused[-1] = (self.paused[-1][0], at)
            self.opened = at

    def hides(self, start: int, end: int) -> bool:
        """Whether all of [start, end) was said while it was shut."""
        return any(a <= start and end <= b for a, b in [*self.paused, *self.unasked])


class House(RuleBasedStateMachine):
    """One call in a whole house but for its sockets."""

    @initialize(seed=st.integers(0, 2**32), consent=st.sampled_from([Consent.UNKNOWN, Consent.GIVEN]))
    def begin(self, seed: int, consent: Consent) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.readers: dict[str, Identity] = {name: new_identity() for name in READERS}
        for name, reader in self.readers.items():
            (self.root / f"{name}.txt").write_text(reader.recipient + "\n")
        (self.root / "greffier.toml").write_text(CONFIG)
        self.settings = load(self.root / "greffier.toml")
        (self.root / "keys").mkdir()
        SiteKey.create(self.root / "keys" / "site.pem")
        create_secret(self.root / "keys" / "numbers.key")
        for path in (self.settings.capture_dir, self.settings.callkeys_dir, self.settings.identities_dir):
            path.mkdir(parents=True)
        working = new_identity()
        secret = self.settings.identities_dir / "1.age-identity"
        secret.write_text(working.secret + "\n")
        secret.chmod(0o600)
        self.settings.recipient_file.parent.mkdir()
        self.settings.recipient_file.write_text(working.recipient + "\n")
        self.recipient = working.recipient
        self.dice = np.random.default_rng(seed)
        self.chance = random.Random(seed)
        self.policy = Policy(self.settings.purposes(), b"k" * 16)
        self.strata = Strata("proof")
        self.frames: dict[tuple[int, int], bytes] = {}
        self.doors = {name: Door() for name in (*READERS, EARS)}
        self.listener, self.slow = Listener(), False
        self.doors["asked"].waits = consent is Consent.UNKNOWN
        if consent is Consent.UNKNOWN:
            self.doors["asked"].unasked.append((0, FOREVER))
        self.ms, self.wall_ns, self.epoch, self.cares, self.restarts = 0, 1_700_000_000 * 10**9, 0, 0, 0
        self.kept = False
        streams = tuple(
            MediaStream(n, f"p{n}", n, f"p{n}", Codec.PCMA, 8, to[1], True, to[0]) for n, to in enumerate(ENDS)
        )
        self.call = Call(CALL, "ref", "span", "gw", self.wall_ns, streams=streams, consent=consent)
        self.calls = self._new_calls()
        decisions = self.policy.decide(self.call, self.wall_ns, self.strata)
        self.live = self.calls.started(CallStarted(self.call), decisions, 0)
        self.calls.use_key(keys.create(self.settings.callkeys_dir, CALL, 0, self.recipient))
        self.listener.connect(self.calls.live_sound)

    @property
    def now(self) -> int:
        return self.ms * 8

    def talk(self, ticks: int) -> None:
        """Both parties talk, 20 ms a tick."""
        for _ in range(ticks):
            packets = []
            for stream, to in enumerate(ENDS):
                payload = self.dice.integers(0, 256, FRAME, dtype=np.uint8).tobytes()
                self.frames[stream, self.now] = payload
                data = rtp(self.now // FRAME, self.now, payload, ssrc=stream + 1)
                packets.append(Packet(data, key(*to), self.ms + 20))
            self.ms += 20
            self.calls.process(block_of(packets))
            self.calls.flush(self.ms * MS)
            while self.cares * 62.5 <= self.ms:
                self.cares += 1
                self.calls.care(self.ms * MS, self.wall_ns)
            if not self.slow:
                self.listens()

    def listens(self) -> None:
        """The listener reads what has come: nothing while the ears are shut, but what was sent before (`late`)."""
        door, opened = self.doors[EARS], self.doors[EARS].opened
        for message in self.listener.read():
            if isinstance(message, Sound):
                assert door.is_open, "sound after the press"
                assert message.position >= opened, "sound of before the end of the pause"

    def has_forgotten(self, answer: GateAnswer | None = None, back: int = 0) -> None:
        """Right after a step that may have shut the ears: what nobody may have is not in the listener's memory, nor
        what a press for all took away: from its `answer` on, or `back` samples where all had been paused one by one."""
        self.listener.read()
        names = (*READERS, EARS)
        gone = {key for key in self.frames if self._hidden(names, key[1])}
        assert not any((stream, at) in self.listener.heard for stream, at in gone), "remembered by who listens"
        if not self.doors[EARS].is_open and answer is not None:
            since = max(answer.since_samples, self.now - back)
            assert all(at < since for _, at in self.listener.heard), "further back than it is written"

    @rule(ticks=TALK, hours=st.floats(-2, 2))
    def clock_jumps(self, ticks: int, hours: float) -> None:
        self.talk(ticks)
        self.wall_ns += int(hours * 3600 * 10**9)

    @rule(
        ticks=TALK,
        verb=st.sampled_from([GateVerb.PAUSE, GateVerb.PAUSE, GateVerb.RESUME, GateVerb.KEEP]),
        purpose=st.none() | st.sampled_from((*READERS, EARS)),
        cause=st.sampled_from(["agent", "context:payment", "siprec"]),
    )
    def press(self, ticks: int, verb: GateVerb, purpose: str | None, cause: str) -> None:
        self.talk(ticks)
        back = 0 if cause == "siprec" else HOLDBACK_S * 8000
        command = GateCommand(CALL, verb, "agent:1", "", purpose, cause, reaches_back=bool(back))
        answer = self.calls.command(command, self.ms * MS, self.wall_ns)
        for name in (purpose,) if purpose else (*READERS, EARS):
            door = self.doors[name]
            if verb is GateVerb.PAUSE:
                door.causes.add(cause)
                door.shut(self.now, back if name != EARS else 0)
                assert answer.states[name].is_paused or answer.states[name] in (GateState.IDLE, GateState.DROPPED)
            elif verb is GateVerb.RESUME:
                door.causes.discard(cause)
                door.reopen(self.now)
        self.has_forgotten(answer if verb is GateVerb.PAUSE and purpose is None else None, back)
        self.kept |= verb is GateVerb.KEEP and purpose in (None, "evidence")

    @rule(slow=st.booleans())
    def listener_slows_down(self, slow: bool) -> None:
        """It reads only now and then, or goes on reading at once."""
        self.listens()
        self.slow = slow

    @rule(ticks=TALK, consent=st.sampled_from([Consent.GIVEN, Consent.GIVEN, Consent.REFUSED, Consent.WITHDRAWN]))
    def customer_says(self, ticks: int, consent: Consent) -> None:
        self.talk(ticks)
        before = {name: door.is_open for name, door in self.doors.items()}
        self.calls.said(ContextNote(CALL, "agent:1", "api", consent=consent), self.ms * MS, self.wall_ns)
        for name in ("training", "asked", EARS):
            door = self.doors[name]
            if consent is Consent.GIVEN:
                if door.waits:
                    door.unasked = [(0, max(0, self.now - WAIT_S * 8000))]
                door.waits = door.excluded = False
                door.reopen(self.now)
                continue
            back = HOLDBACK_S * 8000 if before[name] and name != EARS else 0
            if door.waits:
                door.unasked = [(0, self.now)]
            door.waits, door.excluded = False, True
            door.dropped |= consent is Consent.WITHDRAWN
            door.shut(self.now, back)
        self.has_forgotten()
        assert consent is not Consent.WITHDRAWN or not self.listener.heard, "all of it is forgotten"

    @rule(ticks=TALK)
    def killed_and_restarted(self, ticks: int) -> None:
        """What was in RAM is gone; what the log remembers of the gate is what the next process has."""
        self.talk(ticks)
        snapshot, decisions, call = self.live.gate.snapshot(), self.live.decisions, self.live.call
        self.writer.close()
        self.restarts += 1
        self.epoch += 1
        self.calls = self._new_calls()
        durable = keys.create(self.settings.callkeys_dir, CALL, self.epoch, self.recipient)
        self.calls.restored(call, 0, snapshot, decisions, durable, self.ms * MS)
        self.live = self.calls.all()[0]
        self.listener.connect(self.calls.live_sound)

    def _new_calls(self) -> Calls:
        self.writer = LogWriter(self.settings.capture_dir, 1 << 26, lambda: self.wall_ns)
        return Calls(
            self.settings,
            self.policy.purposes,
            self.writer,
            4,
            decide_again=lambda call, before, at_ns: self.policy.decide(call, at_ns, self.strata, before),
        )

    def teardown(self) -> None:
        if not hasattr(self, "live"):
            return
        try:
            self._end()
        finally:
            self.folder.cleanup()

    def _end(self) -> None:
        self.talk(30)
        self.listens()
        if not self.restarts:
            far = {key for key in self.frames if self._far_from_pauses(key[1])}
            assert all(key in self.listener.heard for key in far), "what was said in the open was heard"
        self.calls.ended(CallEnded(CALL, self.wall_ns, "bye"), self.ms * MS)
        self.writer.close()
        log = self._log()
        nowhere = [payload for (_, at), payload in self.frames.items() if self._hidden(READERS, at)]
        assert not any(piece in log for payload in nowhere for piece in pieces(payload)), "in the capture log"
        if not self.restarts:
            opened = [p for (_, at), p in self.frames.items() if any(self._open(name, at) for name in READERS)]
            assert all(payload in log for payload in opened), "and what was said in the open is there"
        scribe = Scribe(self.settings, threading.Event())
        while scribe.step():
            pass
        everything = [path for path in self.root.rglob("*") if path.is_file()]
        for path in everything:
            raw = path.read_bytes()
            assert not any(payload[40:80] in raw for payload in list(self.frames.values())[::9]), path.name
        for name in READERS:
            box = self.settings.outbox_dir / name
            plain = {p.name: decrypt(p.read_bytes(), self.readers[name].secret) for p in box.glob("*.age")}
            heard = b"".join(party for p, audio in plain.items() if ".wav." in p for party in parties_of(audio))
            hidden = [payload for (_, at), payload in self.frames.items() if self._hidden((name,), at)]
            opened = [payload for (_, at), payload in self.frames.items() if self._open(name, at)]
            if opened and name == "training" and not self.restarts and not self.doors[name].dropped:
                assert all(decoded(payload) in heard for payload in opened[::5])
            if self.doors[name].dropped or (name == "evidence" and not self.kept):
                hidden = list(self.frames.values())
            for payload in hidden:
                assert decoded(payload)[80:160] not in heard, f"in what {name} has"

    def _hidden(self, names: tuple[str, ...], at: int) -> bool:
        return all(self.doors[name].hides(at, at + FRAME) for name in names)

    def _open(self, name: str, at: int) -> bool:
        door = self.doors[name]
        return not any(a < at + FRAME and at < b for a, b in [*door.paused, *door.unasked])

    def _far_from_pauses(self, at: int) -> bool:
        """Said so long before any pause, and so long ago, that it was heard and stays remembered."""
        door, reach = self.doors[EARS], HOLDBACK_S * 8000 + 4000
        shut = any(a - reach < at + FRAME and at < b for a, b in door.paused)
        return not (shut or door.dropped) and at < self.now - 4000

    def _log(self) -> bytes:
        held = Keyring(self.settings.identities_dir, self.settings.callkeys_dir)
        media = []
        for _, record in scan(self.settings.capture_dir, Cursor(0, 0)):
            if record.header.kind is RecordKind.MEDIA:
                call_key = held.key(CALL, record.header.epoch)
                assert call_key is not None
                media.append((record.header.stream, record.header.position_samples, open_record(record, call_key)))
        return b"".join(plain for _, _, plain in sorted(media))


def pieces(payload: bytes) -> list[bytes]:
    """Its quarters: a part of 20 ms would be too much as well."""
    size = len(payload) // 4
    return [payload[n : n + size] for n in range(0, len(payload), size)]


def parties_of(audio: bytes) -> list[bytes]:
    """The samples of each channel of a WAV file."""
    with wave.open(io.BytesIO(audio)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return [np.ascontiguousarray(samples[:, n]).tobytes() for n in range(samples.shape[1])]


def decoded(payload: bytes) -> bytes:
    """As it lies in a WAV file, of one party."""
    return decode(np.frombuffer(payload, np.uint8), Codec.PCMA).astype("<i2").tobytes()


def test_what_was_said_in_a_pause_is_nowhere() -> None:
    run_state_machine_as_test(
        House, settings=hypothesis_settings(max_examples=15, stateful_step_count=12, deadline=None)
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_said_in_a_pause_is_nowhere_in_many_more_orders() -> None:
    run_state_machine_as_test(
        House, settings=hypothesis_settings(max_examples=40, stateful_step_count=20, deadline=None)
    )
