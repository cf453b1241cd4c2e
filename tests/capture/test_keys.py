"""Call keys: wrapped to the working identity, opened by it alone, and gone when destroyed."""

from pathlib import Path

import pyrage
import pytest

from agent.capture import keys
from agent.vault.age import new_identity

CALL = "00112233445566778899aabbccddeeff"
OTHER = "ff" * 16


def test_a_key_comes_back_with_the_right_identity_only(tmp_path: Path) -> None:
    mine, stranger = new_identity(), new_identity()
    first = keys.create(tmp_path, CALL, 0, mine.recipient)
    second = keys.create(tmp_path, CALL, 1, mine.recipient)
    assert len(first.key) == 32 and first.key != second.key
    wanted = {0: first.key, 1: second.key}
    assert keys.open_keys(tmp_path, CALL, [stranger.secret, mine.secret]) == wanted
    assert keys.open_keys(tmp_path, CALL, [stranger.secret]) == {}
    assert keys.open_keys(tmp_path, OTHER, [mine.secret]) == {}
    path = tmp_path / f"{CALL}.0.age"
    assert path.stat().st_mode & 0o777 == 0o600
    assert pyrage.decrypt(path.read_bytes(), [pyrage.x25519.Identity.from_str(mine.secret)]) == first.key
    assert first.key not in path.read_bytes() and repr(first.key) not in repr(first)


def test_a_rotated_identity_opens_only_its_own_epochs(tmp_path: Path) -> None:
    yesterday, today = new_identity(), new_identity()
    keys.create(tmp_path, CALL, 0, yesterday.recipient)
    late = keys.create(tmp_path, CALL, 1, today.recipient)
    assert keys.open_keys(tmp_path, CALL, [today.secret]) == {1: late.key}


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    mine = new_identity()
    first = keys.create(tmp_path, CALL, 3, mine.recipient)
    again = keys.create(tmp_path, CALL, 3, mine.recipient)
    assert again.epoch == 4
    assert keys.open_keys(tmp_path, CALL, [mine.secret]) == {3: first.key, 4: again.key}


def test_destroyed_is_gone_for_this_call_and_no_other(tmp_path: Path) -> None:
    mine = new_identity()
    for call_id, epoch in ((CALL, 0), (CALL, 1), (OTHER, 0)):
        keys.create(tmp_path, call_id, epoch, mine.recipient)
    (tmp_path / "note.txt").write_text("not a key")
    assert keys.known(tmp_path) == {CALL, OTHER}
    assert keys.destroy(tmp_path, CALL) == 2
    assert keys.destroy(tmp_path, CALL) == 0
    assert keys.known(tmp_path) == {OTHER} and keys.open_keys(tmp_path, CALL, [mine.secret]) == {}


def test_a_torn_key_file_does_not_hide_the_others(tmp_path: Path) -> None:
    mine = new_identity()
    keys.create(tmp_path, CALL, 0, mine.recipient)
    whole = keys.create(tmp_path, CALL, 1, mine.recipient)
    torn = tmp_path / f"{CALL}.0.age"
    torn.write_bytes(torn.read_bytes()[:90])
    assert keys.open_keys(tmp_path, CALL, [mine.secret]) == {1: whole.key}


@pytest.mark.parametrize("call_id", ["", "../../etc/passwd", "*", CALL.upper(), CALL[:-1]])
def test_only_call_ids_become_file_names(tmp_path: Path, call_id: str) -> None:
    for refuse in (lambda: keys.create(tmp_path, call_id, 0, "age1"), lambda: keys.destroy(tmp_path, call_id)):
        with pytest.raises(ValueError, match="call id"):
            refuse()


def test_epochs_end(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="epoch"):
        keys.create(tmp_path, CALL, 65536, new_identity().recipient)
