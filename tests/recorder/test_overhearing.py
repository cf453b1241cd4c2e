"""However long SIP waits to be worked off, the calls and every byte of them are those of doing everything at once."""

import math
import socket
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overheard import OTHER, PBX, PHONE, TRUNK, Talk, described, listening
from packets import rtp
from structlog.testing import capture_logs

from agent.capture.format import RecordKind
from agent.capture.writer import LogWriter
from agent.config import Settings
from agent.config.presses import Keys
from agent.media.block import Frames
from agent.media.frames import IPV4
from agent.model.call import Consent
from agent.model.events import CallEnded
from agent.model.gate import GateState
from agent.model.media import StreamChunk
from agent.model.purpose import ArtifactKind, Decision, Purpose, Trigger
from agent.recorder.calls import Calls
from agent.recorder.live import CallSink
from agent.recorder.overhearing import Overhearing
from agent.tap.span import backlog
from agent.tap.span.message import Overheard
from agent.tap.span.traffic import Traffic

S, MS = 1_000_000_000, 1_000_000
PURPOSE = Purpose("evidence", Trigger.ALL, (ArtifactKind.AUDIO,), ("age1x",), None)
DECISIONS = (Decision("evidence", True, Trigger.ALL, "all"),)
Address = tuple[str, int]
Frame = tuple[int, bytes]
"""When it came (ns), and what, from the IP header on."""


def datagram(source: Address, destination: Address, data: bytes) -> bytes:
    """IPv4 (RFC 791) and UDP (RFC 768) around some data."""
    hosts = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0) + hosts
    return head + struct.pack(">HHHH", source[1], destination[1], 8 + len(data), 0) + data


def frames_of(frames: Sequence[Frame]) -> Frames:
    length = np.array([len(data) for _, data in frames], np.int64)
    start = np.cumsum(length) - length
    memory = np.frombuffer(b"".join(data for _, data in frames), np.uint8)
    at = np.array([at for at, _ in frames], np.int64)
    return Frames(memory, start, start + length, np.full(len(frames), IPV4), at)


@dataclass
class Listener:
    """An ear, and what it wrote: of each call its records, and each byte of each stream by its position."""

    records: dict[str, list[tuple[RecordKind, bytes]]] = field(default_factory=dict)
    media: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.writer = LogWriter(Path(self.folder.name), 1 << 20, time.time_ns)
        keys = Keys(pause="*71", resume="*72", consent_given="1")
        wanted = Settings.model_validate({"capture": {"holdback_s": 0}, "keys": keys})
        self.calls = Calls(wanted, (PURPOSE,), self.writer, 64)
        self.ear = Overhearing("span", Traffic((5060,)), listening(), self.calls, lambda call: DECISIONS)
        self.now_ns = 0
        self.names: dict[int, str] = {}

    def listen(self, frames: Sequence[Frame], cuts: Sequence[tuple[int, int]]) -> None:
        """Blocks of so many frames, after each of which so many messages are worked off."""
        first = 0
        for size, steps in [*cuts, (len(frames), 0)]:
            if block := frames[first : first + size]:
                self.ear.read(frames_of(block), 0)
                self.now_ns = block[-1][0]
            first += size
            for _ in range(steps):
                self.ear.work(-math.inf, 0)

    def finish(self) -> None:
        self.ear.work(math.inf, 0)
        assert not vars(self.ear.backlog)["_concerns"] and not self.ear.backlog.held_bytes
        for live in self.calls.all():
            self.calls.ended(CallEnded(live.call.call_id, self.now_ns, "capture-ended"), self.now_ns)
        self.writer.close()
        self.folder.cleanup()

    def plainly(self, frames: Sequence[Frame]) -> None:
        """One after the other, the whole of each at once."""
        for frame in frames:
            part, said = self.ear.traffic.tell_apart(frames_of([frame]), 0)
            for overheard, _ in said:
                self.ear.apply(self.ear.watcher.hear(overheard), 0)
            self.calls.process(part.block)
            self.now_ns = frame[0]


def recorded(frames: Sequence[Frame], cuts: Sequence[tuple[int, int]] | None) -> Listener:
    """What is written of some traffic: in slices, or (None) plainly."""
    listener = Listener()

    def media(sink: CallSink, chunk: StreamChunk) -> None:
        heard = listener.media.setdefault((chunk.call_id, chunk.stream), {})
        for at, value in enumerate(chunk.payload.tolist(), chunk.position_samples):
            assert at not in heard, "nothing twice"
            if value != 0xD5:
                heard[at] = value

    def record(sink: CallSink, kind: RecordKind, payload: bytes) -> None:
        if kind is RecordKind.EVENT:
            listener.names.setdefault(id(sink), payload.decode())
        if kind in (RecordKind.EVENT, RecordKind.END):
            listener.records.setdefault(listener.names[id(sink)], []).append((kind, payload))

    with patch.object(CallSink, "media", media), patch.object(CallSink, "record", record), capture_logs() as logs:
        listener.plainly(frames) if cuts is None else listener.listen(frames, cuts)
        listener.finish()
    assert not [line for line in logs if line["event"] in ("span.failed", "span.backlog.full", "stream.refused")]
    return listener


