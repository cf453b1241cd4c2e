"""One recording session: the call it carries, its dialog, and what must survive a restart of the recorder.

The snapshot is JSON; it holds numbers, names and keys, so it must only ever be kept sealed (the recorder does).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from agent.model.call import Call
from agent.model.wire import dump, load
from agent.policy.featurecodes import Typing
from agent.sip.dialog import Dialog
from agent.sip.metadata import Metadata
from agent.sip.timer import NO_TIMER, SessionTimer
from agent.sip.transaction import ServerTransaction
from agent.tap.siprec import secrecy
from agent.tap.siprec.forks import Fork, Side
from agent.tap.siprec.peers import Peer
from agent.tap.siprec.people import Numbers
from agent.tap.siprec.streams import Slots

VERSION = 2
CSEQ_LEAP = 1000
"""Requests of ours after a restart begin so much higher: those of before may not all be in the snapshot."""


@dataclass(slots=True)
class Session:
    """A live recording session. `call.parties` and `call.streams` are as they now stand.

    A call that comes as two forks has two sessions, its legs, with the same `call`.
    """

    call: Call
    dialog: Dialog
    numbers: Numbers
    sdp_id: int
    slots: Slots = ()
    metadata: Metadata | None = None
    timer: SessionTimer = NO_TIMER
    sdp_version: int = 0
    description: bytes = field(default=b"", repr=False)
    """The last description we sent."""

    offer_body: bytes = field(default=b"", repr=False)
    """The body of the last INVITE or UPDATE that was accepted."""

    peer: Peer | None = None
    invite: ServerTransaction | None = None
    expects_answer: bool = False
    started: bool = True
    cancelled: bool = False
    ends_at: float = 0.0
    """Monotonic time at which the session timer ends it (0: never), or at which a refresh of ours is due."""

    ports: list[int] = field(default_factory=list)
    secrets: Mapping[int, secrecy.StreamSecret] = field(default_factory=dict, repr=False)
    """Keys of the streams that are secure RTP, by stream."""

    transport: str = ""
    """How the peer talked to us before a restart; "" while `peer` says."""
    fork: Fork | None = None
    pressed_cseq: int = -1
    """CSeq of the last press by INFO."""
    typed: dict[str, Typing] = field(default_factory=dict, repr=False)
    """Keys by INFO that may begin a feature code, by whose they are."""
    told: Fork | None = None
    """The fork whose parties the call has already: what a leg repeats does not undo what the other one said since."""

    @property
    def own(self) -> frozenset[int]:
        """The streams of the call that this session describes."""
        return frozenset(s for s in self.slots if s is not None)

    @property
    def call_id(self) -> str:
        """Our id of the call."""
        return self.call.call_id


def snapshot(session: Session) -> bytes:
    """What `restore` needs."""
    dialog = asdict(session.dialog)
    dialog["peer_allows"] = sorted(session.dialog.peer_allows)
    value = {
        "version": VERSION,
        "call": dump(session.call).decode(),
        "metadata": dump(session.metadata).decode() if session.metadata else None,
        "dialog": dialog,
        "numbers": asdict(session.numbers),
        "sdp_id": session.sdp_id,
        "sdp_version": session.sdp_version,
        "slots": session.slots,
        "timer": asdict(session.timer),
        "description": session.description.decode("latin-1"),
        "offer_body": session.offer_body.decode("latin-1"),
        "secrets": secrecy.dump(session.secrets),
        "transport": session.peer.transport if session.peer else session.transport,
        "fork": asdict(session.fork) if session.fork else None,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def restore(data: bytes) -> Session:
    """The session of a snapshot, without a peer: the next request brings one. Raises ValueError when it is unusable."""
    try:
        value = json.loads(data)
        if value["version"] != VERSION:
            raise ValueError("the snapshot of a dialog is of another version")
        dialog = Dialog(**{f.name: value["dialog"][f.name] for f in fields(Dialog)})
        dialog.routes = tuple(dialog.routes)
        dialog.peer_allows = frozenset(dialog.peer_allows)
        dialog.local_cseq += CSEQ_LEAP
        call = load(Call, value["call"])
        slots = tuple(value["slots"])
        fork = Fork(**value["fork"]) if value["fork"] else None
        return Session(
            call=call,
            dialog=dialog,
            numbers=Numbers(**value["numbers"]),
            sdp_id=value["sdp_id"],
            slots=slots,
            metadata=load(Metadata, value["metadata"]) if value["metadata"] else None,
            timer=SessionTimer(**value["timer"]),
            sdp_version=value["sdp_version"],
            description=value["description"].encode("latin-1"),
            offer_body=value["offer_body"].encode("latin-1"),
            ports=[s.port for s in call.streams if fork is None or s.stream in slots],
            secrets=secrecy.load(value.get("secrets", [])),
            transport=value.get("transport", ""),
            fork=(fork := replace(fork, side=Side(fork.side)) if fork and fork.side else fork),
            told=fork,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the snapshot of a dialog cannot be read") from error


def snapshot_legs(legs: Sequence[Session]) -> bytes:
    """What `restore_legs` needs of all legs of a call."""
    return json.dumps([snapshot(leg).decode() for leg in legs], separators=(",", ":")).encode()


def restore_legs(data: bytes) -> list[Session]:
    """The legs of a call, all with its one `call`. Raises ValueError when the snapshot is unusable."""
    value = json.loads(data)
    if not isinstance(value, list) or not value or not all(isinstance(leg, str) for leg in value):
        raise ValueError("the snapshot of a call cannot be read")
    return [restore(leg.encode()) for leg in value]
