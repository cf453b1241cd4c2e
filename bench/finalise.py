"""How fast calls are finalised without transcription: `finalise` of `python -m bench.custody`.

Calls of two people on the telephone (real speech where the folder is there, else noise) lie in a capture log as the
recorder writes it. The scribe derives, seals and encrypts them for its purposes in this process, whose CPU is counted,
all its threads: `times_real_time` is seconds of call a second of CPU. `evidence`: FLAC and a manifest, for one purpose;
`site`: besides, Opus for another and the manifest of a third, as the example configuration has it.
"""

import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.capture import keys
from agent.capture.format import RecordKind
from agent.capture.writer import LogWriter
from agent.config import load
from agent.media.g711 import encode
from agent.model.call import CLOCK_RATE, Call, Codec, Direction, MediaStream, Party, Role
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateMark, GateState
from agent.model.media import StreamCounts
from agent.model.purpose import Decision, Trigger
from agent.model.wire import dump
from agent.scribe.loop import Scribe
from agent.vault.age import new_identity
from agent.vault.secretfile import create_secret
from agent.vault.signing import SiteKey
from bench.talk import conversation, utterances

T0 = 1_790_000_000_000_000_000
NS = 1_000_000_000
CALL_S = 180.0
PIECE = CLOCK_RATE
_SITE = """
[site]
state_dir = "state"
run_dir = "run"
keys_dir = "keys"
[scribe]
engine = "none"
deferred_limit_s = 0
"""
_EVIDENCE = """
[purpose.evidence]
trigger = "all"
artifacts = ["audio"]
recipients_file = "r.txt"
redact = {}
"""
_OTHERS = """
[purpose.training]
trigger = "all"
artifacts = ["audio"]
audio_format = "opus"
recipients_file = "r.txt"
redact = {}
[purpose.analytics]
trigger = "all"
artifacts = ["manifest"]
recipients_file = "r.txt"
redact = {}
"""
KINDS = {"evidence": (_EVIDENCE, ("evidence",)), "site": (_EVIDENCE + _OTHERS, ("evidence", "training", "analytics"))}


def measure_finalise(calls: int, folder: Path) -> dict[str, dict[str, float]]:
    """Both figures, of so many calls of three minutes."""
    return {name: _finalised(folder / name, *KINDS[name], calls) for name in KINDS}


def _finalised(root: Path, purposes: str, names: tuple[str, ...], calls: int) -> dict[str, float]:
    root.mkdir(parents=True)
    (root / "r.txt").write_text(new_identity().recipient + "\n", encoding="ascii")
    (root / "greffier.toml").write_text(_SITE + purposes, encoding="utf-8")
    settings = load(root / "greffier.toml")
    (root / "keys").mkdir()
    SiteKey.create(root / "keys" / "site.pem")
    create_secret(root / "keys" / "numbers.key")
    for one in (settings.capture_dir, settings.callkeys_dir, settings.identities_dir, settings.recipient_file.parent):
        one.mkdir(parents=True, exist_ok=True)
    working = new_identity()
    identity = settings.identities_dir / f"{time.time_ns()}.age-identity"
    identity.write_text(working.secret + "\n", encoding="ascii")
    identity.chmod(0o600)
    settings.recipient_file.write_text(working.recipient + "\n", encoding="ascii")
    writer = LogWriter(settings.capture_dir, 1 << 26, time.time_ns)
    pcm = _talk()
    for number in range(calls):
        call_id = f"{number:032x}"
        key = keys.create(settings.callkeys_dir, call_id, 0, working.recipient)
        _record(writer, key, call_id, pcm, names)
    writer.close()
    scribe = Scribe(settings, threading.Event())
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    while scribe.step():
        pass
    cpu_s, wall_s = time.process_time() - begun_cpu_s, time.perf_counter() - begun_s
    made = [a for a in scribe.catalog.artifacts() if a.kind.value == "audio"]
    scribe.close()
    if len(made) != calls * (len(names) - ("analytics" in names)):
        raise RuntimeError(f"only {len(made)} of the audio files were made")
    spoken_s = calls * pcm.shape[1] / CLOCK_RATE
    return {
        "calls": calls,
        "call_s": round(pcm.shape[1] / CLOCK_RATE, 1),
        "cpu_s": round(cpu_s, 2),
        "wall_s": round(wall_s, 2),
        "times_real_time": round(spoken_s / cpu_s),
    }


def _talk() -> npt.NDArray[np.int16]:
    """Two channels of three minutes."""
    try:
        return np.stack([talk.pcm for talk in conversation(utterances(), CALL_S, 7)])
    except OSError:
        dice = np.random.default_rng(7)
        return dice.integers(-3000, 3000, (2, int(CALL_S * CLOCK_RATE))).astype(np.int16)


def _record(
    writer: LogWriter, key: keys.CallKey, call_id: str, pcm: npt.NDArray[np.int16], purposes: tuple[str, ...]
) -> None:
    """One call in the log, second by second, as the recorder writes it."""
    roles = (Role.CUSTOMER, Role.AGENT)
    parties = tuple(Party(f"p{n}", "", "", roles[n], T0) for n in range(2))
    streams = tuple(MediaStream(n, str(n + 1), n, f"p{n}", Codec.PCMA, 8, 20000 + 2 * n) for n in range(2))
    call = Call(call_id, "ref-" + call_id, "siprec", "192.0.2.1", T0, Direction.INBOUND, parties, streams)
    length = pcm.shape[1]
    end_ns = T0 + length * NS // CLOCK_RATE
    writer.append(RecordKind.EVENT, key, dump(CallStarted(call)))
    decisions = tuple(Decision(name, True, Trigger.ALL, "trigger all") for name in purposes)
    writer.append(RecordKind.DECISIONS, key, dump(decisions))
    for name in purposes:
        mark = GateMark(call_id, T0, name, "select", GateState.RECORDING, 0, "policy", "")
        writer.append(RecordKind.GATE, key, dump(mark))
    for at in range(0, length, PIECE):
        for stream in range(2):
            payload = encode(pcm[stream, at : at + PIECE], Codec.PCMA).tobytes()
            writer.append(RecordKind.MEDIA, key, payload, stream=stream, codec=Codec.PCMA, position_samples=at)
    for name in purposes:
        mark = GateMark(call_id, end_ns, name, "end", GateState.ENDED, length, "policy", "")
        writer.append(RecordKind.GATE, key, dump(mark))
    counts = tuple((s.stream, StreamCounts(received=length // 160)) for s in streams)
    writer.append(RecordKind.COUNTS, key, dump(counts))
    writer.append(RecordKind.END, key, dump(CallEnded(call_id, end_ns, "bye")))
