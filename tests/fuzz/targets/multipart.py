"""Bodies of several parts: what is found lies in the body, and what is built of it is found again."""

from agent.sip import multipart
from agent.sip.errors import SipError
from agent.sip.multipart import MAX_PARTS, Part
from fuzz import quiet

SEEDS = (
    b"multipart/mixed;boundary=b\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n"
    b"Content-Disposition:\r\n recording-session\r\nc: application/rs-metadata+xml\r\n\r\n<recording/>\r\n--b--\r\n",
    b'Multipart/Mixed; x=y; boundary="a b"\nhello\n--a b\nContent-Type: x/y; z\n\nv=0\n--a b\n\n<?xml\n--a b--',
    b"multipart/mixed\n--zz\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--zz--",
    b"\n--b\r\n\r\nv=0\r\n--b\r\n<recording/>\r\n",
    b"application/sdp\nv=0\r\n",
)
WORDS = (b"\r\n--b\r\n", b"--b--", b"boundary=", b"content-type: ", b"\r\n\r\n", b"v=0", b"<?xml")


def target(data: bytes) -> None:
    """Content-Type up to the first line feed, the body after it."""
    content_type, _, body = data.partition(b"\n")
    kind = content_type.decode("utf-8", "replace")
    try:
        parts = multipart.parse(kind, body)
    except SipError as error:
        quiet.check(error)
        assert error.status == 400
        return
    assert len(parts) <= MAX_PARTS and sum(len(p.data) for p in parts) <= len(body)
    assert all(p.data in body and p.media_type == p.media_type.strip().lower() for p in parts)
    found = multipart.bodies(kind, body)
    assert len(found.others) + (found.sdp is not None) + (found.metadata is not None) <= len(parts)
    plain = [Part("application/x", p.data) for p in parts if p.data.strip() and b"--ours" not in p.data]
    built_kind, built = multipart.build(plain, "ours")
    assert list(multipart.parse(built_kind, built)) == plain
