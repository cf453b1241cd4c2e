"""Recording metadata as XML: read from any gateway, written as RFC 7865 §8 has it.

Lenient about names and places: the drafts before the RFC had `recording_metadata`, `dataMode`, `id` for
`participant_id`, and `send` inside the participant; some omit the namespace. Strict about danger: no DTD, no entities,
bounded size, depth and counts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from agent.sip.errors import SipError
from agent.sip.metadata import DataMode, Metadata, Participant, Session, Stream, StreamAssociation
from agent.sip.uri import clean

MAX_BYTES = 64 << 10
MAX_ELEMENTS = 2000
MAX_DEPTH = 12
MAX_ITEMS = 64
NAMESPACE = "urn:ietf:params:xml:ns:recording:1"
_ROOTS = ("recording", "recording_metadata")
_ID_CHARS = 128
_AOR_CHARS = 512


def read(data: bytes) -> Metadata:
    """The metadata in `data`. Raises SipError 400 when it is not XML, not a `recording`, or dangerous."""
    if len(data) > MAX_BYTES:
        raise SipError(400, f"recording metadata is longer than {MAX_BYTES} bytes")
    try:
        root = fromstring(data.strip(b" \t\r\n\0"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise SipError(400, "recording metadata with a DTD or entities is refused") from error
    except (ParseError, ValueError, LookupError) as error:
        raise SipError(400, "recording metadata is not well-formed XML") from error
    _check_size(root)
    if _name(root) not in _ROOTS:
        raise SipError(400, "recording metadata does not begin with a recording element")
    participants = [_participant(e) for e in _all(root, "participant")]
    gone = set(_gone(root))
    return Metadata(
        DataMode.PARTIAL if _text(root, "datamode").lower() == "partial" else DataMode.COMPLETE,
        tuple(_session(e) for e in _all(root, "session")),
        tuple(
            Participant(p.participant_id, p.aor, p.name, p.participant_id in gone)
            for p in participants
            if p.participant_id
        ),
        tuple(_stream(e) for e in _all(root, "stream")),
        tuple(_associations(root)),
    )


def _check_size(root: Element) -> None:
    waiting, count = [(root, 1)], 0
    while waiting:
        element, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise SipError(400, f"recording metadata has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels")
        waiting += [(child, depth + 1) for child in element]


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _all(parent: Element, name: str) -> Iterator[Element]:
    found = [e for e in parent.iter() if _name(e) == name][:MAX_ITEMS]
    yield from found


def _text(parent: Element, name: str, limit: int = _ID_CHARS) -> str:
    found = next((e for e in parent.iter() if _name(e) == name and e is not parent), None)
    return clean(found.text or "", limit) if found is not None else ""


def _attribute(element: Element, *names: str) -> str:
    present = {key.rpartition("}")[2].lower(): value for key, value in element.attrib.items()}
    return next((clean(present[n], _ID_CHARS) for n in names if n in present), "")


def _session(element: Element) -> Session:
    group = _text(element, "group-ref") or _attribute(element, "group", "group_id")
    return Session(_attribute(element, "session_id", "id"), group, _text(element, "sipsessionid"))


def _participant(element: Element) -> Participant:
    name_id = next(_all(element, "nameid"), None)
    aor = _attribute_long(name_id, "aor") if name_id is not None else ""
    aor = aor or _text(element, "aor", _AOR_CHARS) or _attribute_long(element, "aor")
    return Participant(_attribute(element, "participant_id", "id"), aor, _text(element, "name"))


def _attribute_long(element: Element, name: str) -> str:
    return clean(next((v for k, v in element.attrib.items() if k.lower() == name), ""), _AOR_CHARS)


def _stream(element: Element) -> Stream:
    return Stream(
        _attribute(element, "stream_id", "id"),
        _text(element, "label") or _attribute(element, "label"),
        _attribute(element, "session_id", "session"),
    )


def _associations(root: Element) -> Iterator[StreamAssociation]:
    for element in _all(root, "participantstreamassoc"):
        yield _association(element, _attribute(element, "participant_id", "participant", "id"))
    for element in _all(root, "participant"):
        if any(_name(child) in ("send", "recv") for child in element):
            yield _association(element, _attribute(element, "participant_id", "id"))


def _association(element: Element, participant_id: str) -> StreamAssociation:
    ways = {way: tuple(_stream_id(e) for e in _all(element, way)) for way in ("send", "recv")}
    if _name(element) == "participantstreamassoc" and _text(element, "disassociate-time"):
        return StreamAssociation(participant_id)
    return StreamAssociation(participant_id, ways["send"], ways["recv"])


def _stream_id(way: Element) -> str:
    """The stream named by a `send` or `recv`: its text, or in the first drafts that of an `id` inside it."""
    return clean(way.text or "", _ID_CHARS) or _text(way, "id")


def _gone(root: Element) -> Iterator[str]:
    for name in ("participantsessionassoc", "participant"):
        for element in _all(root, name):
            if any(_text(element, when) for when in ("disassociate-time", "stop-time")):
                yield _attribute(element, "participant_id", "id")


def build(metadata: Metadata, at_ns: int) -> bytes:
    """The XML of `metadata` as a session recording client would send it, timed `at_ns` (UTC ns)."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    root = Element("recording", {"xmlns": NAMESPACE})
    SubElement(root, "datamode").text = metadata.mode.value
    for group in dict.fromkeys(s.group_id for s in metadata.sessions if s.group_id):
        SubElement(SubElement(root, "group", {"group_id": group}), "associate-time").text = at
    for session in metadata.sessions:
        element = SubElement(root, "session", {"session_id": session.session_id})
        if session.sip_session_id:
            SubElement(element, "sipSessionID").text = session.sip_session_id
        if session.group_id:
            SubElement(element, "group-ref").text = session.group_id
        SubElement(element, "start-time").text = at
    for participant in metadata.participants:
        element = SubElement(root, "participant", {"participant_id": participant.participant_id})
        name_id = SubElement(element, "nameID", {"aor": participant.aor})
        if participant.name:
            SubElement(name_id, "name", {"xml:lang": "en"}).text = participant.name
    for stream in metadata.streams:
        attributes = {"stream_id": stream.stream_id} | ({"session_id": stream.session_id} if stream.session_id else {})
        SubElement(SubElement(root, "stream", attributes), "label").text = stream.label
    for session in metadata.sessions:
        element = SubElement(root, "sessionrecordingassoc", {"session_id": session.session_id})
        SubElement(element, "associate-time").text = at
    _build_associations(root, metadata, at)
    return f'<?xml version="1.0" encoding="UTF-8"?>\r\n{tostring(root, encoding="unicode")}'.encode()


def _build_associations(root: Element, metadata: Metadata, at: str) -> None:
    session_id = metadata.sessions[0].session_id if metadata.sessions else ""
    for participant in metadata.participants:
        ids = {"participant_id": participant.participant_id, "session_id": session_id}
        element = SubElement(root, "participantsessionassoc", ids)
        SubElement(element, "associate-time").text = at
        if participant.left:
            SubElement(element, "disassociate-time").text = at
    for association in metadata.associations:
        element = SubElement(root, "participantstreamassoc", {"participant_id": association.participant_id})
        for way, ids_of in (("send", association.send), ("recv", association.recv)):
            for stream_id in ids_of:
                SubElement(element, way).text = stream_id
