"""A gateway of few words for whole-agent tests: any number of streams, any metadata or none, real RTP of each."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from agent.config import Endpoint
from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.probe.call import PAYLOAD_TYPE
from agent.probe.client import Client
from agent.probe.dialog import Dialog
from agent.probe.impairment import NO_IMPAIRMENT
from agent.probe.messages import Line, answered, multipart, offer
from agent.probe.pacer import Pacer
from agent.probe.stream import OutStream, Speech, Utterance
from agent.probe.wire import local_address

PTIME_MS = 20
FRAME = CLOCK_RATE * PTIME_MS // 1000
DICE = random.SystemRandom()


@dataclass(frozen=True)
class Said:
    """Something sent on a stream: when it was said by the stream's own clock (UTC ns), and what it decodes to."""

    label: str
    at_ns: int
    samples: np.ndarray


def noise(seconds: float, seed: int) -> np.ndarray:
    """Speech that is nowhere else."""
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * CLOCK_RATE)).astype(np.int16)


class SmallGateway:
    """One dialog with the recorder over UDP. Streams go by their label; `said` is all that was sent, in order."""

    def __init__(self, target: Endpoint, number: str, labels: Sequence[str]) -> None:
        self._target, self._pacer = target, Pacer()
        self._client = Client(target, lambda asked: self._dialog.answer(asked, 200, "OK"))
        self._dialog = Dialog(target, number, DICE)
        self._host = local_address(target)
        self._streams = {label: OutStream(self._host, DICE) for label in labels}
        self._codec = Codec.PCMA
        self._version = 0
        self.said: list[Said] = []

    async def __aenter__(self) -> Self:
        await self._client.open()
        self._dialog.local = self._client.local
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pacer.close()
        self._client.close()
        for stream in self._streams.values():
            stream.close()

    @property
    def labels(self) -> list[str]:
        """The streams there are."""
        return list(self._streams)

    def move(self, label: str) -> None:
        """Send a stream from another port and source from the next INVITE on; a new label is a new stream."""
        if label in self._streams:
            self._streams[label].close()
        self._streams[label] = OutStream(self._host, DICE)

    async def invite(self, metadata: str = "", codec: Codec = Codec.PCMA, flow: str = "sendonly") -> None:
        """INVITE, or re-INVITE, with everything as it now stands."""
        self._codec, self._version = codec, self._version + 1
        kind = PAYLOAD_TYPE[codec]
        lines = [Line(x, s.port, kind, codec, PTIME_MS, flow) for x, s in self._streams.items()]
        sdp = offer(self._host, 1, self._version, lines)
        content_type, body = multipart(sdp, metadata) if metadata else ("application/sdp", sdp.encode())
        written = self._dialog.write("INVITE", [("Content-Type", content_type)], body)
        response = await self._client.request("INVITE", written.branch, written.message, 10)
        assert response.status_code == 200, response.status_code
        self._dialog.learn(response)
        await self._client.acknowledge(written.branch, self._dialog.ack(written, response))
        for label, remote in answered(response, list(self._streams)).items():
            self._streams[label].remote, self._streams[label].payload_type = remote, kind

    async def bye(self) -> None:
        """Hang up."""
        written = self._dialog.write("BYE")
        assert (await self._client.request("BYE", written.branch, written.message, 10)).status_code == 200

    async def speak(self, sounds: Mapping[str, np.ndarray]) -> None:
        """Send sound by label, in real time and from the same instant."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Exception | None] = loop.create_future()
        first = {label: len(self._streams[label].sent) for label in sounds}
        coded = {label: encode(pcm, self._codec) for label, pcm in sounds.items()}
        utterances = [
            Utterance(self._streams[label], data.tobytes(), FRAME, NO_IMPAIRMENT, n, None, None)
            for n, (label, data) in enumerate(coded.items())
        ]
        speech = Speech(utterances, PTIME_MS / 1000, time.monotonic, time.time_ns)
        self._pacer.start(speech, lambda failure: loop.call_soon_threadsafe(done.set_result, failure))
        assert await done is None
        for label, data in coded.items():
            sent = self._streams[label].sent
            at_ns = sent[0].at_ns + sent[first[label]].position_samples * 10**9 // CLOCK_RATE
            self.said.append(Said(label, at_ns, decode(data, self._codec)))


def heard_at(channel: np.ndarray, said: Said) -> int:
    """The sample at which something is heard in a channel; the test fails unless every sample of it is there."""
    at = channel.tobytes().find(said.samples.tobytes())
    assert at >= 0, f"what was said on stream {said.label} is not in the channel as it was sent"
    assert at % 2 == 0
    return at // 2


def misplaced_s(heard: Sequence[tuple[int, Said]]) -> float:
    """How far anything is from where it was said, seen from the first (sample position and what was said, each)."""
    (origin, first), *_ = heard
    return max(abs((at - origin) / CLOCK_RATE - (said.at_ns - first.at_ns) / 1e9) for at, said in heard)
