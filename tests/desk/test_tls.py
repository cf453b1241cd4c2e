"""TLS where the desk listens beyond loopback: by itself, with a certificate of one's own, or said to be off."""

import hashlib
import ssl
import subprocess

import httpx
import pytest
from certificates import Authority

from agent.config import Settings
from agent.config.desk import Desk
from agent.desk.tls import TlsUnusable, identity_of


def shown(desk) -> str:
    """SHA-256 of the certificate that the desk shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", desk.port))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


@pytest.mark.slow
def test_beyond_loopback_the_desk_encrypts_by_itself(tmp_path, start_desk) -> None:
    with start_desk(tmp_path / "site", 'host = "0.0.0.0"', scheme="https") as desk:
        keys = desk.settings.desk_tls_dir
        assert (keys / "key.pem").stat().st_mode & 0o777 == 0o600
        (said,) = desk.events("desk.tls")
        assert said["made_here"] and said["certificate_sha256"] == shown(desk)
        # who was given the certificate knows the desk by it; who was not, refuses it
        curl = ["curl", "-s", "--max-time", "60", f"{desk.url}/v1/health"]
        known = subprocess.run([*curl, "--cacert", keys / "certificate.pem"], capture_output=True, check=False)
        assert known.stdout == b'{"recorder":"ok"}'
        assert subprocess.run(curl, capture_output=True, check=False).returncode == 60
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{desk.port}/v1/health", timeout=30)
        first = said["certificate_sha256"]
    assert identity_of(desk.settings).fingerprint() == first, "and it is made once"


@pytest.mark.slow
def test_a_certificate_of_an_authority_is_shown(tmp_path, start_desk) -> None:
    authority = Authority(tmp_path, "site")
    mine = authority.issue("desk.example.net")
    lines = f'tls_certificate = "{mine.certificate}"\ntls_key = "{mine.key}"'
    with start_desk(tmp_path / "site", lines, scheme="https") as desk:
        assert httpx.get(f"{desk.url}/v1/health", verify=authority.context()).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{desk.url}/v1/health", verify=authority.context(version=ssl.TLSVersion.TLSv1_1))


def test_when_it_encrypts() -> None:
    assert not Desk().encrypts and not Desk(host="::1").encrypts
    assert Desk(host="0.0.0.0").encrypts and Desk(host="desk.example.net").encrypts
    assert not Desk(host="0.0.0.0", tls="off").encrypts
    for wrong in ({"tls_key": "k"}, {"tls_certificate": "c"}, {"tls": "off", "tls_certificate": "c", "tls_key": "k"}):
        with pytest.raises(ValueError, match="desk"):
            Desk.model_validate(wrong)


def test_files_that_do_not_fit_are_named(tmp_path) -> None:
    authority = Authority(tmp_path, "site")
    one, other = authority.issue("one"), authority.issue("other")
    desk = Desk(tls_certificate=one.certificate, tls_key=other.key)
    identity = identity_of(Settings(desk=desk))
    with pytest.raises(TlsUnusable, match=r"one\.site\.pem"):
        identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
