"""The telephone of an agent who says nothing and presses keys, told in its RTP (RFC 4733 §2.5)."""

import random
import struct
import time

from agent.model.call import CLOCK_RATE
from agent.model.keys import KEY_NAMES
from agent.probe import ProbeCall
from agent.probe.messages import EVENT_TYPE

_HEADER, _EVENT = struct.Struct("!BBHII"), struct.Struct("!BBH")
_MARKER, _END = 0x80, 0x80
_PCMA, _SILENCE = 8, b"\xd5" * 160
_KEY_SAMPLES = 160
_LAST_PACKETS = 3
"""The end of a key is told so often (§2.5.1.4)."""


class Keypad:
    """A stream of its own, from the agent's port of a call; it begins with a packet of silence."""

    def __init__(self, call: ProbeCall, dice: random.Random) -> None:
        self._call = call
        self._ssrc, self._sequence = dice.getrandbits(32), dice.getrandbits(16)
        self._began_s, self._timestamp = time.monotonic(), 0
        self._send(_PCMA | _MARKER, 0, _SILENCE)

    def press(self, keys: str) -> None:
        """One key after the other, at once."""
        for key in keys:
            now = round((time.monotonic() - self._began_s) * CLOCK_RATE)
            self._timestamp = max(self._timestamp + _KEY_SAMPLES, now)
            event = KEY_NAMES.index(key)
            self._send(EVENT_TYPE | _MARKER, self._timestamp, _EVENT.pack(event, 10, _KEY_SAMPLES // 2))
            for _ in range(_LAST_PACKETS):
                self._send(EVENT_TYPE, self._timestamp, _EVENT.pack(event, _END | 10, _KEY_SAMPLES))

    def _send(self, kind: int, timestamp: int, payload: bytes) -> None:
        self._sequence = self._sequence + 1 & 0xFFFF
        self._call.transmit("agent", _HEADER.pack(0x80, kind, self._sequence, timestamp, self._ssrc) + payload)
