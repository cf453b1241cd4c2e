"""The directory: tokens kept only as digests, found only while they are good; agents and whose extension is whose."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.identity import Agent, Device, Right, Scope
from agent.store import directory
from agent.store.directory import Directory, DirectoryReader, LastUse, taken_back

DAY_NS = 86400 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the directory will be."""
    return tmp_path / "state" / "directory.sqlite3"


def test_a_token_is_shown_once_and_stored_only_as_a_digest(path: Path) -> None:
    made = Directory(path).add_token(Right.AGENT, 1, extension="2001", name="ann")
    assert made.encode() not in path.read_bytes() and len(made) >= 43
    assert path.stat().st_mode & 0o777 == 0o600
    reader = DirectoryReader(path)
    found = reader.find(made, 2)
    assert found is not None and (found.right, found.extension, found.own) == (Right.AGENT, "2001", {"2001"})
    for wrong in ("", made + "x", made[:-1], made.swapcase(), "\udcff", "x" * 10_000):
        assert reader.find(wrong, 2) is None


def test_a_revoked_or_expired_token_opens_nothing_from_then_on(path: Path) -> None:
    directory, reader = Directory(path), DirectoryReader(path)
    short = directory.add_token(Right.ADMIN, 1, expires_ns=90 * DAY_NS)
    long = directory.add_token(Right.ADMIN, 2)
    assert reader.find(short, 90 * DAY_NS - 1) and not reader.find(short, 90 * DAY_NS)
    assert reader.find(long, 91 * DAY_NS)
    _, kept = directory.tokens()
    directory.revoke(kept.token_id[:6], 5)
    assert not reader.find(long, 6), "the same open reader, the next question"
    assert reader.find(short, 6) and reader.knows(long)
    with pytest.raises(ValueError, match="no token"):
        directory.revoke("%", 7)
    with pytest.raises(ValueError, match="no token"):
        directory.revoke("", 7)


def test_an_agent_has_several_extensions_and_a_supervisor_sees_all(path: Path) -> None:
    directory, reader = Directory(path), DirectoryReader(path)
    directory.add_agents([Agent("Ann", ("2001", "2011")), Agent("Bob", ("2002",), True)], 1)
    ann = reader.find(directory.add_token(Right.AGENT, 1, extension="2001"), 2)
    phone = reader.find(directory.add_token(Right.AGENT, 1, extension="2002", device=Device.PHONE, name="desk-2"), 2)
    bob = reader.find(directory.add_token(Right.AGENT, 1, extension="2002"), 2)
    assert ann and phone and bob
    assert ann.own == {"2001", "2011"} and ann.may_press_for("2011") and not ann.may_press_for("2002")
    assert not ann.may_press_for(None)
    assert bob.sees_all and bob.may_press_for(None) and bob.actor("2001") == "supervisor:2002"
    assert bob.actor("2002") == "agent:2002" == phone.actor("2002") and not phone.sees_all


def test_with_an_agent_go_the_tokens_of_its_extensions(path: Path) -> None:
    directory, reader = Directory(path), DirectoryReader(path)
    directory.add_agents([Agent("Ann", ("2001", "2011")), Agent("Bob", ("2002",))], 1)
    tokens = [directory.add_token(Right.AGENT, 1, extension=e) for e in ("2001", "2011", "2002")]
    assert directory.remove_agent("Ann", 3) == 2
    assert [bool(reader.find(t, 4)) for t in tokens] == [False, False, True]
    directory.add_agents([Agent("Eve", ("2001",))], 5)
    assert reader.find(tokens[0], 6) is None, "who has the extension now has tokens of her own"
    with pytest.raises(ValueError, match="no agent"):
        directory.remove_agent("Ann", 7)


@pytest.mark.parametrize(
    ("agents", "why"),
    [
        ([Agent("Eve", ("2003",)), Agent("Ann", ("2004",))], "already"),
        ([Agent("Eve", ("2003", "2001"))], "already that of 'Ann'"),
        ([Agent("Eve", ("2003",)), Agent("Max", ())], "no extension"),
        ([Agent("Eve", ("2003",)), Agent("Max", ("20 04",))], "is no extension"),
        ([Agent("Eve", ("2003",)), Agent("M\x1b[2J", ("2004",))], "printable"),
    ],
)
def test_agents_are_added_all_or_none(path: Path, agents: list[Agent], why: str) -> None:
    directory = Directory(path)
    directory.add_agents([Agent("Ann", ("2001",))], 1)
    with pytest.raises(ValueError, match=why):
        directory.add_agents(agents, 2)
    assert directory.agents() == [Agent("Ann", ("2001",))]


