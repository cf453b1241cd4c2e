"""Bytes of a peer that wait to be whole: lines and blocks, never more of either than was agreed."""


class PeerError(ValueError):
    """The peer cannot be followed, or will not have us: what was expected and what came, never a secret."""


class Inbox:
    """What has come and was not taken yet. Only one unfinished line or block is ever kept."""

    def __init__(self, max_line: int, max_block: int) -> None:
        self._max_line, self._max_block = max_line, max_block
        self._bytes = bytearray()
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        """More has come."""
        self._bytes += data

    def line(self) -> bytes | None:
        """The next line without its end (CR LF or LF), None when it is not whole. Raises PeerError beyond the limit."""
        end = self._bytes.find(b"\n", self._scanned)
        self._scanned = len(self._bytes) if end < 0 else 0
        if (self._scanned if end < 0 else end) > self._max_line:
            raise PeerError(f"a line of more than {self._max_line} bytes")
        return None if end < 0 else self._take(end + 1)[:-1].removesuffix(b"\r")

    def block(self, size: int) -> bytes | None:
        """The next `size` bytes, None when they have not all come. Raises PeerError when `size` is too large."""
        if size > self._max_block:
            raise PeerError(f"a block of more than {self._max_block} bytes")
        self._scanned = 0
        return self._take(size) if len(self._bytes) >= size else None

    def _take(self, size: int) -> bytes:
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken


class Headers:
    """`Name: value` lines of one message; names without regard to case, a name may come more than once.

    Raises PeerError when there are more than `most`, or more than `max_bytes` of them.
    """

    def __init__(self, most: int, max_bytes: int) -> None:
        self._most, self._max_bytes, self._size = most, max_bytes, 0
        self._pairs: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def add(self, line: bytes) -> None:
        """One line. One without a colon is kept as a name without value."""
        self._size += len(line)
        if len(self._pairs) >= self._most or self._size > self._max_bytes:
            raise PeerError(f"a message of more than {self._most} headers or {self._max_bytes} bytes")
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._pairs.append((name.strip().lower(), value.strip()))

    def get(self, name: str) -> str:
        """The first value of a name; "" when there is none."""
        return next((value for known, value in self._pairs if known == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        return [value for known, value in self._pairs if known == name.lower()]

    def as_dict(self) -> dict[str, str]:
        """First value of each name (in lower case)."""
        return {name: value for name, value in reversed(self._pairs)}
