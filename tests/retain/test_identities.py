"""Working identities: one current, rotated on time, destroyed when no call needs them and never before."""

import os
from pathlib import Path

import pytest

from agent.retain.identities import GRACE_NS, destroy_unused, ensure_current
from agent.store.journal import Journal, read
from agent.vault.age import WrongKey, decrypt, encrypt

DAY_S = 86400
T0 = 1_790_000_000_000_000_000
DAY_NS = DAY_S * 1_000_000_000


class Keys:
    """Folders of identities and call keys."""

    def __init__(self, root: Path) -> None:
        self.identities, self.callkeys, self.journal_dir = root / "identities", root / "callkeys", root / "journal"
        self.recipient = root / "recipient" / "current.txt"
        self.callkeys.mkdir()
        self.journal = Journal(self.journal_dir, "scribe", lambda: 1)

    def ensure(self, now_ns: int) -> str:
        ensure_current(self.identities, self.recipient, DAY_S, now_ns, self.journal)
        return self.recipient.read_text().strip()

    def wrap(self, name: str, recipient: str, at_ns: int) -> Path:
        path = self.callkeys / f"{name}.0.age"
        path.write_bytes(encrypt(b"call key", [recipient]))
        os.utime(path, ns=(at_ns, at_ns))
        return path

    def destroy(self, now_ns: int, *held: str) -> int:
        destroy_unused(self.identities, self.callkeys, now_ns, self.journal, held=lambda: held)
        return len(list(self.identities.glob("*.age-identity")))

    def said(self, kind: str) -> int:
        return sum(line.kind == kind for line in read(self.journal_dir))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_there_is_always_one_and_it_opens_what_is_wrapped_to_it(keys: Keys) -> None:
    recipient = keys.ensure(T0)
    (secret,) = keys.identities.glob("*.age-identity")
    assert secret.stat().st_mode & 0o777 == 0o600 and keys.said("identity.rotated") == 1
    line = next(x for x in secret.read_text().splitlines() if x.startswith("AGE-SECRET-KEY-"))
    assert decrypt(encrypt(b"x", [recipient]), line) == b"x"
    assert keys.ensure(T0 + DAY_NS - 1) == recipient, "not yet"


def test_it_rotates_on_time_and_the_old_one_goes_when_no_call_needs_it(keys: Keys) -> None:
    first = keys.ensure(T0)
    wrapped = keys.wrap("call", first, T0 + 5)
    second = keys.ensure(T0 + DAY_NS)
    assert second != first
    assert keys.destroy(T0 + DAY_NS + GRACE_NS) == 2, "a call still needs the old one"
    wrapped.unlink()
    keys.wrap("newer", second, T0 + DAY_NS + GRACE_NS)
    assert keys.destroy(T0 + DAY_NS + GRACE_NS - 1) == 2, "the recorder may still be writing a key"
    assert keys.destroy(T0 + DAY_NS + GRACE_NS) == 1 and keys.said("identity.destroyed") == 1
    assert keys.ensure(T0 + DAY_NS + 1) == second


def test_a_clock_that_jumped_never_destroys_what_is_needed(keys: Keys) -> None:
    first = keys.ensure(T0)
    keys.ensure(T0 + DAY_NS)
    keys.wrap("call", first, T0 + 3 * DAY_NS)
    assert keys.destroy(T0 + 4 * DAY_NS) == 2


def test_a_kill_between_identity_and_current_is_mended(keys: Keys) -> None:
    recipient = keys.ensure(T0)
    keys.recipient.write_text("age1old\n")
    assert keys.ensure(T0 + 1) == recipient and len(list(keys.identities.glob("*.age-identity"))) == 1


def test_a_kill_in_the_middle_of_a_destruction_is_finished_with_its_line(keys: Keys) -> None:
    keys.ensure(T0)
    (old,) = keys.identities.glob("*.age-identity")
    keys.ensure(T0 + DAY_NS)
    old.rename(old.with_suffix(".destroying"))
    assert keys.destroy(T0 + DAY_NS) == 1
    assert keys.said("identity.destroyed") == 1 and not list(keys.identities.glob("*.destroying"))


def test_a_clock_far_behind_changes_nothing(keys: Keys) -> None:
    first = keys.ensure(T0)
    assert keys.ensure(T0 - 2 * DAY_NS) == first and keys.destroy(T0 - 2 * DAY_NS) == 1


def secrets(keys: Keys) -> list[str]:
    files = sorted(keys.identities.glob("*.age-identity"))
    return [next(x for x in p.read_text().splitlines() if x.startswith("AGE-SECRET-KEY-")) for p in files]


def test_a_key_that_is_needed_long_keeps_no_younger_identity(keys: Keys) -> None:
    keys.wrap("waits", keys.ensure(T0), T0 + 5)
    keys.ensure(T0 + DAY_NS)
    keys.ensure(T0 + 2 * DAY_NS)
    assert keys.destroy(T0 + 3 * DAY_NS) == 2, "the one in the middle is needed by nobody"


def test_the_key_of_a_held_call_moves_on_and_the_old_identity_goes(keys: Keys) -> None:
    first = keys.ensure(T0)
    held, other = keys.wrap("held", first, T0 + 5), keys.wrap("other", first, T0 + 6)
    keys.ensure(T0 + DAY_NS)
    assert keys.destroy(T0 + DAY_NS + GRACE_NS, "held") == 2, "the other call needs it"
    old, new = secrets(keys)
    assert decrypt(held.read_bytes(), new) == b"call key"
    with pytest.raises(WrongKey):
        decrypt(held.read_bytes(), old)
    other.unlink()
    assert keys.destroy(T0 + DAY_NS + GRACE_NS, "held") == 1 and secrets(keys) == [new]
    assert held.stat().st_mode & 0o777 == 0o600 and list(keys.callkeys.iterdir()) == [held]
