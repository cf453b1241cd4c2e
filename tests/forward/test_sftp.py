"""SFTP against OpenSSH's server: whole and checked or not at all, gone on with after a cut, to nobody else."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lines import line_to
from servers import Counting, needs
from ssh_server import SshServer, host_line, make_key, sshd

from agent.config.destinations import SftpSection
from agent.forward.destination import Poison, Retry, Terms, Unsupported
from agent.forward.sftp import SftpDestination

KEY = "evidence/call.audio.flac.age"
PARTIAL = ".call.audio.flac.age.partial"
MIB = 1 << 20


class NoUpload:
    """SFTP needs no ids: what is there says how far it came."""

    upload_id = None

    def remember(self, upload_id: str | None) -> None:
        raise AssertionError(upload_id)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]) -> Iterator[SshServer]:
    needs("sshd", "openssh-server")
    root = tmp_path_factory.mktemp("sshd")
    with sshd(root, free_ports(1)[0], root / "files") as made:
        yield made


@pytest.fixture
def folder(server: SshServer, tmp_path: Path) -> Path:
    """A folder of this test's own at the server."""
    made = server.folder / tmp_path.name
    made.mkdir()
    return made


@pytest.fixture
def centre(server: SshServer, folder: Path) -> Callable[..., SftpDestination]:
    def make(throttle=None, **changes) -> SftpDestination:
        section = server.section(**{"folder": str(folder)} | changes)
        return SftpDestination("centre", SftpSection.model_validate(section), throttle)

    return make


def source(tmp_path: Path, size: int = 1000) -> tuple[Path, str, int]:
    path = tmp_path / "local.age"
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), size


def put(destination: SftpDestination, local: tuple[Path, str, int], key: str = KEY) -> str:
    path, digest, size = local
    return destination.put(path, key, digest, size, NoUpload(), Terms()).where


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_file_is_there_whole_and_a_second_time_does_no_harm(centre, folder: Path, tmp_path: Path) -> None:
    local, throttle = source(tmp_path, 3 * MIB + 7), Counting()
    sftp = centre(throttle, prefix="lyon")
    where = put(sftp, local)
    assert where.startswith("sftp://127.0.0.1:") and where.endswith(f"{folder}/lyon/{KEY}")
    put(sftp, local)
    assert sum(throttle.taken) == local[2] and max(throttle.taken) <= MIB, "every byte once, piece by piece"
    assert files(folder) == [f"lyon/{KEY}"]
    assert (folder / "lyon" / KEY).read_bytes() == local[0].read_bytes()


def test_another_file_of_this_name_is_never_replaced(centre, folder: Path, tmp_path: Path) -> None:
    (folder / "evidence").mkdir()
    (folder / KEY).write_bytes(b"theirs")
    with pytest.raises(Poison, match="another file"):
        put(centre(), source(tmp_path))
    assert (folder / KEY).read_bytes() == b"theirs" and files(folder) == [KEY]


def test_a_partial_file_is_gone_on_with_if_it_is_of_this_file(centre, folder: Path, tmp_path: Path) -> None:
    local = source(tmp_path, 2 * MIB)
    partial = folder / "evidence" / PARTIAL
    partial.parent.mkdir()
    partial.write_bytes(local[0].read_bytes()[: MIB + 5])
    throttle = Counting()
    put(centre(throttle), local)
    assert sum(throttle.taken) == MIB - 5
    (folder / KEY).unlink()
    for wrong in (b"x" * MIB, b"x" * (3 * MIB)):
        partial.write_bytes(wrong)
        if len(wrong) < local[2]:
            with pytest.raises(Retry, match="read back"):
                put(centre(), local)
            assert files(folder) == []
        put(centre(), local)
        assert files(folder) == [KEY] and (folder / KEY).read_bytes() == local[0].read_bytes()
        (folder / KEY).unlink()


