"""Bodies of a request: one of a type, or several in `multipart/mixed`, in any order and with any boundary.

RFC 2046 §5.1, RFC 5621. Lenient: bare LF, no final boundary, quoted or bare or missing boundary parameter, a preamble,
parts without a type, a body without a Content-Type.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.sip.errors import SipError
from agent.sip.framing import split_head

MAX_PARTS = 16
SDP = "application/sdp"
METADATA = "application/rs-metadata+xml"

_METADATA_TYPES = frozenset({METADATA, "application/rs-metadata", "application/rs-metadata-request+xml"})
_BOUNDARY = re.compile(r"boundary\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;,\"]{1,200}))", re.IGNORECASE)
_SNIFFED = re.compile(rb"(?:^|\n)--([^\r\n]{1,200}?)[ \t]*\r?\n")
_TYPE = re.compile(rb"^(?:content-type|c)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_DISPOSITION = re.compile(rb"^content-disposition[ \t]*:[ \t]*([^\r\n;]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """One body: its media type in lower case without parameters, and its bytes."""

    media_type: str
    data: bytes
    disposition: str = ""


@dataclass(frozen=True, slots=True)
class Bodies:
    """What a recorder looks for in a request. `others` are the media types it has no use for."""

    sdp: bytes | None = None
    metadata: bytes | None = None
    others: tuple[str, ...] = ()


def media_type(content_type: str) -> str:
    """`Application/SDP; charset=x` → `application/sdp`."""
    return content_type.split(";", maxsplit=1)[0].strip().lower()


def parse(content_type: str, body: bytes) -> tuple[Part, ...]:
    """The parts of a body; one that is not multipart is one part, an empty one none.

    Raises SipError 400 when it is multipart and no boundary can be found in it, or there are more than MAX_PARTS.
    """
    if not body.strip():
        return ()
    kind = media_type(content_type) or _sniff(body)
    if not kind.startswith("multipart/"):
        return (Part(kind, body),)
    found = _BOUNDARY.search(content_type)
    named = (found[1] or found[2]).encode("utf-8", "replace") if found else None
    if named is None or b"--" + named not in body:
        sniffed = _SNIFFED.search(body)
        if sniffed is None:
            raise SipError(400, "a multipart body has no boundary")
        named = sniffed[1]
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(named) + rb"(--)?[ \t]*(?=\r?\n|$)", body, maxsplit=MAX_PARTS + 1)
    parts = []
    for closed, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if closed:
            break
        if piece.strip():
            parts.append(_part(piece))
    if len(parts) > MAX_PARTS:
        raise SipError(400, f"a multipart body has more than {MAX_PARTS} parts")
    return tuple(parts)


def _part(piece: bytes) -> Part:
    piece = re.sub(rb"^\r?\n", b"", piece, count=1)  # the end of the boundary line
    if re.match(rb"\r?\n", piece):
        head, data = b"", re.sub(rb"^\r?\n", b"", piece, count=1)
    elif re.match(rb"[A-Za-z-]+[ \t]*:", piece):
        head, data = split_head(piece) or (piece, b"")
    else:
        head, data = b"", piece
    head = re.sub(rb"\r?\n[ \t]+", b" ", head)
    kind, disposition = _TYPE.search(head), _DISPOSITION.search(head)
    return Part(
        media_type(kind[1].decode("latin-1")) if kind else _sniff(data),
        data,
        disposition[1].decode("latin-1").strip().lower() if disposition else "",
    )


def _sniff(body: bytes) -> str:
    start = body.lstrip()[:64]
    if start.startswith(b"v=0"):
        return SDP
    if start.startswith((b"<?xml", b"<recording", b"\xef\xbb\xbf<")):
        return METADATA
    return "multipart/mixed" if start.startswith(b"--") else "application/octet-stream"


def bodies(content_type: str, body: bytes) -> Bodies:
    """The session description and the recording metadata of a request. Raises SipError as `parse` does."""
    sdp = metadata = None
    others = []
    for part in parse(content_type, body):
        if part.media_type == SDP:
            sdp = part.data if sdp is None else sdp
        elif part.media_type in _METADATA_TYPES:
            metadata = part.data if metadata is None else metadata
        else:
            others.append(part.media_type)
    return Bodies(sdp, metadata, tuple(others))


def build(parts: Iterable[Part], boundary: str) -> tuple[str, bytes]:
    """Content-Type and body of a `multipart/mixed` message. Raises ValueError when a part contains the boundary."""
    mark = b"--" + boundary.encode("ascii")
    lines = []
    for part in parts:
        if mark in part.data:
            raise ValueError("a part contains the boundary")
        head = f"\r\nContent-Type: {part.media_type}"
        if part.disposition:
            head += f"\r\nContent-Disposition: {part.disposition}"
        lines.append(mark + head.encode("ascii") + b"\r\n\r\n" + part.data + b"\r\n")
    return f'multipart/mixed;boundary="{boundary}"', b"".join(lines) + mark + b"--\r\n"
