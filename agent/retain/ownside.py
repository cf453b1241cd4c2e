"""What a person may have of a recording: the own voice, the own words. Those of others are theirs (GDPR art. 15 (4)).

Where it cannot be told whose a stretch is, it is left out; nothing here touches a disk.
"""

import io
import json
from collections.abc import Sequence
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from agent.retain.dossier import CallDossier, Presence

Pcm = npt.NDArray[np.int16]
SHORTER_S = 0.5
"""Audio that is shorter than its call by more has had spans cut out: its times are not those of the call."""


class Withheld(Exception):
    """Nothing of it may be handed out, or nothing can be told apart. The words are for people."""


def own_sound(data: bytes, call: CallDossier) -> bytes:
    """FLAC of the person's channels of an audio artifact, zeros where others spoke on them. Raises Withheld."""
    if not call.presence:
        raise Withheld("the person has no channel of its own")
    pcm, rate = _decoded(data)
    channels = sorted({p.channel for p in call.presence})
    if channels[-1] >= len(pcm) or (channels[-1] == len(pcm) - 1 and call.highest_channel >= len(pcm)):
        raise Withheld("several voices were mixed into this channel")
    cut = pcm.shape[1] / rate < call.call.duration_samples / 8000 - SHORTER_S
    if cut and not all(p.alone for p in call.presence):
        raise Withheld("others spoke on this line, and time was cut out of the recording")
    kept = np.zeros((len(channels), pcm.shape[1]), np.int16)
    for p in call.presence:
        begin, end = (0, pcm.shape[1]) if p.alone else (int(p.from_s * rate), int(p.to_s * rate))
        kept[channels.index(p.channel), begin:end] = pcm[p.channel, begin:end]
    return _flac(kept, rate)


def own_words(data: bytes, call: CallDossier) -> bytes:
    """The person's segments of a transcript (`greffier-transcript-1`) as JSON. Raises Withheld."""
    try:
        document: dict[str, Any] = json.loads(data)
        segments = [own for s in document["segments"] if (own := _own_segment(s, call.presence)) is not None]
        taken = {name: document[name] for name in ("call", "purpose", "started_ns", "duration_s", "language")}
    except (ValueError, KeyError, TypeError):
        raise Withheld("it is no transcript that can be read") from None
    document = {"format": "greffier-own-words-1", **taken, "segments": segments}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _own_segment(segment: dict[str, Any], presence: Sequence[Presence]) -> dict[str, Any] | None:
    mine = [p for p in presence if p.channel == segment["channel"]]
    if not mine:
        return None
    if all(p.alone for p in mine):
        return {name: segment[name] for name in ("start", "end", "text")}
    words = [w for w in segment["words"] if any(p.from_s <= w["start"] and w["end"] <= p.to_s for p in mine)]
    if not words:
        return None
    return {"start": words[0]["start"], "end": words[-1]["end"], "text": " ".join(w["text"] for w in words)}


def _decoded(data: bytes) -> tuple[Pcm, int]:
    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler("s16", stream.layout, stream.rate)
            frames = [f for frame in container.decode(stream) for f in resampler.resample(frame)]
            frames += resampler.resample(None)
            rate = stream.rate
    except (av.error.FFmpegError, IndexError):
        raise Withheld("it is no audio that can be read") from None
    if not frames:
        raise Withheld("there is no sound in it")
    channels = stream.layout.nb_channels
    interleaved = np.concatenate([f.to_ndarray().ravel() for f in frames])
    return cast(Pcm, interleaved.reshape(-1, channels).T), rate


def _flac(pcm: Pcm, rate: int) -> bytes:
    """A channel a stream is what few players take: several become one, their voices being the same person's."""
    mono = np.clip(pcm.sum(axis=0, dtype=np.int32), -32768, 32767).astype(np.int16)
    memory = io.BytesIO()
    with av.open(memory, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        for at in range(0, len(mono), 1 << 16):
            frame = av.AudioFrame.from_ndarray(mono[None, at : at + (1 << 16)], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return memory.getvalue()
