"""One RTP stream of the probe: its socket, its numbering (RFC 3550 §5.1) and the record of what it sent."""

import random
import socket
import struct
from collections.abc import Callable

from agent.media.libsrtp import Session
from agent.model.call import CLOCK_RATE
from agent.probe.impairment import Impairment, Schedule, schedule
from agent.probe.sent import SentStream

_HEADER = struct.Struct("!BBHII")
_VERSION = 0x80
_MARKER = 0x80
_JOIN_S = 0.06
"""Speech that begins so soon after the last goes on without a step in its timestamps."""


class OutStream:
    """A socket of its own that sends to one remote address; numbering goes on from speech to speech."""

    def __init__(self, host: str, dice: random.Random) -> None:
        """Bind any port of `host`. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]
        self.remote: tuple[str, int] | None = None
        self.payload_type = 0
        self.sent = SentStream(dice.getrandbits(32))
        self.sequence = dice.getrandbits(16)
        self.first_timestamp = dice.getrandbits(32)
        self.position = 0
        """Position of the next sample, from the first packet of the stream."""
        self.origin_s: float | None = None
        self.secure: Session | None = None
        """What RTP is encrypted by before it is sent."""

    def transmit(self, datagram: bytes, remote: tuple[str, int]) -> None:
        """Send one datagram, RTP or not."""
        self._socket.sendto(datagram, remote)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Utterance:
    """What one stream has to say: encoded bytes, cut into packets, sent as its schedule has it."""

    def __init__(
        self,
        stream: OutStream,
        payload: bytes,
        frame: int,
        impairment: Impairment,
        number: int,
        payload_type: int | None,
        port: int | None,
    ) -> None:
        """`frame` is samples (bytes) a packet; a rest shorter than a frame goes as a short last packet."""
        if stream.remote is None:
            raise RuntimeError("the recorder gave no port for this stream")
        self._stream, self._payload, self._frame = stream, payload, frame
        self._remote = (stream.remote[0], port or stream.remote[1])
        self._payload_type = stream.payload_type if payload_type is None else payload_type
        self._impairment = impairment
        self._plan: Schedule = schedule(-(-len(payload) // frame), impairment, number)
        self._packets: list[int] = self._plan.packet.tolist()
        self._ticks: list[int] = self._plan.tick.tolist()
        self._next = 0
        self._source = stream.sent.add_source(payload)

    def begin(self, monotonic_s: float) -> None:
        """Fix the numbering at the moment of the first packet: time that passed in silence shows in timestamps."""
        stream, wanted = self._stream, self._impairment
        if stream.origin_s is None:
            stream.origin_s = monotonic_s
        now = round((monotonic_s - stream.origin_s) * CLOCK_RATE)
        if now - stream.position > _JOIN_S * CLOCK_RATE:
            stream.position = now
        if wanted.first_sequence is not None:
            stream.sequence = wanted.first_sequence
        if wanted.first_timestamp is not None:
            stream.first_timestamp = wanted.first_timestamp - stream.position
        self._first_sequence, self._first_position = stream.sequence, stream.position
        stream.sequence += -(-len(self._payload) // self._frame)
        stream.position += len(self._payload)

    def send(self, tick: int, time_ns: Callable[[], int]) -> bool:
        """Send what is due up to `tick`; True when all is said, a tick after the last packet."""
        stream, frame, sent = self._stream, self._frame, self._stream.sent
        while self._next < len(self._ticks) and self._ticks[self._next] <= tick:
            packet = self._packets[self._next]
            offset = packet * frame
            payload = self._payload[offset : offset + frame]
            sequence = (self._first_sequence + packet) & 0xFFFF
            position = self._first_position + offset
            timestamp = (stream.first_timestamp + position) & 0xFFFFFFFF
            marked = self._payload_type | (_MARKER if packet == 0 else 0)
            at_ns = time_ns()
            data = _HEADER.pack(_VERSION, marked, sequence, timestamp, sent.ssrc) + payload
            stream.transmit(stream.secure.protect(data) if stream.secure else data, self._remote)
            sent.add(sequence, timestamp, position, at_ns, self._source, offset, len(payload))
            self._next += 1
        if self._next < len(self._ticks) or tick <= self._ticks[-1]:
            return False
        sent.done += self._plan.done
        return True


class Speech:
    """What all streams of a call say together, from the same instant; a job for the pacer."""

    def __init__(
        self, utterances: list[Utterance], ptime_s: float, monotonic: Callable[[], float], time_ns: Callable[[], int]
    ) -> None:
        self._utterances, self._ptime_s = utterances, ptime_s
        self._monotonic, self._time_ns = monotonic, time_ns
        self._begun = False

    def send(self, elapsed_s: float) -> bool:
        """Send what is due on every stream; True when all is sent."""
        if not self._begun:
            self._begun = True
            begin_s = self._monotonic()
            for utterance in self._utterances:
                utterance.begin(begin_s)
        tick = int(elapsed_s / self._ptime_s)
        self._utterances = [u for u in self._utterances if not u.send(tick, self._time_ns)]
        return not self._utterances
