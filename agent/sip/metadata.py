"""Recording metadata: who takes part in a recorded session, and whose voice each labelled stream carries.

RFC 7865 §6: sessions, participants and streams, and the associations between them; §5.1.1 for partial updates.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class DataMode(StrEnum):
    """Whether metadata is the whole snapshot or adds to the one before (RFC 7865 §5.1.1)."""

    COMPLETE = "complete"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Session:
    """A communication session (§6.3)."""

    session_id: str
    group_id: str = ""
    sip_session_id: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """Someone who takes part (§6.5): address of record as given, and display name."""

    participant_id: str
    aor: str = ""
    name: str = ""
    left: bool = False
    """The metadata says that the participant has been disassociated from the session (§6.6)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A recorded stream (§6.7); `label` is the `a=label` of its m-line."""

    stream_id: str
    label: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamAssociation:
    """What a participant sends and receives (§6.8), as stream ids."""

    participant_id: str
    send: tuple[str, ...] = ()
    recv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    """One snapshot or update."""

    mode: DataMode = DataMode.COMPLETE
    sessions: tuple[Session, ...] = ()
    participants: tuple[Participant, ...] = ()
    streams: tuple[Stream, ...] = ()
    associations: tuple[StreamAssociation, ...] = ()

    def senders(self, label: str) -> tuple[str, ...]:
        """Ids of the participants whose voice the stream with this label carries: two or more when it is mixed."""
        ids = {s.stream_id for s in self.streams if s.label == label} | {label}  # some drafts name the label itself
        return tuple(a.participant_id for a in self.associations if ids.intersection(a.send))


def merge(before: Metadata | None, update: Metadata) -> Metadata:
    """The state after an update: a complete one replaces what was known, a partial one only what it names."""
    if before is None or update.mode is DataMode.COMPLETE:
        return replace(update, mode=DataMode.COMPLETE)
    participants = {p.participant_id: p for p in before.participants}
    for new in update.participants:
        old = participants.get(new.participant_id, new)
        participants[new.participant_id] = replace(new, aor=new.aor or old.aor, name=new.name or old.name)
    streams = {s.stream_id: s for s in before.streams}
    for stream in update.streams:
        label = stream.label or streams.get(stream.stream_id, stream).label
        streams[stream.stream_id] = replace(stream, label=label)
    associations = {a.participant_id: a for a in before.associations} | {
        a.participant_id: a for a in update.associations
    }
    sessions = {s.session_id: s for s in before.sessions} | {s.session_id: s for s in update.sessions}
    return Metadata(
        DataMode.COMPLETE,
        tuple(sessions.values()),
        tuple(participants.values()),
        tuple(streams.values()),
        tuple(associations.values()),
    )