def test_s32_a_connection_that_is_cut_leaves_a_part_that_is_gone_on_with(
    server: SshServer, centre, folder: Path, tmp_path: Path
) -> None:
    local = source(tmp_path, 6 * MIB)
    with line_to(server.port) as line:
        known = tmp_path / "known_hosts"
        known.write_text(host_line(line.port, server.key_file.with_name("host_key.pub")))
        throttle = Counting()
        sftp = centre(throttle, port=line.port, known_hosts_file=known)
        sftp.check()
        line.cut_at = line.sent + 3 * MIB
        with pytest.raises(Retry, match=r"broke off|cannot be reached"):
            put(sftp, local)
        assert files(folder) == [f"evidence/{PARTIAL}"] and local[0].exists()
        with pytest.raises(Retry):
            put(sftp, local)
        line.cut_at = None
        before = sum(throttle.taken)
        put(sftp, local)
        assert 0 < sum(throttle.taken) - before < 5 * MIB, "what was there was not sent again"
    assert files(folder) == [KEY] and (folder / KEY).read_bytes() == local[0].read_bytes()


def test_only_the_host_key_on_file_is_believed(server: SshServer, centre, folder: Path, tmp_path: Path) -> None:
    local, known = source(tmp_path), tmp_path / "known_hosts"
    other = make_key(tmp_path / "other")
    for lines in ("", "# nobody yet\n", host_line(server.port, other.with_suffix(".pub"))):
        known.write_text(lines)
        with pytest.raises(Poison, match=f"ssh-keyscan -p {server.port} 127.0.0.1"):
            put(centre(known_hosts_file=known), local)
    known.unlink()
    with pytest.raises(Poison, match="known_hosts: No such file"):
        put(centre(known_hosts_file=known), local)
    assert files(folder) == []


def test_what_somebody_must_mend_is_poison_in_words(centre, folder: Path, tmp_path: Path) -> None:
    local = source(tmp_path)
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(Poison, match="does not let"):
        put(centre(key_file=stranger), local)
    stranger.chmod(0o644)
    with pytest.raises(Poison, match="chmod 600"):
        put(centre(key_file=stranger), local)
    (tmp_path / "noise").write_text("noise")
    (tmp_path / "noise").chmod(0o600)
    with pytest.raises(Poison, match="no private key"):
        put(centre(key_file=tmp_path / "noise"), local)
    with pytest.raises(Poison, match="no folder"):
        put(centre(folder=str(folder / "away")), local)
    with pytest.raises(Retry, match="cannot be reached"):
        put(centre(port=1), local)


def test_the_key_may_be_held_by_an_ssh_agent(server: SshServer, centre, folder: Path, tmp_path: Path) -> None:
    socket = tmp_path / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        environment = os.environ | {"SSH_AUTH_SOCK": str(socket)}
        while subprocess.run(["ssh-add", "-q", server.key_file], env=environment, check=False).returncode:
            assert agent.poll() is None
        put(centre(key_file=None, agent_socket=socket), source(tmp_path))
    finally:
        agent.terminate()
        agent.wait()
    assert files(folder) == [KEY]


def test_a_full_disk_is_waited_for_and_gone_on_with(centre, full_disk: Path, tmp_path: Path) -> None:
    local = source(tmp_path, 900 << 10)
    filler = full_disk / "filler"
    filler.write_bytes(b"x" * (600 << 10))
    sftp = centre(folder=str(full_disk))
    with pytest.raises(Retry, match="full"):
        put(sftp, local)
    filler.unlink()
    put(sftp, local)
    assert (full_disk / KEY).read_bytes() == local[0].read_bytes()


def test_what_is_destroyed_or_abandoned_is_gone_and_nothing_else(centre, folder: Path, tmp_path: Path) -> None:
    sftp = centre()
    sftp.check()
    assert files(folder) == []
    put(sftp, source(tmp_path))
    put(sftp, source(tmp_path), KEY + ".other")
    (folder / "evidence" / PARTIAL).write_bytes(b"half")
    sftp.abandon(KEY, NoUpload())
    assert files(folder) == [KEY, KEY + ".other"]
    sftp.destroy(KEY)
    sftp.destroy(KEY)
    sftp.abandon("nowhere/at/all", NoUpload())
    assert files(folder) == [KEY + ".other"]
    with pytest.raises(Poison, match="no folder"):
        centre(folder=str(folder / "away")).destroy(KEY)
    with pytest.raises(Unsupported):
        sftp.hold(KEY, True)