def talks() -> list[list[Overheard]]:
    """Dialogs that have addresses, headers, Call-IDs and transfers in common."""
    common = "X-Call-ID: 7f3a9c\r\n"
    one = Talk(call_id="one", headers=common)
    first = [
        *one.answered(),
        one.request("INVITE", described(PHONE, 4002, more="a=sendonly\r\n"), to="b", cseq=2),
        one.response(200, described(PBX, 6000, more="a=recvonly\r\n"), cseq=2),
        one.request("REFER", to="b", cseq=3, back=True, more="Refer-To: <sip:202@10.0.0.1>\r\n"),
        one.request("INVITE", described(PHONE, 4000), to="b", cseq=4),
        one.response(200, described(PBX, 6002), cseq=4),
        one.request("BYE", to="b", cseq=5),
    ]
    found = [first]
    for other in (
        Talk("201", "+336", PHONE, PBX, call_id="next"),
        Talk("201", "+336", PBX, TRUNK, call_id="outside", headers=common),
        Talk("203", "201", TRUNK, PHONE, call_id="instead", headers="Replaces: one;to-tag=b;from-tag=a\r\n"),
        Talk("201", "202", TRUNK, OTHER, call_id="referred"),
        Talk("204", "+337", OTHER, PBX, call_id="last"),
    ):
        found.append([*other.answered(), other.request("BYE", to="b", cseq=2)])
    return found


SENDERS: dict[Address, Address] = {
    (PHONE, 4000): (PBX, 6000),
    (PHONE, 4002): (PBX, 6000),
    (PBX, 6000): (PHONE, 4000),
    (PBX, 6002): (PHONE, 4000),
    (PBX, 4000): (TRUNK, 6000),
    (TRUNK, 6000): (PBX, 4000),
    (PHONE, 6000): (TRUNK, 4000),
    (TRUNK, 4000): (PHONE, 6000),
    (OTHER, 6000): (TRUNK, 4000),
    (OTHER, 4000): (PBX, 6000),
}


def packets(now_ns: int, number: int) -> list[Frame]:
    """One to every address."""
    ticks = now_ns // MS // 20
    voice = [
        rtp(ticks & 0xFFFF, ticks * 160 & 0xFFFFFFFF, bytes([(number + n) % 200]) * 160, ssrc=n)
        for n in range(len(SENDERS))
    ]
    return [(now_ns + n, datagram(sender, to, voice[n])) for n, (to, sender) in enumerate(SENDERS.items())]


def traffic(steps: Sequence[tuple[int, int, int]]) -> list[Frame]:
    """SIP of the dialogs, mostly each in its order, and after each message a packet or more to every address."""
    dialogs, said = talks(), [0] * 6
    frames: list[Frame] = []
    now_ns = 100 * S
    for which, skipped, rounds in steps:
        now_ns += 3 * MS
        if said[which] + skipped < len(dialogs[which]):
            message = dialogs[which][said[which] + skipped]
            frames.append((now_ns, datagram(message.source, message.destination, message.data)))
            said[which] += skipped + 1
        for _ in range(rounds):
            now_ns += 20 * MS
            frames += packets(now_ns, len(frames))
    return frames


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 0, 0, 1]), st.sampled_from([0, 1, 1, 2])),
    min_size=15,
    max_size=45,
)
CUTS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0, 0, 1, 1, 2, 5, 50])), min_size=5, max_size=30)


@settings(max_examples=100, deadline=None)
@given(STEPS, CUTS)
def test_what_waits_becomes_what_it_would_have_been_at_once(
    steps: list[tuple[int, int, int]], cuts: list[tuple[int, int]]
) -> None:
    frames = traffic(steps)
    plain, sliced = recorded(frames, None), recorded(frames, cuts)
    assert sliced.records == plain.records
    assert {n: heard for n, heard in sliced.media.items() if heard} == {n: h for n, h in plain.media.items() if h}
    assert sliced.calls.engine.stray == plain.calls.engine.stray


