"""HTTPS PUT: created once, with its digest, read back; by and to whom it should; and honest words for what failed."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from certificates import Authority, Issued
from hypothesis import given
from hypothesis import strategies as st
from lines import line_to
from put_server import PutServer, put_server
from pydantic import ValidationError
from servers import Counting, running, webdav

from agent.config.destinations import PutSection
from agent.forward.destination import Poison, Retry, Terms, Unsupported
from agent.forward.put import PutDestination, stated_sha256

KEY = "evidence/call.audio.flac.age"
MIB = 1 << 20
TOKEN = "a-token-nobody-guesses"


class NoUpload:
    """A PUT is not gone on with."""

    upload_id = None

    def remember(self, upload_id: str | None) -> None:
        raise AssertionError(upload_id)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "centre-ca")


@pytest.fixture(scope="module")
def shown(authority: Authority) -> Issued:
    return authority.issue("centre.test")


@pytest.fixture
def server(tmp_path: Path, shown: Issued) -> Iterator[PutServer]:
    with put_server(tmp_path / "files", shown) as made:
        made.token = TOKEN
        yield made


@pytest.fixture
def centre(server: PutServer, authority: Authority, tmp_path: Path) -> Callable[..., PutDestination]:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)

    def make(throttle=None, **changes) -> PutDestination:
        section = {"kind": "put", "url": server.url, "token_file": token, "ca_file": authority.file} | changes
        return PutDestination("centre", PutSection.model_validate(section), throttle)

    return make


def source(tmp_path: Path, size: int = 1000) -> tuple[Path, str, int]:
    path = tmp_path / "local.age"
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), size


def put(destination: PutDestination, local: tuple[Path, str, int], key: str = KEY) -> str:
    path, digest, size = local
    return destination.put(path, key, digest, size, NoUpload(), Terms()).where


def files(server: PutServer) -> list[str]:
    return sorted(str(p.relative_to(server.folder)) for p in server.folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("verify", ["read", "checksum"])
def test_the_file_is_there_whole_and_a_second_time_does_no_harm(server, centre, tmp_path: Path, verify: str) -> None:
    local, throttle = source(tmp_path, 3 * MIB + 7), Counting()
    destination = centre(throttle, prefix="lyon/", verify=verify)
    destination.check()
    server.requests.clear()
    assert put(destination, local) == f"{server.url}/lyon/{KEY}"
    put(destination, local)
    assert server.requests == (["GET", "PUT", "GET", "GET"] if verify == "read" else ["HEAD", "PUT", "HEAD"])
    assert sum(throttle.taken) == local[2] and max(throttle.taken) <= 64 << 10
    assert files(server) == [f"lyon/{KEY}"]
    assert (server.folder / "lyon" / KEY).read_bytes() == local[0].read_bytes()


def test_a_server_that_states_no_digest_is_read_back_from(server, centre, tmp_path: Path) -> None:
    server.states_digest = False
    put(centre(verify="checksum"), source(tmp_path))
    assert server.requests == ["HEAD", "PUT", "HEAD", "GET"]


@pytest.mark.parametrize("verify", ["read", "checksum"])
def test_another_file_of_this_name_is_never_replaced(server, centre, tmp_path: Path, verify: str) -> None:
    (server.folder / "evidence").mkdir()
    (server.folder / KEY).write_bytes(b"theirs")
    with pytest.raises(Poison, match="another file"):
        put(centre(verify=verify), source(tmp_path))
    assert (server.folder / KEY).read_bytes() == b"theirs" and "PUT" not in server.requests


def test_one_that_comes_in_between_is_looked_at(server, centre, tmp_path: Path) -> None:
    local, destination = source(tmp_path), centre()
    looked = destination._look

    def late(url: str, *what):
        found = looked(url, *what)
        if not (server.folder / KEY).exists():
            (server.folder / "evidence").mkdir(exist_ok=True)
            (server.folder / KEY).write_bytes(written)
        return found

    destination._look = late
    written = local[0].read_bytes()
    put(destination, local)
    (server.folder / KEY).unlink()
    written = b"theirs"
    with pytest.raises(Poison, match="another file"):
        put(destination, local)
    assert (server.folder / KEY).read_bytes() == b"theirs"


def test_s32_each_failure_is_reported_by_its_kind_and_nothing_counts_as_there(
    server, centre, shown: Issued, tmp_path: Path
) -> None:
    local, destination = source(tmp_path, 2 * MIB), centre()
    for status, kind, words in (
        (507, Retry, "full"),
        (503, Retry, "503"),
        (429, Retry, "too much"),
        (413, Poison, "as large"),
        (405, Poison, "does not do this"),
        (302, Poison, "302"),
    ):
        server.answer = status
        with pytest.raises(kind, match=words):
            put(destination, local)
    server.answer, server.spoils = None, True
    with pytest.raises(Retry, match="read back"):
        put(destination, local)
    assert files(server) == []
    server.spoils = False
    with put_server(server.folder) as plain, line_to(plain.server_port) as line:
        url = f"http://127.0.0.1:{line.port}/in"
        line.damage = lambda data: data if data.startswith((b"GET", b"PUT")) else b"#" + data[1:]
        with pytest.raises(Retry, match="damaged on the way"):
            put(centre(url=url), local)
        line.damage = lambda data: data
        line.cut_at = line.sent + MIB
        with pytest.raises(Retry, match="broke off"):
            put(centre(url=url), local)
        assert files(server) == []
        line.cut_at = None
        put(centre(url=url), local)
    assert files(server) == [KEY] and (server.folder / KEY).read_bytes() == local[0].read_bytes()


def test_s32_certificates_and_tokens_are_checked_and_may_be_mended(
    server, centre, authority: Authority, tmp_path: Path
) -> None:
    local = source(tmp_path)
    with pytest.raises(Poison, match=r"certificate is not accepted: .*self.signed|unable to get local issuer"):
        put(centre(ca_file=None), local)
    for shown, why in (
        (authority.issue("late.test", days=-1), "certificate has expired"),
        (authority.issue("elsewhere.test", address="127.0.0.2"), "certificate is not accepted"),
    ):
        with put_server(server.folder, shown) as wrong, pytest.raises(Poison, match=why):
            put(centre(url=wrong.url), local)
    token = tmp_path / "other-token"
    token.write_text("a-wrong-token")
    token.chmod(0o600)
    destination = centre(token_file=token)
    with pytest.raises(Poison, match="token or certificate") as caught:
        put(destination, local)
    assert "wrong-token" not in str(caught.value)
    token.chmod(0o644)
    with pytest.raises(Poison, match="chmod 600"):
        put(destination, local)
    token.chmod(0o600)
    token.write_text(TOKEN)
    put(destination, local)
    with pytest.raises(Poison, match="client_key"):
        put(centre(client_certificate=token, client_key=token), local)


def test_a_client_certificate_opens_the_door(authority: Authority, shown: Issued, centre, tmp_path: Path) -> None:
    ours = authority.issue("lyon-1")
    with put_server(tmp_path / "closed", shown, authority) as closed:
        with pytest.raises((Poison, Retry), match=r"wants one|broke off"):
            put(centre(url=closed.url), source(tmp_path))
        put(centre(url=closed.url, client_certificate=ours.certificate, client_key=ours.key), source(tmp_path))
        assert files(closed) == [KEY]


def test_what_is_destroyed_is_gone_and_nothing_else(server, centre, tmp_path: Path) -> None:
    destination = centre()
    for key in (KEY, KEY + ".other"):
        put(destination, source(tmp_path), key)
    destination.destroy(KEY)
    destination.destroy(KEY)
    destination.abandon(KEY, NoUpload())
    assert files(server) == [KEY + ".other"]
    with pytest.raises(Unsupported):
        destination.hold(KEY, True)


def test_a_web_server_of_others_takes_it_too(authority: Authority, shown: Issued, tmp_path: Path, free_port) -> None:
    """WebDAV by rclone: it knows neither conditions nor digests, and wants its folders made."""
    folder = tmp_path / "dav"
    local = source(tmp_path, 3 * MIB)
    with running(webdav(free_port, folder, shown)) as dav:
        section = PutSection(kind="put", url=dav.url, ca_file=authority.file)
        destination = PutDestination("centre", section)
        destination.check()
        with pytest.raises(Retry, match="nothing under this name"):
            put(destination, local)
        (folder / "evidence").mkdir()
        put(destination, local)
        put(destination, local)
        assert (folder / KEY).read_bytes() == local[0].read_bytes()
        destination.destroy(KEY)
        assert not (folder / KEY).exists()


def test_nothing_goes_in_clear_over_a_network() -> None:
    for url in ("http://archive.example.net/", "ftp://archive.example.net/", "https://a:b@archive.example.net/", "x"):
        with pytest.raises(ValidationError, match="expected"):
            PutSection(kind="put", url=url)
    assert PutSection(kind="put", url="https://archive.example.net/x").url == "https://archive.example.net/x/"


@given(st.text(alphabet="sha-256512=:, AQ+/", max_size=60))
def test_no_digest_that_a_server_states_is_taken_for_another(text: str) -> None:
    stated = stated_sha256(httpx.Headers({"Repr-Digest": text}))
    assert stated is None or bytes.fromhex(stated) is not None
