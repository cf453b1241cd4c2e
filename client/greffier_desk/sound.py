"""Short tones on a change, played by what the system has; nothing ever waits for them.

Each is told from the others by its melody: falling for paused, rising for recorded again, a siren for a failed press.
"""

import io
import math
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

from greffier_desk.state import Sound

RATE = 22050
LONGEST_S = 5.0
MELODIES: Mapping[Sound, tuple[tuple[int, int], ...]] = {
    Sound.PAUSED: ((880, 90), (587, 140)),
    Sound.RECORDING: ((587, 90), (880, 140)),
    Sound.WARNING: ((784, 120), (0, 80), (784, 120)),
    Sound.OFFLINE: ((330, 250), (262, 350)),
    Sound.KEPT: ((988, 60), (1319, 90)),
    Sound.ALARM: ((1047, 180), (740, 180), (1047, 180), (740, 180), (1047, 180)),
}
"""Hertz and milliseconds of each note; 0 Hz is a rest."""
PLAYERS = (("afplay",), ("paplay",), ("pw-play",), ("aplay", "-q"))


def render(melody: tuple[tuple[int, int], ...], volume: int) -> bytes:
    """A WAV file (16 bit, mono) of a melody at 0…100 % of full scale."""
    samples: list[int] = []
    for hertz, milliseconds in melody:
        count = RATE * milliseconds // 1000
        for n in range(count):
            edge = min(1.0, n / 200, (count - n) / 200)  # no clicks
            samples.append(int(32767 * volume / 100 * edge * math.sin(2 * math.pi * hertz * n / RATE)))
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def find_player() -> list[str] | None:
    """The command that plays a WAV file here; None: none is found."""
    for command in PLAYERS:
        if found := shutil.which(command[0]):
            return [found, *command[1:]]
    return None


class Speaker:
    """Plays sounds one after another from a thread; what comes while three wait is left out, but never an alarm."""

    def __init__(self, volume: int, is_on: bool, player: list[str] | None) -> None:
        self._volume, self._is_on, self._player = volume, is_on, player
        self._waiting: queue.SimpleQueue[Sound] = queue.SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="greffier-desk-", ignore_cleanup_errors=True)
        threading.Thread(target=self._work, name="sound", daemon=True).start()

    @property
    def works(self) -> bool:
        """Whether there is something to play with."""
        return sys.platform == "win32" or self._player is not None

    def play(self, sound: Sound) -> None:
        """Returns at once."""
        is_alarm = sound is Sound.ALARM
        if sound is not Sound.NONE and (is_alarm or self._is_on) and self._waiting.qsize() < (6 if is_alarm else 3):
            self._waiting.put(sound)

    def stop(self) -> None:
        """Be quiet, and leave nothing behind."""
        self._folder.cleanup()

    def _work(self) -> None:
        play = self._player_of(Path(self._folder.name))
        while True:
            play(self._waiting.get())

    def _player_of(self, folder: Path) -> Callable[[Sound], None]:
        """The alarm is at full volume, whatever was set."""
        rendered = {s: render(m, 100 if s is Sound.ALARM else self._volume) for s, m in MELODIES.items()}
        if sys.platform == "win32":
            import winsound  # noqa: PLC0415

            return lambda sound: winsound.PlaySound(rendered[sound], winsound.SND_MEMORY)
        for sound, content in rendered.items():
            (folder / f"{sound.value}.wav").write_bytes(content)

        def play(sound: Sound) -> None:
            if self._player is None:
                return
            command = [*self._player, str(folder / f"{sound.value}.wav")]
            try:
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=LONGEST_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                return

        return play
