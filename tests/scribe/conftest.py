"""What the scribe's tests share: a small full disk, speech, and a site whose capture log a test can fill."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest

from agent.capture import keys
from agent.capture.format import RecordKind
from agent.capture.frames import pack
from agent.capture.writer import LogWriter
from agent.commands.common import console
from agent.config import Settings, load
from agent.model.call import Call, Codec, Direction, MediaStream, Party, Role
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateMark, GateState
from agent.model.media import StreamChunk, StreamCounts
from agent.model.purpose import Decision, Trigger
from agent.model.wire import dump
from agent.vault.age import Identity, new_identity
from agent.vault.secretfile import create_secret
from agent.vault.signing import SiteKey

HERE = Path(__file__).parent
NUMBERS = ("+33612345678", "2001")


_FFMPEG = {Codec.PCMA: "pcm_alaw", Codec.PCMU: "pcm_mulaw"}


def encode(pcm: np.ndarray, codec: Codec) -> np.ndarray:
    """int16 to G.711 by an independent hand (FFmpeg)."""
    context = av.CodecContext.create(_FFMPEG[codec], "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
    frame.sample_rate = 8000
    return np.frombuffer(b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)]), np.uint8)


def decode(payload: np.ndarray, codec: Codec) -> np.ndarray:
    """G.711 to int16 by an independent hand (FFmpeg)."""
    context = av.CodecContext.create(_FFMPEG[codec], "r")
    context.sample_rate, context.layout = 8000, "mono"
    frames = [*context.decode(av.Packet(payload.tobytes())), *context.decode(None)]
    return np.concatenate([f.to_ndarray()[0] for f in frames])


CONFIG = """
[site]
name = "test-site"
state_dir = "state"
run_dir = "run"
keys_dir = "keys"

[scribe]
engine = "{engine}"
language = "en"
poll_s = 0.1
deferred_limit_s = {deferred_limit_s}
correction_window = "{window}"

[destination.central]
kind = "folder"
path = "central"

[purpose.evidence]
trigger = "on_demand"
artifacts = ["audio", "transcript", "manifest"]
recipients_file = "evidence.txt"
destination = "central"
central_retention = "5 years"
basis = "contract"

[purpose.training]
trigger = "all"
artifacts = ["audio", "transcript"]
audio_format = "opus"
recipients_file = "training.txt"
local_retention = "1 h"

[purpose.analytics]
trigger = "all"
artifacts = ["transcript"]
pseudonymise = true
recipients_file = "analytics.txt"

