"""The configuration: where it lies, what is refused, and where the token comes from; and what `--check` says."""

import io
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority
from desk_double import TOKEN, DeskDouble, serving
from greffier_desk.api import fingerprint, shown_fingerprint
from greffier_desk.check import check
from greffier_desk.config import ConfigError, connect, load, places, read_token, state_file
from greffier_desk.lamp import find_python
from greffier_desk.sound import MELODIES, RATE, Speaker, render
from greffier_desk.state import Sound
from running_site import wait_for

GOOD = 'desk = "https://greffier.example:8470"\nagent = "2001"\n'
PIN = "ab" * 32


def file(folder: Path, text: str, name: str = "greffier-desk.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_it_lies_where_each_system_keeps_such_things() -> None:
    linux = places({"HOME": "/home/ann"}, "linux")
    assert [str(path) for path in linux] == ["/etc/greffier-desk.toml", "/home/ann/.config/greffier-desk.toml"]
    windows = places({"USERPROFILE": "U", "PROGRAMDATA": "P", "APPDATA": "A"}, "win32")
    assert windows == [Path("P/Greffier/greffier-desk.toml"), Path("A/Greffier/greffier-desk.toml")]
    mac = places({"HOME": "/Users/ann"}, "darwin")
    assert mac[1] == Path("/Users/ann/Library/Application Support/Greffier/greffier-desk.toml")
    assert state_file({"HOME": "/h"}, "linux") == Path("/h/.local/state/greffier-desk/light.json")
    assert state_file({"USERPROFILE": "U", "LOCALAPPDATA": "L"}, "win32") == Path("L/Greffier/light.json")


def test_the_persons_file_counts_over_the_machines(tmp_path: Path) -> None:
    machine = file(
        tmp_path, GOOD + f'pin = "{":".join([PIN[:2]] * 32).upper()}"\n[keys]\nkeep = "<f8>"\n', "machine.toml"
    )
    person = file(tmp_path, 'agent = "2002"\nlang = "fr"\n[keys]\ntoggle = "<f9>"\n', "person.toml")
    found = load([machine, tmp_path / "absent", person], {})
    assert (found.agent, found.lang, found.pin) == ("2002", "fr", (PIN,))
    assert (found.keys.toggle, found.keys.keep) == ("<f9>", "<f8>")
    assert load([machine], {"GREFFIER_DESK_AGENT": "2003"}).agent == "2003"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "`desk = "),
        ('desk = "https://h"\n', "`agent = "),
        (GOOD + "nonsense = 1\n", "`nonsense` is not known"),
        (GOOD + 'token = "x"\n', "`token` is not known"),
        (GOOD + "[keys]\ntogle = 1\n", "`keys.togle` is not known"),
        (GOOD + "[sound]\non = 1\n", "`sound.on`: expected true or false"),
        (GOOD + "[sound]\nvolume = 101\n", "`sound.volume`"),
        (GOOD + "[light]\nwidth = true\n", "`light.width`: expected a whole number"),
        (GOOD + "[light]\nwidth = 5\n", "`light.width`: expected 120"),
        (GOOD + 'pedal = "x"\n', "`pedal` is a section"),
        (GOOD + '[pedal]\nmode = "x"\n', "`pedal.mode`: expected one of toggle, hold"),
        (GOOD + 'lang = "de"\n', "`lang`"),
        (GOOD + 'pin = "abcd"\n', "64 hexadecimal digits"),
        (GOOD + "pin = 3\n", "`pin`"),
        ('desk = "http://10.0.0.1"\nagent = "1"\n', "https://"),
        ("desk = \n", "greffier-desk.toml"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load([path], {})
    assert said in str(raised.value) and str(path) in str(raised.value)


def test_the_token_is_of_a_file_that_nobody_else_reads_or_of_the_environment(tmp_path: Path) -> None:
    token = file(tmp_path, "secret-of-the-agent\n", "token")
    token.chmod(0o600)
    settings = load([file(tmp_path, GOOD + f'token_file = "{token}"\n')], {})
    assert read_token(settings, {}) == "secret-of-the-agent"
    assert read_token(settings, {"GREFFIER_DESK_TOKEN": "another-secret"}) == "another-secret"
    for mode in (0o640, 0o604, 0o620):
        token.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600") as raised:
            read_token(settings, {})
        assert "secret" not in str(raised.value)
    token.chmod(0o600)
    for broken in ("", "two words here", "bad\nlines-of-header", "ü" * 20, "x" * 600):
        token.write_text(broken)
        with pytest.raises(ConfigError, match="not one") as raised:
            read_token(settings, {})
        assert not broken or broken not in str(raised.value)
    token.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(settings, {})
    with pytest.raises(ConfigError, match="no token"):
        read_token(load([file(tmp_path, GOOD)], {}), {})
    assert "another-secret" not in repr(connect(settings, {"GREFFIER_DESK_TOKEN": "another-secret"}))


def test_the_command_line_takes_no_token(desk: DeskDouble) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "greffier_desk", "--token", TOKEN], capture_output=True, check=False, cwd="client"
    )
    assert done.returncode == 2


