"""Recipients files: who may read, who may no more, and every other line left as it is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.recipients import (
    Reader,
    check_label,
    parse_line,
    read_readers,
    read_recipients,
    with_reader,
    without_reader,
)

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake"
FILE = f"""# May read evidence. One public key a line.
age1old
age1safe  # the safe, added 2026-01-02

{SSH} marie@pc
#revoked age1gone  # Paul, added 2025-01-01, revoked 2025-06-30
#revoked age1byhand
"""


def test_a_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "evidence.txt"
    path.write_text(FILE)
    assert read_readers(path) == (
        Reader("age1old"),
        Reader("age1safe", "the safe", "2026-01-02"),
        Reader(SSH, "marie@pc"),
        Reader("age1gone", "Paul", "2025-01-01", "2025-06-30"),
        Reader("age1byhand", revoked="unknown"),
    )
    assert read_recipients(path) == ("age1old", "age1safe", SSH)


def test_revoking_changes_one_line_and_adding_none(tmp_path: Path) -> None:
    changed = without_reader(with_reader(FILE, Reader("age1new", "new", "2026-11-29")), "age1safe", "2026-11-30")
    before, after = FILE.splitlines(), changed.splitlines()
    assert after[-1] == "age1new  # new, added 2026-11-29"
    assert [new for old, new in zip(before, after, strict=False) if old != new] == [
        "#revoked age1safe  # the safe, added 2026-01-02, revoked 2026-11-30"
    ]
    with pytest.raises(ValueError, match="already"):
        with_reader(FILE, Reader("age1old"))
    with pytest.raises(ValueError, match="revoked before"):
        with_reader(FILE, Reader("age1gone"))
    for nobody in ("age1gone", "age1nobody"):
        with pytest.raises(LookupError):
            without_reader(FILE, nobody, "2026-11-30")


@pytest.mark.parametrize("line", ["AGE-SECRET-KEY-1", "age1a age1b", "hello", "ssh-rsa AAAA"])
def test_what_is_no_key_is_named_by_its_line_and_not_repeated(tmp_path: Path, line: str) -> None:
    path = tmp_path / "evidence.txt"
    path.write_text(f"# mine\nage1good\n{line}\n")
    with pytest.raises(ValueError, match="line 3") as caught:
        read_recipients(path)
    assert line not in str(caught.value)


def test_a_file_of_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evidence.txt"
    path.write_text("# nobody\n#revoked age1gone\n")
    with pytest.raises(ValueError, match="expected age public keys"):
        read_recipients(path)


_days = st.dates().map(lambda day: day.isoformat())
_labels = st.text(max_size=30)


@given(_labels, st.just("") | _days, st.just("") | _days)
def test_what_is_written_is_read(label: str, added: str, revoked: str) -> None:
    try:
        label = check_label(label)
    except ValueError:
        return
    reader = Reader("age1x", label.strip(), added, revoked)
    assert parse_line(reader.line()) == reader