@pytest.mark.parametrize("which", [2, 3, 4])
def test_dialogs_brought_together_wait_for_each_other(which: int) -> None:
    """By a common header, by Replaces, by a REFER: the BYE of the first dialog makes the second the one that is heard.
    The second has been worked off and that BYE waits when media comes to the second's addresses."""
    first, second = talks()[0], talks()[which]
    said = [*first[:5], *([first[7]] if which == 4 else []), *second[:5], first[-1]]
    frames = [(100 * S + 20 * n * MS, datagram(m.source, m.destination, m.data)) for n, m in enumerate(said)]
    for n in range(3):
        frames += packets(110 * S + 20 * n * MS, 30 * n)
    plain = recorded(frames, None)
    sliced = recorded(frames, [(len(said) - 6, 20), (6, 5), (30, 0)])
    assert (sliced.records, sliced.media) == (plain.records, plain.media)
    assert len(plain.records) == 1 and plain.media


def test_what_there_is_no_room_for_is_dropped_and_nobody_hears_what_is_not_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next call at the addresses of the first begins in what is dropped: the first has ended with it."""
    monkeypatch.setattr(backlog, "MOST_MESSAGES", 8)
    first, following = talks()[0], Talk("201", "+336", PHONE, PBX, call_id="next")
    others = [Talk(f"3{n:02}", "+338", f"10.0.1.{n}", f"10.0.2.{n}", call_id=f"c{n}") for n in range(20)]
    said = [*first[:5], *(m for talk in others for m in talk.answered()[:1]), *following.answered()]
    frames = [(100 * S + 20 * n * MS, datagram(m.source, m.destination, m.data)) for n, m in enumerate(said)]
    listener = Listener()
    with capture_logs() as logs:
        listener.listen(frames + packets(200 * S, 0), [(5, 10), (len(said) - 5, 0)])
        ear = listener.ear
        assert ear.backlog.messages == 6 and ear.backlog.dropped_messages == 19
        assert not [live.streams for live in listener.calls.all() if len(live.streams) != 2]
        listener.finish()
    assert [line["event"] for line in logs if "backlog" in line["event"]] == ["span.backlog.full", "span.backlog.over"]
    ended = [line["cause"] for line in logs if line["event"] == "call.ended"]
    assert ended == ["expired"] and listener.calls.engine.stray == len(SENDERS), "nobody's"


def test_packets_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_HELD_BYTES", 500)
    said = [(100 * S + n, datagram(m.source, m.destination, m.data)) for n, m in enumerate(talks()[0][:5])]
    listener = Listener()
    with capture_logs() as logs:
        listener.listen(said + packets(101 * S, 0) + packets(101 * S + 20 * MS, 0), [(5, 0), (10, 0), (10, 0)])
        assert listener.ear.backlog.dropped_packets == 2 and listener.ear.backlog.held_bytes <= 500
        listener.finish()
    assert [line["event"] for line in logs if "full" in line["event"]] == ["span.backlog.full"]


def test_a_call_whose_messages_wait_is_not_said_to_be_silent() -> None:
    """Time goes on to what has been worked off, no further."""
    listener = Listener()
    said = [(100 * S + n, datagram(m.source, m.destination, m.data)) for n, m in enumerate(talks()[0][:5])]
    bye = talks()[0][-1]
    listener.listen([*said, (400 * S, datagram(bye.source, bye.destination, bye.data))], [(5, 9), (1, 0)])
    listener.ear.expire(401 * S, 0)
    assert [live.call.reference for live in listener.calls.all()] == ["one"]
    listener.finish()


def test_a_feature_code_by_info_on_the_mirror_port_pauses_and_the_customers_key_is_the_choice() -> None:
    listener, talk = Listener(), Talk()

    def listen(first_s: int, *said: Overheard) -> None:
        frames = [(first_s * S + n * MS, datagram(m.source, m.destination, m.data)) for n, m in enumerate(said)]
        listener.listen(frames, [(len(frames), len(frames))])

    listen(
        100,
        *talk.answered(),
        *(talk.info(key, 2 + n) for n, key in enumerate("*71")),
        *(talk.info(key, 2 + n, back=True) for n, key in enumerate("*72")),
    )
    listen(110, talk.info("1", 5))
    (live,) = listener.calls.all()
    assert live.gate.states == {"evidence": GateState.PAUSED}, "the customer's code resumes nothing"
    (cause,) = live.gate.causes["evidence"]
    assert (cause.name, cause.actor) == ("agent", "agent:201")
    assert live.call.consent is Consent.UNKNOWN, "and the agent's key is no choice"
    listen(120, *(talk.info(key, 6 + n) for n, key in enumerate("*72")), talk.info("1", 9, back=True))
    assert live.gate.states == {"evidence": GateState.RECORDING} and live.call.consent is Consent.GIVEN
    listener.finish()
