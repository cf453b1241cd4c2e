"""A conversation as a vCon (draft-ietf-vcon-vcon-core-04), with what its purpose may have and no more.

One dialog of type `recording`: the purpose's own audio, inline, or no content where it may have none. The transcript
is an analysis, `greffier-transcript-1` as it is delivered beside. What is absent is an analysis of its own, so that
nobody takes silence for silence. Roles of parties are a parameter of the extension `CC`
(draft-ietf-vcon-cc-extension). A vCon is delivered in its signed form (§4.8 of the draft).
"""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.model.text import Transcript
from agent.scribe.text import Heading, Voice, to_json
from agent.vault.jws import base64url, sign_jws
from agent.vault.signing import SiteKey

MEDIA_TYPE = "application/vcon"
SYNTAX = "0.4.0"
ABSENT = "greffier-absent-1"
VENDOR = "Greffier"
_TELEPHONE = re.compile(r"\+?[0-9]{2,20}")


@dataclass(frozen=True, slots=True)
class Recording:
    """Audio as the purpose has it; `channels` of it, in the order of those of the call."""

    data: bytes
    media_type: str
    filename: str
    channels: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into one vCon. `left_out` says what a purpose may not have: audio, numbers, kinds of secrets."""

    path: str
    heading: Heading
    voices: Sequence[Voice]
    recording: Recording | None
    transcript: Transcript | None
    left_out: Sequence[str]
    made_ns: int


def signed_vcon(contents: Contents, key: SiteKey) -> bytes:
    """The vCon in its signed form: a JWS whose payload is the vCon, its uuid in the header."""
    unsigned = to_vcon(contents)
    payload = json.dumps(unsigned, ensure_ascii=False).encode()
    return sign_jws(payload, key, contents.heading.site, contents.heading.started_ns, uuid=unsigned["uuid"])


def to_vcon(contents: Contents) -> dict[str, Any]:
    """The vCon in its unsigned form, as JSON values."""
    heading, voices = contents.heading, contents.voices
    document: dict[str, Any] = {
        "vcon": SYNTAX,
        "uuid": str(uuid_of(heading.site, contents.path, heading.started_ns)),
        "extensions": ["CC"],
        "created_at": _date(contents.made_ns),
        "subject": f"call {heading.call_id}, {heading.purpose}",
    }
    if contents.left_out:
        document["redacted"] = {"type": ", ".join(contents.left_out)}
    return document | {
        "parties": [_party(voice) for voice in voices],
        "dialog": [_dialog(heading, voices, contents.recording)],
        "analysis": _analyses(heading, voices, contents.transcript),
        "attachments": [],
    }


def uuid_of(site: str, path: str, started_ns: int) -> uuid.UUID:
    """Of version 8 (RFC 9562 §5.8): the time of the call in ms as in version 7, then what only this artifact has.

    Made again after a kill it is the same.
    """
    rest = hashlib.sha256(f"greffier vcon 1\n{site}\n{path}".encode()).digest()
    number = started_ns // 1_000_000 % (1 << 48) << 80 | int.from_bytes(rest[:10], "big")
    number = number & ~(0xF << 76) | 8 << 76
    return uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62)


def _party(voice: Voice) -> dict[str, str]:
    party = {"role": voice.role}
    if voice.number:
        party["tel" if _TELEPHONE.fullmatch(voice.number) else "sip"] = voice.number
    if voice.name:
        party |= {"name": voice.name, "validation": "none"}
    return party


def _dialog(heading: Heading, voices: Sequence[Voice], recording: Recording | None) -> dict[str, Any]:
    cut_s = sum(end - start for start, end in heading.cuts)
    dialog: dict[str, Any] = {
        "type": "recording",
        "start": _date(heading.started_ns),
        "duration": round(heading.duration_s - cut_s, 3),
        "parties": list(range(len(voices))),
    }
    if recording is not None:
        dialog |= {
            "parties": [_speaking(voices, channel, recording.channels) for channel in range(recording.channels)],
            "mediatype": recording.media_type,
            "filename": recording.filename,
            "body": base64url(recording.data),
            "encoding": "base64url",
        }
    if came_and_went := _history(heading, voices):
        dialog["party_history"] = came_and_went
    return dialog


def _speaking(voices: Sequence[Voice], channel: int, channels: int) -> int | list[int]:
    """Who is heard on a channel, one after the other; on the last also those for whom there is none."""
    last = channel == channels - 1
    heard = [
        n
        for n, voice in enumerate(voices)
        if voice.channel is not None and (voice.channel == channel or (last and voice.channel > channel))
    ]
    return heard[0] if len(heard) == 1 else heard


def _history(heading: Heading, voices: Sequence[Voice]) -> list[dict[str, Any]]:
    def at(seconds: float) -> str:
        return _date(heading.started_ns + round(seconds * 1e9))

    came = [{"party": n, "time": at(v.joined_s), "event": "join"} for n, v in enumerate(voices) if v.joined_s > 0]
    went = [{"party": n, "time": at(v.left_s), "event": "drop"} for n, v in enumerate(voices) if v.left_s is not None]
    return sorted([*came, *went], key=lambda event: str(event["time"]))


def _analyses(heading: Heading, voices: Sequence[Voice], transcript: Transcript | None) -> list[dict[str, Any]]:
    absent = {"absent": [list(span) for span in heading.absent], "cuts": [list(span) for span in heading.cuts]}
    about = {"dialog": 0, "mediatype": "application/json", "vendor": VENDOR, "encoding": "json"}
    analyses: list[dict[str, Any]] = [{"type": "report", **about, "schema": ABSENT, "body": absent}]
    if transcript is not None:
        document = json.loads(to_json(heading, voices, transcript))
        product = f"{transcript.engine}, {transcript.model}"
        told = {"type": "transcript", **about, "product": product, "schema": document["format"], "body": document}
        analyses.insert(0, told)
    return analyses


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
