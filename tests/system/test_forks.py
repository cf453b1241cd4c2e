"""A phone's built-in bridge against a whole agent: two plain calls, two RTP streams, one call of two channels (S04)."""

import random
import re
import socket
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.probe.impairment import NO_IMPAIRMENT
from agent.probe.pacer import Pacer
from agent.probe.stream import OutStream, Speech, Utterance

SAID = "x-refci=27298698;x-nearendclusterid=site;x-nearendaddr=2001;x-farendrefci=27298699;x-farendaddr=+33612345678"
REFERENCE = "x-refci:site:27298698"
ALIGNED_S = 0.020


class Leg:
    """One side's call, as Unified CM places it, over UDP."""

    def __init__(self, port: int, side: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(5)
        self._here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._side, self._to, self._cseq = side, "<sip:8000@127.0.0.1>", 100
        self.media = OutStream("127.0.0.1", random.Random(side))

    def ask(self, method: str, body: str = "") -> str:
        """A request and its final response; an INVITE is acknowledged."""
        self._cseq += method != "ACK"
        lines = [f"{method} sip:8000@127.0.0.1 SIP/2.0"]
        lines += [f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK{self._side}{method}{self._cseq}"]
        lines += [f'From: "Recording" <sip:2001@10.1.1.5;x-{self._side}end;{SAID}>;tag={self._side}', f"To: {self._to}"]
        lines += [f"Call-ID: {self._side}-{self._here}", f"CSeq: {self._cseq} {method}", f"Contact: <sip:{self._here}>"]
        lines += ["Content-Type: application/sdp"] if body else []
        self._socket.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode())
        if method == "ACK":
            return ""
        answer = self._socket.recv(65536).decode()
        assert answer.startswith("SIP/2.0 200"), answer
        self._to = re.search(r"^To: (.*)\r$", answer, re.M)[1]
        if method == "INVITE":
            self.ask("ACK")
            self.media.remote = ("127.0.0.1", int(re.search(r"m=audio (\d+)", answer)[1]))
            self.media.payload_type = 8
        return answer

    def invite(self) -> None:
        """Begin."""
        self.ask("INVITE", f"v=0\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nm=audio {self.media.port} RTP/AVP 8\r\na=sendonly\r\n")

    def close(self) -> None:
        self._socket.close()
        self.media.close()


def speak(*said: tuple[Leg, np.ndarray]) -> None:
    """Send everyone's sound together, in real time."""
    payloads = [(leg, encode(sound, Codec.PCMA).tobytes()) for leg, sound in said]
    utterances = [Utterance(leg.media, p, 160, NO_IMPAIRMENT, n, None, None) for n, (leg, p) in enumerate(payloads)]
    done = threading.Event()
    with Pacer() as pacer:
        pacer.start(Speech(utterances, 0.02, time.monotonic, time.time_ns), lambda failure: done.set())
        assert done.wait(30)


@pytest.fixture
def make_leg() -> Callable[..., Leg]:
    """`make_leg(seen, "near")`."""
    made: list[Leg] = []

    def make(seen, side: str) -> Leg:
        made.append(Leg(seen.site.sip_port, side))
        return made[-1]

    yield make
    for leg in made:
        leg.close()


def plain(text: str, edit: Callable[..., str]) -> str:
    """Evidence of every call, nothing transcribed."""
    return edit(edit(text, "purpose.evidence", trigger='"all"', keep_from=None), "scribe", engine='"none"')


@pytest.mark.slow
def test_s04_a_recorder_killed_between_the_legs_and_again_after_both_goes_on(make_site, edit, make_leg) -> None:
    seen = make_site(lambda text: plain(text, edit))
    near, far = make_leg(seen, "near"), make_leg(seen, "far")
    noise = np.random.default_rng(7).integers(-8000, 8000, (4, 3 * CLOCK_RATE)).astype(np.int16)
    near.invite()
    call_id = seen.site.call_of(REFERENCE)
    seen.site.kill("recorder")
    assert seen.site.call_of(REFERENCE) == call_id
    far.invite()
    speak((near, noise[0]), (far, noise[1]))
    seen.site.kill("recorder")
    assert seen.site.call_of(REFERENCE) == call_id
    speak((near, noise[2]), (far, noise[3]))
    near.ask("BYE")
    far.ask("BYE")
    seen.site.wait_state(call_id, "ended")
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")
    for channel, sound in enumerate((noise[2], noise[3])):
        heard = decode(encode(sound, Codec.PCMA), Codec.PCMA)
        assert heard[-CLOCK_RATE:].tobytes() in audio[channel].tobytes()
    assert len(seen.site.events("call.started")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("first", ["near", "far"])
def test_s04_every_sample_of_both_sides_is_there_though_one_ends_before(
    make_site, edit, find_sent, make_leg, first: str
) -> None:
    seen = make_site(lambda text: plain(text, edit))
    second = "far" if first == "near" else "near"
    legs = {side: make_leg(seen, side) for side in (first, second)}
    noise = np.random.default_rng(7).integers(-8000, 8000, (3, 3 * CLOCK_RATE)).astype(np.int16)
    legs[first].invite()
    call_id = seen.site.call_of(REFERENCE)
    legs[second].invite()
    speak((legs["near"], noise[0]), (legs["far"], noise[1]))
    legs[first].ask("BYE")
    speak((legs[second], noise[2]))
    legs[second].ask("BYE")
    seen.site.wait_state(call_id, "ended")
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")
    assert audio.shape[0] == 2
    starts = {s: find_sent(audio[n], legs[s].media.sent, Codec.PCMA) for n, s in enumerate(("near", "far"))}
    heard_s = (starts["far"] - starts["near"]) / CLOCK_RATE
    sent_s = (legs["far"].media.sent[0].at_ns - legs["near"].media.sent[0].at_ns) / 1e9
    assert abs(heard_s - sent_s) <= ALIGNED_S
    assert [(p.role, p.channel) for p in seen.site.catalog().parties(call_id)] == [("agent", 0), ("customer", 1)]


@pytest.mark.slow
def test_s04_one_side_alone_is_recorded(make_site, edit, find_sent, make_leg) -> None:
    seen = make_site(lambda text: plain(text, edit))
    far = make_leg(seen, "far")
    far.invite()
    call_id = seen.site.call_of(REFERENCE)
    noise = np.random.default_rng(3).integers(-8000, 8000, 2 * CLOCK_RATE).astype(np.int16)
    speak((far, noise))
    far.ask("BYE")
    seen.site.wait_state(call_id, "ended")
    seen.wait_audio(call_id, "evidence")
    audio = seen.audio(call_id, "evidence")
    find_sent(audio[1], far.media.sent, Codec.PCMA)
    assert audio.shape[0] == 2 and not audio[0].any()
    missing = seen.manifest(call_id, "evidence")["missing"]
    assert any(gap.get("channel") == 0 and gap["to_s"] - gap["from_s"] > 1 for gap in missing)
