"""The media thread obeys in order: what was said before a press is of before it, wherever it still waits."""

import math
import threading
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest
from packets import Packet, block_of, rtp

from agent.capture.format import RecordKind
from agent.capture.keys import CallKey
from agent.capture.reader import Cursor, open_record, scan
from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.media.block import PacketBlock
from agent.media.endpoint import key
from agent.model.call import Call, Codec, MediaStream
from agent.model.events import CallEnded, CallStarted
from agent.model.gate import GateCommand, GateVerb
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger
from agent.policy.decide import Policy
from agent.recorder.loop import MediaLoop
from agent.recorder.policy import Rulebook
from agent.recorder.resume import ResumeBox

MS = 1_000_000
CALL, HOST, PORT = "ab" * 16, "10.0.0.1", 6000
PURPOSE = Purpose("training", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None)
RULES = Rulebook(Settings(), Policy((PURPOSE,), bytes(32)))
AHEAD_MS, FREELY, IN_THE_PAUSE = 100, 0x11, 0x22
PRESS_MS, RESUME_MS, END_MS = 4_000, 6_000, 12_000


class Source:
    """Blocks that wait to be read."""

    name, interval_s, behind_s, failed = "test", 0.02, 0.0, 0

    def __init__(self) -> None:
        self.waiting: deque[PacketBlock] = deque()

    def read(self) -> PacketBlock | None:
        return self.waiting.popleft() if self.waiting else None

    def count_drops(self) -> int:
        return 0

    def counts(self) -> dict[int, SimpleNamespace]:
        return {}


class Flood(Source):
    """There is always more to read."""

    def read(self) -> PacketBlock | None:
        return block_of([Packet(b"no RTP", key(HOST, PORT), time.monotonic_ns() / MS)])


def loop_of(source: Source, writer: LogWriter, folder: Path) -> MediaLoop:
    ports = SimpleNamespace(since_ns=lambda port: 0, give_back=lambda port: None)
    return MediaLoop(Settings(), RULES, source, ports, writer, ResumeBox(folder), lambda _: b"")


def begin(loop: MediaLoop, now_ns: int = 0) -> CallKey:
    """A call of one stream, and the key its log is written under."""
    stream = MediaStream(0, "p", 0, "p", Codec.PCMA, 8, PORT, True, HOST)
    started = CallStarted(Call(CALL, "ref", "siprec", "gw", 0, streams=(stream,)))
    loop.call_started(started, (Decision("training", True, Trigger.ALL, ""),), now_ns)
    call_key = CallKey(CALL, 0, bytes(32))
    loop.calls.use_key(call_key)
    return call_key


def media_of(folder: Path, call_key: CallKey) -> bytes:
    """All media that was written, opened."""
    media = (record for _, record in scan(folder, Cursor(0, 0)) if record.header.kind is RecordKind.MEDIA)
    return b"".join(open_record(record, call_key.key) for record in media)


def test_it_obeys_and_stops_though_packets_come_faster_than_they_are_taken_in(tmp_path: Path) -> None:
    loop = loop_of(Flood(), LogWriter(tmp_path, 1 << 26, time.time_ns), tmp_path)
    loop.start()
    assert loop.ask(loop.calls.all).result(30) == []
    stopping = threading.Thread(target=loop.stop, daemon=True)
    stopping.start()
    stopping.join(30)
    assert not stopping.is_alive() and loop.failure is None


def test_what_was_said_before_a_resume_stays_away_though_it_was_not_read_yet(tmp_path: Path) -> None:
    source, writer = Source(), LogWriter(tmp_path, 1 << 26, time.time_ns)
    loop = loop_of(source, writer, tmp_path)
    loop._next_care = math.inf  # it is for the test to say what time it is
    call_key = begin(loop)
    for n in range(END_MS // 20):
        ms = max(20, 20 * (n + 1) - AHEAD_MS)  # its first packets come at once: its clock is ahead of ours
        value = IN_THE_PAUSE if PRESS_MS < ms <= RESUME_MS else FREELY
        source.waiting.append(block_of([Packet(rtp(n, n * 160, bytes([value]) * 160), key(HOST, PORT), ms)]))
        for verb, at_ms in ((GateVerb.PAUSE, PRESS_MS), (GateVerb.RESUME, RESUME_MS)):
            if ms == at_ms:
                loop.command(GateCommand(CALL, verb, "agent:1"), ms * MS)
        if ms % 100 == 0 and not RESUME_MS - 200 < ms <= RESUME_MS:  # this thread was kept from its work for a while
            while (block := source.read()) is not None:
                loop.calls.process(block)
            loop.calls.flush(ms * MS)
            loop.calls.care(ms * MS, 0, all_calls=True)
    while (block := source.read()) is not None:
        loop.calls.process(block)
    loop.calls.ended(CallEnded(CALL, 0, "bye"), END_MS * MS)
    writer.close()
    written = media_of(tmp_path, call_key)
    assert written.count(IN_THE_PAUSE) == 0
    assert written.count(FREELY) > (END_MS - RESUME_MS + PRESS_MS - 3000 - 2 * AHEAD_MS) * 8


@pytest.mark.parametrize("behind_s", [0.0, 0.05])
def test_what_came_right_before_the_hang_up_is_written_though_it_could_not_be_read_yet(
    tmp_path: Path, behind_s: float
) -> None:
    source, writer = Source(), LogWriter(tmp_path, 1 << 26, time.time_ns)
    source.behind_s = behind_s
    loop = loop_of(source, writer, tmp_path)
    loop.start()
    call_key = loop.ask(lambda: begin(loop, time.monotonic_ns())).result(30)

    def hang_up() -> None:
        packet = Packet(rtp(0, 0, bytes([FREELY]) * 160), key(HOST, PORT), time.monotonic_ns() / MS)
        if not behind_s:
            source.waiting.append(block_of([packet]))
        loop.call_ended(CallEnded(CALL, 0, "bye"), time.monotonic_ns())
        if behind_s:
            source.waiting.append(block_of([packet]))

    loop.ask(hang_up).result(30)
    deadline = time.monotonic() + 30
    while loop.ask(loop.calls.all).result(30) and time.monotonic() < deadline:
        time.sleep(0.01)
    loop.stop()
    assert loop.failure is None
    assert media_of(tmp_path, call_key).count(FREELY) == 160


def test_calls_that_wait_for_their_last_packets_end_when_the_recorder_stops(tmp_path: Path) -> None:
    source, writer = Source(), LogWriter(tmp_path, 1 << 26, time.time_ns)
    source.behind_s = 3600.0
    loop = loop_of(source, writer, tmp_path)
    loop.start()
    loop.ask(lambda: begin(loop, time.monotonic_ns())).result(30)
    loop.ask(lambda: loop.call_ended(CallEnded(CALL, 0, "bye"), time.monotonic_ns())).result(30)
    loop.stop()
    assert loop.calls.all() == [] and loop.failure is None
    assert [r.header.kind for _, r in scan(tmp_path, Cursor(0, 0))][-1] is RecordKind.END
