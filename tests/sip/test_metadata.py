"""Recording metadata: the RFC's form, the drafts' forms, dangerous forms, and updates of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sip.errors import SipError
from agent.sip.metadata import DataMode, Metadata, Participant, Session, Stream, StreamAssociation, merge
from agent.sip.metadata_xml import MAX_DEPTH, MAX_ELEMENTS, build, read

RFC = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
 <datamode>complete</datamode>
 <session session_id="S1"><sipSessionID>ab;remote=cd</sipSessionID></session>
 <participant participant_id="P1"><nameID aor="sip:+33612345678@gw"><name>Ana</name></nameID></participant>
 <participant participant_id="P2"><nameID aor="tel:201"/></participant>
 <stream stream_id="M1" session_id="S1"><label>1</label></stream>
 <stream stream_id="M2" session_id="S1"><label>2</label></stream>
 <participantsessionassoc participant_id="P1" session_id="S1"/>
 <participantstreamassoc participant_id="P1"><send>M1</send><recv>M2</recv></participantstreamassoc>
 <participantstreamassoc participant_id="P2"><send>M2</send><recv>M1</recv></participantstreamassoc>
</recording>"""

DRAFT = """<recording xmlns='urn:ietf:params:xml:ns:recording'>
 <dataMode>Complete</dataMode>
 <session id="S1"/>
 <participant id="P1" session="S1"><aor>sip:+33612345678@gw</aor><name>Ana</name><send>M1</send></participant>
 <participant id="P2" session="S1"><nameID aor="tel:201"/><send>M2</send></participant>
 <stream id="M1" session="S1"><label>1</label></stream>
 <stream id="M2" session="S1"><label>2</label></stream>
</recording>"""


FIRST_DRAFT = """<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>
 <recording id="R"><requestor>SRC</requestor></recording><session id="S1" group="G"/>
 <participant id="P1" session="S1"><aor>sip:+33612345678@gw</aor><name>Ana</name><send><id>M1</id></send></participant>
 <participant id="P2" session="S1"><aor>tel:201</aor><send><id>M2</id></send></participant>
 <stream id="M1" session="S1"><label>1</label><mode>separate</mode></stream>
 <stream id="M2" session="S1"><label>2</label><mode>separate</mode></stream></recording_metadata>"""


@pytest.mark.parametrize(
    "text", [RFC, DRAFT, FIRST_DRAFT, RFC.replace(' xmlns="urn:ietf:params:xml:ns:recording:1"', "")]
)
def test_who_takes_part_and_who_is_heard_where(text: str) -> None:
    found = read(text.encode())
    assert found.mode is DataMode.COMPLETE
    assert [(p.participant_id, p.aor) for p in found.participants] == [("P1", "sip:+33612345678@gw"), ("P2", "tel:201")]
    assert found.participants[0].name == "Ana"
    assert [found.senders(label) for label in ("1", "2", "9")] == [("P1",), ("P2",), ()]
    assert [s.session_id for s in found.sessions] == ["S1"]


def test_a_participant_that_left() -> None:
    gone = '<participantsessionassoc participant_id="P1"><disassociate-time>2026-01-01T00:00:00Z</disassociate-time>'
    found = read(
        RFC.replace(
            '<participantsessionassoc participant_id="P1" session_id="S1"/>', gone + "</participantsessionassoc>"
        ).encode()
    )
    assert [p.left for p in found.participants] == [True, False]


DANGEROUS = {
    "entities": '<!DOCTYPE r [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><recording>&c;</recording>',
    "external entity": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><recording>&a;</recording>',
    "DTD": '<!DOCTYPE recording SYSTEM "http://192.0.2.9/x.dtd"><recording/>',
    "depth": "<recording>" + "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH + "</recording>",
    "breadth": "<recording>" + "<a/>" * MAX_ELEMENTS + "</recording>",
    "size": "<recording>" + " " * 70000 + "</recording>",
    "not well-formed": "<recording><session></recording>",
    "another document": "<html/>",
    "unknown encoding": '<?xml version="1.0" encoding="x-none"?><recording/>',
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_danger_is_refused(name: str) -> None:
    with pytest.raises(SipError) as error:
        read(DANGEROUS[name].encode())
    assert error.value.status == 400


def test_an_update_adds_to_what_was_known() -> None:
    before = read(RFC.encode())
    update = Metadata(
        DataMode.PARTIAL,
        participants=(Participant("P3", "tel:202"), Participant("P2", left=True)),
        streams=(Stream("M3", "3"),),
        associations=(StreamAssociation("P3", ("M3",)),),
    )
    after = merge(before, update)
    assert [(p.participant_id, p.aor, p.left) for p in after.participants] == [
        ("P1", "sip:+33612345678@gw", False),
        ("P2", "tel:201", True),
        ("P3", "tel:202", False),
    ]
    assert after.senders("3") == ("P3",) and after.senders("1") == ("P1",)
    whole = merge(after, Metadata(participants=(Participant("P9"),)))
    assert [p.participant_id for p in whole.participants] == ["P9"]


IDS = st.text("abcXYZ09-_=", min_size=1, max_size=12)
TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=20)


@given(st.lists(st.tuples(IDS, TEXT), max_size=5, unique_by=lambda x: x[0]), IDS)
def test_round_trip(people: list[tuple[str, str]], session: str) -> None:
    metadata = Metadata(
        sessions=(Session(session),),
        participants=tuple(Participant(i, f"sip:{n}@example.com", name) for n, (i, name) in enumerate(people)),
        streams=tuple(Stream(f"M{n}", str(n), session) for n in range(len(people))),
        associations=tuple(StreamAssociation(i, (f"M{n}",)) for n, (i, _) in enumerate(people)),
    )
    assert read(build(metadata, 1_800_000_000_000_000_000)) == metadata


@given(st.binary(max_size=300))
def test_noise_raises_sip_error_only(noise: bytes) -> None:
    for data in (noise, b"<recording>" + noise + b"</recording>"):
        try:
            read(data)
        except SipError as error:
            assert error.status == 400
