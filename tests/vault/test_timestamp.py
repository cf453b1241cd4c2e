"""Timestamps: OpenSSL's authority is understood, OpenSSL reads what is kept, no byte of it can be changed unseen."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tsa import POLICY, TimestampAuthority

from agent.vault.timestamp import BadToken, Trust, check, granted, load_trust, request

DIGEST, NONCE = hashlib.sha256(b"a manifest").digest(), (1 << 63) + 7
OTHER = hashlib.sha256(b"another").digest()


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def trust(tsa: TimestampAuthority) -> Trust:
    return load_trust(tsa.ca, POLICY)


@pytest.fixture(scope="module")
def token(tsa: TimestampAuthority, trust: Trust) -> bytes:
    return granted(tsa.answer(request(DIGEST, NONCE, trust.policy)), DIGEST, NONCE, trust)


def test_a_token_says_when_and_by_whom(token: bytes, trust: Trust) -> None:
    stamp = check(token, DIGEST, trust)
    assert (stamp.authority, stamp.policy, stamp.accuracy_s) == ("CN=tsa", POLICY, 1.0)
    assert stamp.serial > 0 and stamp.at_ns > 1_790_000_000 * 10**9
    assert check(token, None, trust) == stamp


def test_openssl_verifies_what_is_kept(token: bytes, tsa: TimestampAuthority, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b"a manifest")
    (tmp_path / "m.tsr").write_bytes(token)
    command = ["openssl", "ts", "-verify", "-in", tmp_path / "m.tsr", "-data", tmp_path / "m.json", "-CAfile", tsa.ca]
    assert "Verification: OK" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_s37_no_byte_of_a_token_can_be_changed_unseen(token: bytes, trust: Trust, flip: int) -> None:
    for at in range(len(token)):
        changed = bytearray(token)
        changed[at] ^= flip
        with pytest.raises(BadToken):
            check(bytes(changed), DIGEST, trust)


@given(st.binary(max_size=400))
def test_what_is_no_token_is_refused_and_nothing_else(token: bytes, trust: Trust, data: bytes) -> None:
    for hostile in (data, token[: len(data)], token + data[:1] + b"x", token[:40] + data):
        with pytest.raises(BadToken):
            check(hostile, None, trust)


def test_a_token_for_something_else_is_refused(token: bytes, trust: Trust) -> None:
    with pytest.raises(BadToken, match="something else"):
        check(token, OTHER, trust)


def test_an_answer_to_another_request_is_refused(tsa: TimestampAuthority, trust: Trust) -> None:
    with pytest.raises(BadToken, match="nonce"):
        granted(tsa.answer(request(DIGEST, 5)), DIGEST, 6, trust)


def test_a_token_under_another_policy_is_refused(tsa: TimestampAuthority, trust: Trust) -> None:
    other = x509.ObjectIdentifier("1.3.6.1.4.1.99999.2")
    answer = tsa.answer(request(DIGEST, NONCE, other))
    assert check(granted(answer, DIGEST, NONCE, Trust(trust.roots)), DIGEST, Trust(trust.roots)).policy.endswith(".2")
    with pytest.raises(BadToken, match="Policy"):
        granted(answer, DIGEST, NONCE, trust)


def test_a_refusal_of_the_authority_is_told(tsa: TimestampAuthority, trust: Trust) -> None:
    with pytest.raises(BadToken, match=r"refused \(status 2"):
        granted(tsa.answer(request(DIGEST, NONCE, x509.ObjectIdentifier("1.2.3.4"))), DIGEST, NONCE, trust)


def test_an_authority_that_nobody_believes_is_refused(trust: Trust, tmp_path: Path) -> None:
    stranger = TimestampAuthority(tmp_path, "stranger")
    with pytest.raises(BadToken):
        granted(stranger.answer(request(DIGEST, NONCE)), DIGEST, NONCE, trust)


def test_a_certificate_that_may_sign_more_than_timestamps_is_refused(tmp_path: Path) -> None:
    tsa = TimestampAuthority(tmp_path, "loose", critical=False)
    with pytest.raises(BadToken, match="does not hold: unsuitable certificate purpose"):
        granted(tsa.answer_as_message(request(DIGEST, NONCE)), DIGEST, NONCE, load_trust(tsa.ca))


def test_an_authority_with_an_rsa_key_and_its_chain_in_the_token(tmp_path: Path) -> None:
    tsa = TimestampAuthority(tmp_path, "rsa", rsa=True, chain=True)
    trust = load_trust(tsa.ca)
    token = granted(tsa.answer(request(DIGEST, NONCE)), DIGEST, NONCE, trust)
    assert check(token, DIGEST, trust).authority == "CN=rsa"
    unseen = []
    for at in range(len(token)):
        changed = bytearray(token)
        changed[at] ^= 1
        try:
            check(bytes(changed), DIGEST, trust)
            unseen.append(at)
        except BadToken:
            pass
    assert unseen == []


def test_trust_needs_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match="no certificate"):
        load_trust(tmp_path / "ca.pem")
