"""Speech that is nowhere else, as PCMA in frames of 20 ms, and where it is found again: capture log, channels."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from agent.capture.format import RecordKind
from agent.capture.reader import Cursor, open_record, scan
from agent.config import Settings
from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.scribe.keyring import Keyring

FRAME = 160


def noise(seconds: float, seed: int) -> np.ndarray:
    """Speech that is nowhere else: no two frames of it are alike."""
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * CLOCK_RATE)).astype(np.int16)


def frames_of(pcm: np.ndarray) -> list[bytes]:
    """The payloads it is sent in."""
    coded = encode(pcm, Codec.PCMA).tobytes()
    return [coded[n : n + FRAME] for n in range(0, len(coded), FRAME)]


def capture_log(settings: Settings, call_id: str) -> bytes:
    """All media of a call in the capture log, decrypted, stream after stream."""
    keys = Keyring(settings.identities_dir, settings.callkeys_dir)
    media: dict[int, bytes] = defaultdict(bytes)
    for _, record in scan(settings.capture_dir, Cursor(0, 0)):
        if record.header.call_id == call_id and record.header.kind is RecordKind.MEDIA:
            key = keys.key(call_id, record.header.epoch)
            assert key is not None
            media[record.header.stream] += open_record(record, key)
    return b"".join(media.values())


def decoded(frame: bytes) -> bytes:
    """What a decoder makes of a frame."""
    return decode(np.frombuffer(frame, np.uint8), Codec.PCMA).tobytes()


def heard_in(audio: np.ndarray, pcm: np.ndarray) -> int:
    """How many frames of what was said are in audio, int16[channels, samples]."""
    everything = [channel.tobytes() for channel in audio]
    return sum(any(decoded(frame) in channel for channel in everything) for frame in frames_of(pcm))


def at(channel: np.ndarray, frame: bytes) -> int:
    """Where a frame is heard in a channel."""
    found = channel.tobytes().find(decoded(frame))
    assert found >= 0 and found % 2 == 0
    return found // 2


def everything_evidence(text: str, edit: Callable[..., str]) -> str:
    """Evidence of every call in FLAC, no transcription."""
    text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
    text = edit(text, "purpose.training", percent="100")
    return edit(text, "scribe", engine='"none"')