[purpose.assistance]
trigger = "all"
"""


@dataclass
class Taped:
    """A call as a test writes it to the log: payloads by stream, and the marks in between."""

    call: Call
    payloads: dict[int, np.ndarray] = field(default_factory=dict)
    codec: Codec = Codec.PCMA

    def sent(self, stream: int) -> np.ndarray:
        """What was put on the wire for a stream, decoded by FFmpeg."""
        return decode(self.payloads[stream], self.codec)


class Site:
    """A box without its recorder: the test writes the capture log, the scribe under test does the rest."""

    def __init__(self, root: Path, engine: str, deferred_limit_s: int = 3600, window: str = "0 s") -> None:
        self.root = root
        self.readers: dict[str, Identity] = {}
        for purpose in ("evidence", "training", "analytics"):
            self.readers[purpose] = new_identity()
            (root / f"{purpose}.txt").write_text(self.readers[purpose].recipient + "\n")
        self.config = root / "greffier.toml"
        self.configure(engine, deferred_limit_s, window)
        (root / "keys").mkdir()
        SiteKey.create(root / "keys" / "site.pem")
        create_secret(root / "keys" / "numbers.key")
        for folder in (self.settings.capture_dir, self.settings.callkeys_dir, self.settings.identities_dir):
            folder.mkdir(parents=True)
        working = new_identity()
        name = self.settings.identities_dir / f"{time.time_ns()}.age-identity"
        name.write_text(working.secret + "\n")
        name.chmod(0o600)
        self.settings.recipient_file.parent.mkdir()
        self.settings.recipient_file.write_text(working.recipient + "\n")
        self.recipient = working.recipient
        self.writer = self.new_writer()
        self.keys: dict[str, keys.CallKey] = {}
        self.calls: dict[str, Call] = {}

    def configure(self, engine: str, deferred_limit_s: int = 3600, window: str = "0 s") -> None:
        text = CONFIG.format(engine=engine, deferred_limit_s=deferred_limit_s, window=window)
        self.config.write_text(text)
        self.settings: Settings = load(self.config)

    def new_writer(self) -> LogWriter:
        """A recorder that (re)started: a new segment."""
        return LogWriter(self.settings.capture_dir, 1 << 20, time.time_ns)

    def restart_writer(self) -> None:
        """The recorder was restarted."""
        self.writer.close()
        self.writer = self.new_writer()

    def key(self, call_id: str) -> keys.CallKey:
        self.keys[call_id] = keys.create(self.settings.callkeys_dir, call_id, 0, self.recipient)
        return self.keys[call_id]

    def tape(
        self,
        call_id: str,
        pcm: list[np.ndarray],
        *,
        codec: Codec = Codec.PCMA,
        paused: tuple[int, int] | None = None,
        keep_at: int | None = None,
        cause: str | None = "bye",
    ) -> Taped:
        """A call of one channel a party; `paused` samples are not written, as the gate would have it."""
        call = sample_call(call_id, len(pcm), codec)
        self.calls[call_id] = call
        key, taped = self.key(call_id), Taped(call, codec=codec)
        length = max([len(p) for p in pcm] + [0])

        def put(kind: RecordKind, value: object, **where: object) -> None:
            self.writer.append(kind, key, value if isinstance(value, bytes) else dump(value), **where)

        def mark(
            purpose: str, verb: str, state: GateState, since: int, actor: str = "policy", reason: str = ""
        ) -> None:
            at_ns = call.started_ns + since * 125_000
            put(RecordKind.GATE, GateMark(call_id, at_ns, purpose, verb, state, since, actor, reason))

        put(RecordKind.EVENT, CallStarted(call))
        put(RecordKind.DECISIONS, decisions())
        mark("evidence", "arm", GateState.ARMED, 0)
        for purpose in ("training", "analytics", "assistance"):
            mark(purpose, "select", GateState.RECORDING, 0)
        step = 8000
        pressed = keep_at is None
        for at in range(0, length, step):
            if not pressed and keep_at is not None and at >= keep_at:
                mark("evidence", "keep", GateState.RECORDING, at, "agent:2001", "contract")
                pressed = True
            if paused and at <= paused[0] < at + step:
                for purpose in ("evidence", "training", "analytics", "assistance"):
                    mark(purpose, "pause", GateState.PAUSED, paused[0], "agent:2001", "card")
            if paused and at <= paused[1] < at + step:
                for purpose in ("evidence", "training", "analytics", "assistance"):
                    state = GateState.RECORDING if purpose != "evidence" or keep_at is not None else GateState.ARMED
                    mark(purpose, "resume", state, paused[1], "agent:2001")
            for stream, samples in enumerate(pcm):
                for start, end in visible(at, min(at + step, len(samples)), paused):
                    payload = encode(samples[start:end], codec)
                    taped.payloads[stream] = np.concatenate(
                        [taped.payloads.get(stream, np.zeros(0, np.uint8)), payload]
                    )
                    put(RecordKind.MEDIA, payload.tobytes(), stream=stream, codec=codec, position_samples=start)
        if cause is not None:
            self.end(call, length, cause, put)
        self.writer.sync()
        return taped

    def packets(
        self,
        call: Call,
        chunks: list[StreamChunk],
        counts: tuple[tuple[int, StreamCounts], ...] = (),
        training_paused: tuple[int, int] | None = None,
    ) -> None:
        """A call of any codecs, kept by all purposes from its start but for what training may not hear."""
        key, length = self.key(call.call_id), max(c.end_samples for c in chunks)
        self.calls[call.call_id] = call

        def put(kind: RecordKind, value: object, **where: object) -> None:
            self.writer.append(kind, key, dump(value), **where)

        put(RecordKind.EVENT, CallStarted(call))
        put(RecordKind.DECISIONS, decisions())
        marks = [(p, "select", GateState.RECORDING, 0) for p in ("evidence", "training", "analytics", "assistance")]
        if training_paused:
            marks.append(("training", "pause", GateState.PAUSED, training_paused[0]))
            marks.append(("training", "resume", GateState.RECORDING, training_paused[1]))
        for purpose, verb, state, since in marks:
            at_ns = call.started_ns + since * 125_000
            put(RecordKind.GATE, GateMark(call.call_id, at_ns, purpose, verb, state, since, "policy", ""))
        for c in chunks:
            where = {"stream": c.stream, "codec": c.codec, "position_samples": c.position_samples}
            self.writer.append(RecordKind.MEDIA, key, pack(c), lost_samples=c.lost_samples, **where)
        self.end(call, length, "bye", put, counts)
        self.writer.sync()

    def end(
        self,
        call: Call,
        length: int,
        cause: str,
        put: Callable[..., None],
        counts: tuple[tuple[int, StreamCounts], ...] = (),
    ) -> None:
        at_ns = call.started_ns + length * 125_000
        if cause != "interrupted":
            for purpose in ("evidence", "training", "analytics", "assistance"):
                put(
                    RecordKind.GATE,
                    GateMark(call.call_id, at_ns, purpose, "end", GateState.ENDED, length, "policy", ""),
                )
            given = counts or tuple((s.stream, StreamCounts(received=50, lost=1)) for s in call.streams)
            put(RecordKind.COUNTS, given)
        put(RecordKind.END, CallEnded(call.call_id, at_ns, cause))

    def outbox(self) -> dict[str, Path]:
        """Artifacts by `PURPOSE/ENDING`, ending without the call id and `.age`."""
        box = self.settings.outbox_dir
        paths = [p for p in box.glob("*/*") if p.is_file()] if box.exists() else []
        return {f"{p.parent.name}/{p.name.split('.', 1)[1].removesuffix('.age')}": p for p in paths}


def visible(start: int, end: int, paused: tuple[int, int] | None) -> list[tuple[int, int]]:
    spans = [(start, end)] if paused is None else [(start, min(end, paused[0])), (max(start, paused[1]), end)]
    return [(a, b) for a, b in spans if b > a]


def decisions() -> tuple[Decision, ...]:
    armed = Decision("evidence", True, Trigger.ON_DEMAND, "trigger on_demand: armed, keeps from the start of the call")
    return (armed, *(Decision(p, True, Trigger.ALL, "trigger all") for p in ("training", "analytics", "assistance")))


def sample_call(call_id: str, channels: int, codec: Codec) -> Call:
    started = 1_790_000_000 * 1_000_000_000
    roles = (Role.CUSTOMER, Role.AGENT, Role.OTHER)
    parties = tuple(
        Party(f"part-{n}", NUMBERS[n] if n < 2 else "", ("Ann Example", "", "")[n], roles[n], started)
        for n in range(channels)
    )
    payload_type = 8 if codec is Codec.PCMA else 0
    streams = tuple(
        MediaStream(n, str(n + 1), n, f"part-{n}", codec, payload_type, 20000 + 2 * n) for n in range(channels)
    )
    return Call(call_id, "ref-" + call_id, "siprec", "192.0.2.1", started, Direction.INBOUND, parties, streams)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`make_site("pocketsphinx")` → a fresh Site."""
    made: list[Site] = []

    def make(engine: str = "none", deferred_limit_s: int = 3600, window: str = "0 s") -> Site:
        root = tmp_path / f"site{len(made)}"
        root.mkdir()
        made.append(Site(root, engine, deferred_limit_s, window))
        return made[-1]

    yield make
    for site in made:
        site.writer.close()


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands print is not cut to the width of whatever terminal there is."""
    monkeypatch.setattr(console, "width", 200)