def test_check_says_what_is_wrong(desk: DeskDouble, configured: Callable[..., Path], tmp_path: Path) -> None:
    said: list[str] = []
    assert check(
        [configured(f"http://127.0.0.1:{desk.port}", '[pedal]\ndevice = "none"\nkey = "KEY_A"\n')], said.append
    )
    text = "\n".join(said)
    assert "agent 2001 is recording" in text and "WRONG  pedal: no device" in text
    assert TOKEN not in text
    said.clear()
    assert check([tmp_path / "absent"], said.append) == 1 and "`desk = " in said[-1]


def test_check_shows_the_fingerprint_of_a_certificate_that_is_not_trusted(
    free_port: int, configured: Callable[..., Path], tmp_path: Path
) -> None:
    issued = Authority(tmp_path, "box").issue("lyon-1")
    with serving(DeskDouble(free_port), certificate=issued.certificate, key=issued.key):
        said: list[str] = []
        check([configured(f"https://127.0.0.1:{free_port}")], said.append)
        pin = shown_fingerprint("127.0.0.1", free_port, 30)
        assert f'pin = "{pin}"' in "\n".join(said) and pin != fingerprint(b"")
        said.clear()
        check([configured(f"https://127.0.0.1:{free_port}", f'pin = "{pin}"\n')], said.append)
        assert "is recording" in "\n".join(said)


def test_sounds_are_wav_files_told_apart_by_their_melody() -> None:
    assert set(MELODIES) == set(Sound) - {Sound.NONE} and len(set(MELODIES.values())) == len(MELODIES)
    with wave.open(io.BytesIO(render(MELODIES[Sound.ALARM], 100))) as file:
        frames = file.readframes(file.getnframes())
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
    assert max(frames[1::2]) > 100 and not any(render(MELODIES[Sound.ALARM], 0)[44:])


def test_sounds_are_played_by_a_program_and_only_the_alarm_when_off(tmp_path: Path) -> None:
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\ncat "$1" >/dev/null && basename "$1" >> {tmp_path}/played\n')
    player.chmod(0o755)

    def played() -> list[str]:
        return (tmp_path / "played").read_text().split() if (tmp_path / "played").exists() else []

    speaker = Speaker(60, True, [str(player)])
    speaker.play(Sound.NONE)
    speaker.play(Sound.PAUSED)
    wait_for("the tone", lambda: played() == ["paused.wav"])
    quiet = Speaker(60, False, [str(player)])
    quiet.play(Sound.PAUSED)
    quiet.play(Sound.ALARM)
    wait_for("the alarm", lambda: played() == ["paused.wav", "alarm.wav"])
    Speaker(60, True, [str(tmp_path / "absent")]).play(Sound.ALARM)
    speaker.stop()


def test_some_python_here_draws_the_light() -> None:
    assert find_python(""), "neither this Python nor the system's has tkinter: apt install python3-tk"
    assert find_python("/there/is/none") is None
