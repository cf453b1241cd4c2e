"""The systemd units: accepted by systemd without a word, hardened, and each blind to what is none of its business."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.commands.run import PROCESSES as NICE
from agent.config import Settings
from agent.desk.server import MOST_CONNECTIONS

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
PROCESSES = sorted(NICE)

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings(path: Path) -> dict[str, str]:
    """The unit's settings; those given several times are joined."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found[match[1]] = f"{found.get(match[1], '')} {match[2]}".strip()
    return found


def test_there_is_one_for_each_process() -> None:
    assert [path.stem for path in SERVICES] == [f"greffier-{name}" for name in PROCESSES]
    wanted = settings(UNITS / "greffier.target")["Wants"].split()
    assert sorted(wanted) == [path.name for path in SERVICES]


def test_systemd_accepts_them_without_a_word(tmp_path: Path) -> None:
    for path in [*SERVICES, UNITS / "greffier.target"]:
        text = path.read_text().replace("/opt/greffier/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("way", ["systemd-creds", "tpm2", "passphrase"])
def test_systemd_accepts_the_drop_ins_of_each_way_to_keep_the_keys(tmp_path: Path, way: str) -> None:
    for path in [*SERVICES, UNITS / "greffier.target", *(UNITS / "keys" / way).glob("*.service")]:
        text = path.read_text().replace("/opt/greffier/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text)
    dropped = list((UNITS / "keys" / way).glob("*.conf"))
    assert {path.stem for path in dropped} == {"greffier-scribe", "greffier-recorder"}, "they alone have secrets"
    for path in dropped:
        folder = tmp_path / f"{path.stem}.service.d"
        folder.mkdir()
        shutil.copy(path, folder / "keys.conf")
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    units = [str(path) for path in tmp_path.glob("*.service")]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_process_is_given_its_own_key_and_no_other() -> None:
    given = {path.stem: settings(path) for path in (UNITS / "keys" / "systemd-creds").glob("*.conf")}
    assert given["greffier-scribe"]["LoadCredentialEncrypted"].startswith("greffier-box.key:")
    assert given["greffier-recorder"]["LoadCredentialEncrypted"].startswith("greffier-lists.key:")
    hidden = settings(UNITS / "greffier-recorder.service")["InaccessiblePaths"].split()
    assert {"-/etc/greffier/keys/box.key", "-/etc/greffier/keys/box.key.cred"} <= set(hidden)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_they_are_hardened(path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=25", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", ["recorder", "scribe"])
def test_who_has_a_socket_may_make_it_and_leaves_those_of_others(name: str) -> None:
    unit = settings(UNITS / f"greffier-{name}.service")
    assert unit["RuntimeDirectory"] == "greffier", "all else of /run is read-only"
    assert unit["RuntimeDirectoryPreserve"] == "yes", "the other's sockets lie there too"


@pytest.mark.parametrize("name", PROCESSES)
def test_each_runs_its_process_and_leaves_no_memory_on_disk(name: str) -> None:
    unit = settings(UNITS / f"greffier-{name}.service")
    assert f"-m agent.{name} --config" in unit["ExecStart"]
    assert (unit["LimitCORE"], unit["MemorySwapMax"], unit["NoNewPrivileges"]) == ("0", "0", "yes")
    capabilities = "CAP_NET_RAW" if name == "recorder" else ""
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == capabilities
    assert unit["User"] == "greffier"
    assert int(unit["Nice"]) == NICE[name], "as `greffier run` starts it"
    assert unit["RestartPreventExitStatus"] == "78", "a configuration that is refused is not tried again"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (
            "recorder",
            [
                "identities",
                "purpose-keys",
                "site.pem",
                "numbers.key",
                "directory.sqlite3",
                "/keys/desk",
                "/cti",
                "/destinations",
                "/search",
            ],
        ),
        (
            "scribe",
            [
                "purpose-keys",
                "desk-tokens.txt",
                "/tls",
                "directory.sqlite3",
                "/keys/desk",
                "/lists.key",
                "/cti",
                "/destinations",
            ],
        ),
        (
            "courier",
            [
                "identities",
                "callkeys",
                "capture",
                "/keys",
                "purpose-keys",
                "/tls",
                "directory.sqlite3",
                "/cti",
                "/searchkeys",
            ],
        ),
        ("desk", ["identities", "callkeys", "capture", "purpose-keys", "/tls", "/searchkeys", "/destinations"]),
    ],
)
def test_what_each_must_not_see(name: str, hidden: list[str]) -> None:
    unit = settings(UNITS / f"greffier-{name}.service")
    for part in hidden:
        assert any(path.endswith(part) for path in unit["InaccessiblePaths"].split()), part


def test_of_the_keys_the_desk_sees_its_own_alone() -> None:
    unit = settings(UNITS / "greffier-desk.service")
    assert "/etc/greffier/keys:ro" in unit["TemporaryFileSystem"].split()
    assert unit["BindPaths"] == "-/etc/greffier/keys/desk"


def test_of_the_outbox_the_desk_sees_nothing_until_it_is_told_to() -> None:
    unit = settings(UNITS / "greffier-desk.service")
    assert "/var/lib/greffier/outbox:ro" in unit["TemporaryFileSystem"].split()
    assert "outbox" not in unit["BindPaths"] + unit["ReadWritePaths"] and "BindReadOnlyPaths" not in unit


def test_the_courier_has_a_socket_and_sees_none_of_the_others() -> None:
    unit = settings(UNITS / "greffier-courier.service")
    assert Settings().courier_socket.parent == Path("/run") / unit["RuntimeDirectory"]
    assert unit["RuntimeDirectoryPreserve"] == "yes", "the desk goes on seeing the folder"
    assert "-/run/greffier" in unit["InaccessiblePaths"].split()


def test_the_desk_may_have_as_many_connections_as_it_takes() -> None:
    unit = settings(UNITS / "greffier-desk.service")
    assert int(unit["LimitNOFILE"]) > MOST_CONNECTIONS + 1000


def test_the_scribe_has_no_network() -> None:
    assert settings(UNITS / "greffier-scribe.service")["PrivateNetwork"] == "yes"
