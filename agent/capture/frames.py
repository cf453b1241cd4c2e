"""The payload of a MEDIA record whose codec has no byte a sample: its format, where each packet lies, then their bytes.

Byte layout: docs/capture-log.md. Pure.
"""

import struct

import numpy as np
import numpy.typing as npt

from agent.capture.format import Malformed
from agent.model.call import Codec, MediaFormat
from agent.model.media import Frames, StreamChunk

_HEAD = struct.Struct(">BIBHHII")
_ENTRY = np.dtype([("begin", ">u4"), ("duration", ">u2"), ("size", ">u2")])


def pack(chunk: StreamChunk) -> bytes | memoryview:
    """The payload of the record of a stretch: its bytes as they are, or in front of them what its `frames` say."""
    frames = chunk.frames
    if frames is None:
        return chunk.payload.data
    entries = np.empty(len(frames.size), _ENTRY)
    entries["begin"], entries["duration"], entries["size"] = frames.begin, frames.duration, frames.size
    what = frames.format
    name, fmtp = (text.encode("utf-8", "replace")[:1024] for text in (what.name, what.fmtp))
    head = _HEAD.pack(
        what.payload_type, what.clock_rate, what.channels, len(name), len(fmtp), frames.samples, len(entries)
    )
    return b"".join((head, name, fmtp, entries.tobytes(), chunk.payload.tobytes()))


def unpack(codec: Codec, data: bytes) -> tuple[Frames, npt.NDArray[np.uint8]]:
    """The packets of a record and their bytes. Raises Malformed."""
    try:
        payload_type, clock_rate, channels, name_bytes, fmtp_bytes, samples, count = _HEAD.unpack_from(data)
        at = _HEAD.size
        name, fmtp = data[at : at + name_bytes].decode(), data[at + name_bytes : at + name_bytes + fmtp_bytes].decode()
        at += name_bytes + fmtp_bytes
        entries = np.frombuffer(data, _ENTRY, count, at)
    except (struct.error, ValueError) as error:
        raise Malformed("the packets of a media record cannot be told apart") from error
    begin, duration, size = (entries[field].astype(np.int64) for field in ("begin", "duration", "size"))
    payload = np.frombuffer(data, np.uint8, offset=at + entries.nbytes)
    if int(size.sum()) != len(payload) or (begin + duration > samples).any() or clock_rate == 0:
        raise Malformed("the packets of a media record are not where it says")
    return Frames(
        MediaFormat(payload_type, codec, clock_rate, channels, fmtp, name), samples, begin, duration, size
    ), payload