@pytest.mark.parametrize(
    "token",
    [
        (Right.AGENT, None, None, "x"),
        (Right.ADMIN, "2001", None, "x"),
        (Right.ADMIN, None, Device.PHONE, "x"),
        (Right.ADMIN, None, None, "two words"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(path: Path, token: tuple) -> None:
    right, extension, device, name = token
    with pytest.raises(ValueError):
        Directory(path).add_token(right, 1, extension=extension, device=device, name=name)
    assert Directory(path).tokens() == []


def test_a_directory_that_takes_the_place_of_another_is_read(path: Path) -> None:
    old = Directory(path).add_token(Right.ADMIN, 1)
    reader = DirectoryReader(path)
    assert reader.find(old, 2)
    other = path.with_name("restored.sqlite3")
    new = Directory(other).add_token(Right.ADMIN, 1)
    other.rename(path)
    assert reader.find(new, 2) and not reader.find(old, 2)


def test_no_directory_lets_nobody_in_and_is_not_made_by_reading(path: Path) -> None:
    reader = DirectoryReader(path)
    assert reader.find("x" * 43, 1) is None and not reader.knows("x" * 43) and not path.exists()
    made = Directory(path).add_token(Right.ADMIN, 1)
    assert reader.find(made, 2) == Scope(Right.ADMIN, token_id=Directory(path).tokens()[0].token_id)


READ_ONLY = 'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec python3 -c "$0"'


def as_the_desk(folder: Path, code: str) -> str:
    """What this prints where the folder is read-only, as another user: so it is for the desk's unit."""
    code = (
        "import os; from agent.store.directory import DirectoryReader as R; from pathlib import Path as P;"
        f"os.setgroups([]); os.setgid(65534); os.setuid(65534); reader = R(P('{folder}/directory.sqlite3'));" + code
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY.format(folder=folder), code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder of the service's, as on a site, in which root adds tokens."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 65534, 65534)
        yield Path(name)


def test_what_root_writes_the_desks_user_reads_where_it_may_write_nothing(state: Path) -> None:
    path = state / "directory.sqlite3"
    made = Directory(path).add_token(Right.ADMIN, 1)
    Directory(path).add_token(Right.ADMIN, 2)
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (65534, 0o600)
    assert [p.name for p in state.iterdir()] == [path.name], "nothing beside it that could belong to root"
    assert as_the_desk(state, f"print(reader.find('{made}', 5) is not None)") == "True"


def cut_off(path: Path) -> None:
    """A change that the power cut ended: part of it is in the file already, and its journal lies beside it."""
    code = (
        "import os, signal, sqlite3, sys; from pathlib import Path; from agent.vault.secretfile import as_owner\n"
        "path = Path(sys.argv[1])\n"
        "with as_owner(path.parent):\n"
        "    db = sqlite3.connect(path, isolation_level=None); db.execute('PRAGMA cache_size = 1')\n"
        "    db.execute('BEGIN IMMEDIATE'); db.execute('UPDATE tokens SET revoked_ns = 3')\n"
        "    for n in range(3000): db.execute('INSERT INTO agents VALUES (?, 0, 0)', [f'nobody {n}'])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -signal.SIGKILL
    assert (path.parent / f"{path.name}-journal").stat().st_size > 0


def test_a_change_that_was_cut_off_locks_nobody_out_and_is_as_if_it_had_never_been(state: Path) -> None:
    path = state / "directory.sqlite3"
    made = Directory(path).add_token(Right.ADMIN, 1)
    cut_off(path)
    files = {p.name: p.read_bytes() for p in state.iterdir()}
    look = f"print(reader.find('{made}', 5) is not None, reader.knows('{'x' * 43}'), reader._db is not None)"
    assert as_the_desk(state, look) == "True False True"
    assert {p.name: p.read_bytes() for p in state.iterdir()} == files, "which the desk cannot mend"
    assert len(Directory(path).tokens()) == 1, "but any command does"
    assert [p.name for p in state.iterdir()] == [path.name]


def test_once_a_command_has_taken_it_back_the_directory_itself_is_read_again(path: Path) -> None:
    made = Directory(path).add_token(Right.ADMIN, 1)
    cut_off(path)
    with pytest.MonkeyPatch.context() as patch:
        opened: list[Path] = []
        patch.setattr(directory, "taken_back", lambda at: opened.append(at) or taken_back(at))
        reader = DirectoryReader(path)
        assert reader.find(made, 5) is not None and reader.find(made, 6) is not None
        assert len(opened) == 1, "copied once, not for every request"
        (token,) = Directory(path).tokens()
        Directory(path).revoke(token.token_id, 7)
        assert reader.find(made, 8) is None and len(opened) == 1


def test_last_use_is_kept_by_the_day(tmp_path: Path) -> None:
    path = tmp_path / "desk" / "last-use.sqlite3"
    uses = LastUse(path)
    assert uses.days() == {}
    uses.note("a", "2026-11-24")
    before = path.stat().st_mtime_ns
    uses.note("a", "2026-11-24")
    assert path.stat().st_mtime_ns == before, "written once a day"
    uses.note("a", "2026-11-25")
    uses.note("b", "2026-11-25")
    assert LastUse(path).days() == {"a": "2026-11-25", "b": "2026-11-25"}
