"""Listens to live calls: connects to the recorder's live socket, and again whenever the connection ends.

Messages and what a listener owes: docs/live-audio.md.
"""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.model.live import Malformed, Message, Parser, Sound
from agent.scribe.sound import Stretch, stretch_of

READ_BYTES = 1 << 16
NOTICE_S = 0.25
"""How soon a wish to stop is noticed."""
REST_S = 1.0
"""Before it connects again: two listeners would take each other's place for ever, and as fast as they can."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Away:
    """The connection is over: all that is known of calls that were not over must be wiped from memory at once."""


def messages(path: Path, stop: threading.Event) -> Iterator[Message | Away]:
    """What comes on the socket at `path`, until `stop` is set. It blocks; read fast, or sound is dropped."""
    while not stop.is_set():
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:  # no file descriptors left
            log.warning("live.lost", kind=type(error).__name__)
            stop.wait(REST_S)
            continue
        with connection:
            connection.settimeout(NOTICE_S)
            try:
                connection.connect(str(path))
            except OSError:
                stop.wait(REST_S)
                continue
            log.info("live.listening")
            try:
                yield from _read(connection, stop)
            except (OSError, Malformed) as error:
                log.warning("live.lost", kind=type(error).__name__)
        yield Away()
        stop.wait(REST_S)


def heard(sound: Sound) -> Stretch | None:
    """The stretch of a message, to be decoded; None where it cannot be read, and is to be passed over."""
    return stretch_of(sound.stream, sound.codec, sound.position, sound.payload)


def _read(connection: socket.socket, stop: threading.Event) -> Iterator[Message]:
    parser = Parser()
    while not stop.is_set():
        try:
            data = connection.recv(READ_BYTES)
        except TimeoutError:
            continue
        if not data:
            return
        yield from parser.feed(data)
