"""Client certificates instead of tokens: each reads one purpose; a stranger's, or an unknown one, reads nothing."""

import ssl
from pathlib import Path

import httpx
import pytest
from certificates import Authority, Issued
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from fed_site import PULLED, OutboxSite, running_courier

from agent.config import ConfigError, load


def digits(issued: Issued) -> str:
    return x509.load_pem_x509_certificate(issued.certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()


def test_a_certificate_reads_the_feed_of_its_purpose_and_no_other(start_desk, tmp_path: Path) -> None:
    ours, strangers = Authority(tmp_path, "ours"), Authority(tmp_path, "strangers")
    server = ours.issue("desk")
    pinned, named, unknown = (ours.issue(name) for name in ("pinned", "named", "unknown"))
    foreign = strangers.issue("named")
    desk_section = f"""
tls_certificate = "{server.certificate}"
tls_key = "{server.key}"
tls_client_ca = "{ours.file}"
[puller.one]
purpose = "evidence"
fingerprint = "{digits(pinned)}"
[puller.two]
purpose = "training"
subject = "CN=named"
"""
    with start_desk(tmp_path / "desk", desk_section + PULLED, scheme="https") as desk:
        site = OutboxSite(desk.folder / "greffier.toml")
        made = {purpose: site.put(purpose) for purpose in ("evidence", "training")}

        def ask(mine: Issued | None, method: str, path: str, **more: object) -> httpx.Response:
            with httpx.Client(verify=ours.context(mine), timeout=30) as client:
                return client.request(method, f"{desk.url}{path}", **more)

        with running_courier(site, tmp_path / "courier.log"):
            site.certify()
            for mine, purpose, other in ((pinned, "evidence", "training"), (named, "training", "evidence")):
                page = ask(mine, "GET", "/v1/feed").json()
                assert [item["id"] for item in page["items"]] == [made[purpose].artifact_id]
                assert ask(mine, "GET", f"/v1/artifacts/{made[other].artifact_id}").status_code == 404
                path = f"/v1/artifacts/{made[purpose].artifact_id}"
                assert ask(mine, "GET", path).content == site.contents[made[purpose].artifact_id]
                receipt = ask(mine, "POST", f"{path}/ack", json={"sha256": made[purpose].cipher_sha256}).json()
                name = "one" if mine is pinned else "two"
                assert receipt["body"]["received_by"] == f"feed:{name}:certificate"
                assert ask(mine, "GET", "/v1/calls").status_code == 401, "a certificate is for feeds alone"
        assert ask(unknown, "GET", "/v1/feed").status_code == 401
        assert ask(None, "GET", "/v1/feed").status_code == 401
        token = {"Authorization": f"Bearer {desk.tokens['admin']}"}
        assert ask(None, "GET", "/v1/calls", headers=token).status_code == 200, "others need no certificate"
        assert ask(pinned, "GET", "/v1/feed", headers=token).status_code == 403, "the token that is sent counts"
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            ask(foreign, "GET", "/v1/feed")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('[puller.x]\npurpose = "nothing"\nsubject = "CN=a"', "no [purpose.nothing]"),
        ('[puller.x]\npurpose = "evidence"\nsubject = "CN=a"', "over TLS only"),
        ('[puller.x]\npurpose = "evidence"', "one of them"),
        ('[puller.x]\npurpose = "evidence"\nfingerprint = "12"', "64 hexadecimal digits"),
        ('[webhook.x]\npurposes = "nothing"\nurl = "https://x/"\nsecret_file = "s"', "no [purpose.nothing]"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_line(tmp_path: Path, section: str, words: str) -> None:
    path = tmp_path / "greffier.toml"
    path.write_text(f'[purpose.evidence]\ntrigger = "all"\n\n{section}\n')
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert words in str(refused.value) and ": line " in str(refused.value)
