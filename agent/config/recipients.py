"""Recipients files: who may read a purpose, one public key a line, with who that is and since when.

A line is `KEY # LABEL, added DAY`; one that may read no more stays as the comment `#revoked KEY # LABEL, …, revoked
DAY`, so that it is known later who can open what was encrypted until then. Other lines are the site's own and are kept.
KEY is an age public key (`age1…`) or an `ssh-ed25519 …` line, which age takes as well.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

REVOKED = "#revoked "
UNKNOWN = "unknown"
"""The day of a revocation that somebody wrote by hand."""
_SSH = "ssh-ed25519 "
_DAY = r"\d{4}-\d\d-\d\d"
_WORDS = re.compile(rf"(?P<label>.*?)(?:,?\s*added (?P<added>{_DAY}))?(?:,?\s*revoked (?P<revoked>{_DAY}))?")


@dataclass(frozen=True, slots=True)
class Reader:
    """One public key of a purpose. Days are ISO dates, empty where the file does not say; revoked: may read no more."""

    recipient: str
    label: str = ""
    added: str = ""
    revoked: str = ""

    def line(self) -> str:
        """As it stands in the file."""
        words = [self.label, f"added {self.added}" if self.added else ""]
        words.append(f"revoked {self.revoked}" if self.revoked not in ("", UNKNOWN) else "")
        said = ", ".join(word for word in words if word)
        return f"{REVOKED if self.revoked else ''}{self.recipient}{f'  # {said}' if said else ''}"


def parse_line(line: str) -> Reader | None:
    """The reader that a line names; None for a comment or an empty line. Raises ValueError for anything else."""
    bare = line.strip()
    was = bare.startswith(REVOKED)
    bare = bare.removeprefix(REVOKED).strip()
    if not bare or bare.startswith("#"):
        return None
    key, _, words = bare.partition("#")
    key, label = key.strip(), ""
    if key.startswith(_SSH):  # its own comment is no part of the key
        parts = key.split(None, 2)
        key, label = " ".join(parts[:2]), " ".join(parts[2:])
    elif not key.startswith("age1") or len(key.split()) != 1:
        raise ValueError("expected an age public key (age1…, ssh-ed25519 …), one a line")
    said = _WORDS.fullmatch(words.strip())
    if said is None:
        raise ValueError("expected a public key and what it is called, after a #")
    revoked = (said["revoked"] or UNKNOWN) if was else ""
    return Reader(key, said["label"] or label, said["added"] or "", revoked)


def read_readers(path: Path) -> tuple[Reader, ...]:
    """All readers of a file in their order, those revoked too. Raises OSError, ValueError naming file and line."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            reader = parse_line(line)
        except ValueError as error:
            raise ValueError(f"{path}: line {number}: {error}") from None
        if reader is not None:
            found.append(reader)
    return tuple(found)


def read_recipients(path: Path) -> tuple[str, ...]:
    """The public keys of those who may read now. Raises OSError, ValueError, also when there is nobody."""
    keys = tuple(reader.recipient for reader in read_readers(path) if not reader.revoked)
    if not keys:
        raise ValueError(f"{path}: expected age public keys (age1…, ssh-ed25519 …), one a line")
    return keys


def check_label(label: str) -> str:
    """The label, if a line can hold it. Raises ValueError."""
    if not label.isprintable() or "#" in label or re.search(rf"(added|revoked) {_DAY}", label) or len(label) > 80:
        raise ValueError("a label is up to 80 printable characters without #")
    return label.strip(" ,")


def with_reader(text: str, reader: Reader) -> str:
    """The file's text with one more reader. Raises ValueError when it is one already, or was revoked."""
    for line in text.splitlines():
        if (known := parse_line(line)) is not None and known.recipient == reader.recipient:
            raise ValueError("it was revoked before: make a new key" if known.revoked else "it may read already")
    return text + ("" if not text or text.endswith("\n") else "\n") + reader.line() + "\n"


def without_reader(text: str, recipient: str, day: str) -> str:
    """The file's text in which one reader is revoked. Raises LookupError when it is no reader."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        reader = parse_line(line)
        if reader is not None and reader.recipient == recipient and not reader.revoked:
            lines[at] = replace(reader, revoked=day).line()
            return "\n".join(lines) + "\n"
    raise LookupError("no such reader")
