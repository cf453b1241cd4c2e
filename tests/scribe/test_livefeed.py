"""The scribe's ear: what comes is given on, and whenever the connection ends it says so and connects again."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.capture.frames import pack as packets
from agent.model.call import Codec, MediaFormat
from agent.model.live import Conversation, Forget, Hello, Over, Sound, pack
from agent.model.media import Frames, StreamChunk
from agent.scribe import livefeed
from agent.scribe.livefeed import Away, heard, messages

ID = "00112233445566778899aabbccddeeff"


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, Path]]:
    """A recorder's socket, and its path."""
    monkeypatch.setattr(livefeed, "REST_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "live.sock"))
        server.listen(4)
        server.settimeout(20)
        yield server, tmp_path / "live.sock"


def test_it_listens_again_and_says_what_must_be_forgotten(listening) -> None:
    server, path = listening
    stop, found = threading.Event(), []

    def listen() -> None:
        for message in messages(path, stop):
            found.append(message)
            if message == Over(ID):
                stop.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    told = [Hello(), Conversation(ID, 1), Sound(ID, 0, Codec.PCMA, 80, b"\xd5" * 80), Forget(ID, 100)]
    for last in (b"", bytes(4), pack(Over(ID))):  # the recorder dies, talks nonsense, goes on
        connection, _ = server.accept()
        connection.sendall(b"".join(map(pack, told)) + last)
        if not last:
            connection.close()
    thread.join(20)
    assert found == [*told, Away(), *told, Away(), *told, Over(ID), Away()]


def test_without_a_recorder_it_waits_and_can_be_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert list(messages(tmp_path / "none.sock", stop)) == []


def test_what_is_heard_can_be_decoded_and_what_was_wiped_is_passed_over() -> None:
    stretch = heard(Sound(ID, 1, Codec.PCMU, 800, bytes(range(160))))
    assert stretch is not None and (stretch.stream, stretch.position, stretch.end) == (1, 800, 960)
    columns = (np.array(column, np.int64) for column in ([0, 160], [160, 160], [2, 3]))
    frames = Frames(MediaFormat(96, Codec.OPUS, 48000, 2), 320, *columns)
    chunk = StreamChunk(ID, 1, Codec.OPUS, 800, np.arange(5, dtype=np.uint8), 0, frames)
    payload = bytes(packets(chunk))
    stretch = heard(Sound(ID, 1, Codec.OPUS, 800, payload))
    assert stretch is not None and stretch.end == 1120 and stretch.format.clock_rate == 48000
    assert heard(Sound(ID, 1, Codec.OPUS, 800, bytes(len(payload)))) is None
