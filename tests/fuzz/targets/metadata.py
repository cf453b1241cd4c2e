"""Recording metadata: read within limits, and what is written of it again is the same."""

from agent.sip import metadata_xml
from agent.sip.errors import SipError
from agent.sip.metadata import Metadata, merge
from fuzz import quiet

SEEDS = (
    b"""<?xml version="1.0" encoding="UTF-8"?><recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>partial</datamode><session session_id="S1"><sipSessionID>ab;remote=cd</sipSessionID></session>
<participant participant_id="P1"><nameID aor="sip:+33612345678@gw"><name>Ana</name></nameID></participant>
<stream stream_id="M1" session_id="S1"><label>1</label></stream>
<participantsessionassoc participant_id="P1" session_id="S1"><disassociate-time>2026</disassociate-time>
</participantsessionassoc>
<participantstreamassoc participant_id="P1"><send>M1</send><recv>M2</recv></participantstreamassoc></recording>""",
    b"""<recording_metadata><dataMode>complete</dataMode><session id="S1" group="G"/>
<participant id="P1" session="S1"><aor>tel:201</aor><send><id>M1</id></send></participant>
<stream id="M1" session="S1"><label>1</label></stream></recording_metadata>""",
    b'<!DOCTYPE r [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><recording>&c;</recording>',
    b"\xef\xbb\xbf<recording><group-ref>G</group-ref><participant>&#38;&lt;<!-- --><?p i?><![CDATA[x]]></participant>"
    b"</recording>",
    '<?xml version="1.0" encoding="UTF-16"?><recording/>'.encode("utf-16"),
)
WORDS = (
    b"<participant id='P'>",
    b"</participant>",
    b"<send>",
    b"</send>",
    b"<aor>",
    b"&#x85;",
    b"<stream id='M'>",
    b"<label/>",
)
_LONGEST = 64 * 64


def target(data: bytes) -> None:
    """One body."""
    try:
        found = metadata_xml.read(data)
    except SipError as error:
        quiet.check(error)
        assert error.status == 400
        return
    for items in (found.sessions, found.participants, found.streams):
        assert len(items) <= metadata_xml.MAX_ITEMS
    assert len(found.associations) <= 2 * metadata_xml.MAX_ITEMS
    for participant in found.participants:
        assert participant.participant_id and len(participant.aor) <= 512 and len(participant.name) <= 128
        assert not any(ord(c) < 32 for c in participant.aor + participant.name)
    merged = merge(Metadata(), found)
    for stream in merged.streams:
        merged.senders(stream.label)
    if sum(len(a.send) + len(a.recv) for a in found.associations) < 200:
        _check_written(found)


def _check_written(found: Metadata) -> None:
    back = metadata_xml.read(metadata_xml.build(found, 1_800_000_000_000_000_000))
    assert back.mode is found.mode
    assert [s.session_id for s in back.sessions] == [s.session_id for s in found.sessions]
    assert [(p.participant_id, p.aor, p.name) for p in back.participants] == [
        (p.participant_id, p.aor, p.name) for p in found.participants
    ]
    assert back.streams == found.streams
