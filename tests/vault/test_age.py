"""age files: opened by their reader, by the independent `age` program, and by nobody else."""

import subprocess
from pathlib import Path

import pytest

from agent.vault.age import WrongKey, decrypt, encrypt, new_identity


def test_each_recipient_opens_it_and_another_key_does_not() -> None:
    first, second, other = new_identity(), new_identity(), new_identity()
    cipher = encrypt(b"spoken", [first.recipient, second.recipient])
    assert decrypt(cipher, first.secret) == decrypt(cipher, second.secret) == b"spoken"
    with pytest.raises(WrongKey):
        decrypt(cipher, other.secret)


def test_a_changed_byte_is_refused() -> None:
    identity = new_identity()
    cipher = bytearray(encrypt(b"x" * 1000, [identity.recipient]))
    cipher[-20] ^= 1
    with pytest.raises(WrongKey):
        decrypt(bytes(cipher), identity.secret)


@pytest.mark.parametrize("recipients", [[], ["age1nonsense"], ["AGE-SECRET-KEY-1"]])
def test_nothing_is_encrypted_to_nobody(recipients: list[str]) -> None:
    with pytest.raises(ValueError, match="recipient"):
        encrypt(b"x", recipients)


def test_a_bad_key_is_never_quoted() -> None:
    identity = new_identity()
    with pytest.raises(WrongKey) as caught:
        decrypt(encrypt(b"x", [identity.recipient]), identity.secret[:-4])
    assert identity.secret[20:40] not in str(caught.value)
    assert identity.secret not in repr(identity)


def test_the_age_program_opens_what_we_wrote_and_we_open_what_it_wrote(tmp_path: Path) -> None:
    identity = new_identity()
    key, cipher = tmp_path / "key.txt", tmp_path / "x.age"
    key.write_text(identity.secret + "\n")
    cipher.write_bytes(encrypt(b"bonjour", [identity.recipient]))
    done = subprocess.run(["age", "-d", "-i", key, cipher], capture_output=True, check=True)
    assert done.stdout == b"bonjour"
    theirs = subprocess.run(["age", "-r", identity.recipient], input=b"hello", capture_output=True, check=True)
    assert decrypt(theirs.stdout, identity.secret) == b"hello"
