"""Lists of numbers that are stored as keyed hashes only: who opted out, and which extensions are protected.

A list is a text file, one entry a line: `HASH DATE # NOTE`, the hash 32 hexadecimal digits under the key `lists.key`,
which is no other's: neither the catalog nor what `percent` drew tells who is on a list. One number has one hash however
it is written: `06…`, `+336…`, `00336…` and `336…` are the same where the site's calling code is 33.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from agent.vault.numbers import international, number_hash
from agent.vault.protect import read_root
from agent.vault.secretfile import create_secret, make_folder, write_private

KEY_FILE = "lists.key"
OPT_OUT, PROTECTED = "opt-out.txt", "protected.txt"
_ENTRY = re.compile(r"([0-9a-f]{32})(?:\s+(\d{4}-\d\d-\d\d))?\s*(?:#\s*(.*))?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of a list: its hash, the day it was added and why."""

    hash: str
    added: str = ""
    note: str = ""

    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.hash} {self.added} # {self.note}".rstrip(" #")


@dataclass(frozen=True, slots=True)
class Hasher:
    """Hashes numbers as lists have them."""

    key: bytes
    calling_code: str

    def __call__(self, number: str) -> str:
        """32 hexadecimal digits."""
        return number_hash(self.key, international(number, self.calling_code))

    @classmethod
    def load(cls, keys_dir: Path, calling_code: str) -> "Hasher":
        """Raises OSError when there is no key, it is open to others, or locked; ValueError when it is spoiled."""
        return cls(read_root(keys_dir / KEY_FILE), calling_code)

    @classmethod
    def made(cls, keys_dir: Path, calling_code: str) -> "Hasher":
        """With a new key where there is none yet, which is its owner's who owns the folder."""
        if not (keys_dir / KEY_FILE).exists():
            create_secret(keys_dir / KEY_FILE)
        return cls.load(keys_dir, calling_code)


def read_list(path: Path) -> tuple[Entry, ...]:
    """Entries of a list, none when there is no such file. Raises OSError; ValueError for a line that is no entry."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if (match := _ENTRY.fullmatch(bare)) is None:  # the line itself may be a number in clear: it is not told
            raise ValueError(f"{path.name}: line {number} is no entry; numbers are put there by `greffier policy`")
        found.append(Entry(match[1], match[2] or "", match[3] or ""))
    return tuple(found)


def write_list(path: Path, entries: tuple[Entry, ...]) -> None:
    """Replace a list, all or nothing; durable when this returns. The file is its owner's who owns the folder above."""
    make_folder(path.parent)
    write_private(path, "".join(entry.line() + "\n" for entry in entries).encode())
