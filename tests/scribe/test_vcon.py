"""A vCon of a whole call, read by an independent JOSE library and held against what the draft demands."""

import base64
import io
import json
import uuid
from typing import Any

import av
import jsonschema
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import OKPKey
from pydantic import ValidationError
from working import CALL, Reader, channels, greffier, manifest, opened, run, settle, tones

from agent.config import load
from agent.config.purposes import PurposeSection
from agent.scribe import engineroom
from agent.scribe.text import Heading, Voice
from agent.scribe.vcon import Contents, Recording, to_vcon, uuid_of
from agent.vault.signing import load_public

INDEX = {"type": "integer", "minimum": 0}
DATE = {"type": "string", "format": "date-time"}
CONTENT = {"encoding": {"enum": ["base64url", "json", "none"]}, "mediatype": {"type": "string"}}
RULES: dict[str, Any] = {
    "type": "object",
    "required": ["uuid", "created_at", "parties"],
    "properties": {
        "uuid": {"type": "string", "format": "uuid"},
        "created_at": DATE,
        "extensions": {"type": "array", "items": {"type": "string"}},
        "redacted": {"type": "object", "required": ["type"]},
        "parties": {"type": "array", "items": {"type": "object"}},
        "dialog": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "start", "parties"],
                "properties": CONTENT
                | {
                    "type": {"enum": ["recording", "text", "transfer", "incomplete"]},
                    "start": DATE,
                    "duration": {"type": "number", "minimum": 0},
                    "parties": {
                        "type": "array",
                        "items": {"anyOf": [INDEX, {"type": "array", "items": INDEX}]},
                    },
                    "party_history": {
                        "type": "array",
                        "items": {"required": ["party", "time", "event"], "properties": {"party": INDEX, "time": DATE}},
                    },
                },
                "dependentRequired": {"body": ["encoding", "mediatype"]},
            },
        },
        "analysis": {
            "type": "array",
            "items": {"required": ["type", "vendor"], "properties": CONTENT | {"dialog": INDEX}},
        },
        "attachments": {"type": "array"},
    },
}
"""What draft-ietf-vcon-vcon-core-04 demands (§4.1 to §4.4) of the parameters that we write."""


def with_vcon(site, *purposes: str) -> None:
    """Let purposes have a vCon as well."""
    text = site.config.read_text()
    for purpose in purposes:
        before, mark, after = text.partition(f"[purpose.{purpose}]")
        text = before + mark + after.replace('artifacts = ["', 'artifacts = ["vcon", "', 1)
    site.config.write_text(text)
    site.settings = load(site.config)


JOSE = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)
"""The draft puts the uuid into the header, which JOSE does not know."""


def jwk(public: bytes) -> OKPKey:
    """A public key as JOSE has it (RFC 8037 §2)."""
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


def unsigned(site, name: str) -> dict[str, Any]:
    """The vCon in a file, its signature checked with the site's key by joserfc, and its form against the draft."""
    signed = json.loads(opened(site, name))
    public = load_public(site.root / "keys" / "site.pem.pub")
    document = json.loads(jws.deserialize_json(signed, jwk(public), registry=JOSE).payload)
    jsonschema.validate(document, RULES, format_checker=jsonschema.FormatChecker())
    header = signed["signatures"][0]["header"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) == public
    assert header["uuid"] == document["uuid"] and uuid.UUID(document["uuid"]).version == 8
    return document


def body_of(dialog: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64decode(dialog["body"] + "==")


@pytest.fixture
def hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that writes what it is told to."""
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("reader", "bonjour madame"))


@pytest.mark.usefixtures("hears")
def test_each_purpose_has_its_own_parts_signed_and_no_more(make_site) -> None:
    site = make_site("auto")
    with_vcon(site, "evidence", "analytics")
    site.tape(CALL, tones(4), keep_at=0, paused=(8000, 16000))
    run(site)
    evidence = unsigned(site, "evidence/vcon.json")
    (dialog,) = evidence["dialog"]
    assert body_of(dialog) == opened(site, "evidence/audio.flac"), "the audio that is delivered beside"
    assert dialog["mediatype"] == "audio/flac" and dialog["parties"] == [0, 1] and dialog["duration"] == 4.0
    assert evidence["parties"][0] == {
        "role": "customer",
        "tel": "+33612345678",
        "name": "Ann Example",
        "validation": "none",
    }
    transcript, report = evidence["analysis"]
    assert transcript["body"] == json.loads(opened(site, "evidence/transcript.json"))
    assert report["body"] == {"absent": [[1.0, 2.0]], "cuts": []}
    assert "redacted" not in evidence
    analytics = unsigned(site, "analytics/vcon.json")
    assert "body" not in analytics["dialog"][0] and analytics["redacted"] == {
        "type": "audio, numbers and names, card, cvv, email, expiry, iban, nir, phone"
    }
    assert [set(party) for party in analytics["parties"]] == [{"role"}, {"role"}]
    assert analytics["uuid"] != evidence["uuid"]
    assert "training/vcon.json" not in site.outbox(), "it was not asked for"
    listed = {a["kind"]: a for a in manifest(site, "evidence/manifest.json")["artifacts"]}
    assert listed["vcon"]["media_type"] == "application/vcon"


@pytest.mark.usefixtures("hears")
def test_a_changed_vcon_is_refused(make_site) -> None:
    site = make_site("auto")
    with_vcon(site, "training")
    site.tape(CALL, tones(2))
    run(site)
    signed = json.loads(opened(site, "training/vcon.json"))
    payload = bytearray(base64.urlsafe_b64decode(signed["payload"] + "=="))
    payload[payload.index(b'"customer"') + 1] ^= 1
    signed["payload"] = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    public = load_public(site.root / "keys" / "site.pem.pub")
    with pytest.raises(BadSignatureError):
        jws.deserialize_json(signed, jwk(public), registry=JOSE)


def test_it_waits_for_a_transcript_that_is_to_come(make_site, monkeypatch) -> None:
    site = make_site("auto", deferred_limit_s=3600)
    with_vcon(site, "evidence")
    site.tape(CALL, tones(2), keep_at=0)
    run(site)
    assert "evidence/audio.flac" in site.outbox() and "evidence/vcon.json" not in site.outbox()
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("reader", "bonjour"))
    run(site)
    assert [a["type"] for a in unsigned(site, "evidence/vcon.json")["analysis"]] == ["transcript", "report"]


def test_where_nothing_is_transcribed_it_has_the_sound(make_site) -> None:
    site = make_site("none", deferred_limit_s=0)
    with_vcon(site, "evidence", "analytics")
    site.tape(CALL, tones(2), keep_at=0)
    run(site)
    document = unsigned(site, "evidence/vcon.json")
    assert body_of(document["dialog"][0]) == opened(site, "evidence/audio.flac")
    assert [a["type"] for a in document["analysis"]] == ["report"]
    assert "analytics/vcon.json" not in site.outbox(), "a purpose with a transcript only has nothing to put into one"


def test_what_is_masked_afterwards_is_in_a_new_one_and_the_old_is_gone(make_site, monkeypatch) -> None:
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("reader", "bonjour madame"))
    site = make_site("auto", window="1 h")
    with_vcon(site, "training")
    site.tape(CALL, tones(4))
    scribe = run(site)
    first = unsigned(site, "training/vcon.json")
    greffier(site, "mask", CALL, "--from", "1", "--to", "2", "--reason", "x", "--purpose", "training")
    settle(scribe)
    assert "training/vcon.json" not in site.outbox()
    second = unsigned(site, "training/vcon-2.json")
    assert second["uuid"] != first["uuid"]
    assert second["analysis"][-1]["body"]["absent"] == [[1.0, 2.0]]
    with av.open(io.BytesIO(body_of(second["dialog"][0]))) as container:
        sound = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
        rate = container.streams.audio[0].rate
    assert np.abs(sound[:, int(1.2 * rate) : int(1.8 * rate)]).max() < np.abs(sound[:, : int(0.8 * rate)]).max() / 50


def test_who_came_and_went_is_heard_on_one_channel_and_told() -> None:
    voices = [
        Voice("p1", "customer", 0, "+33123456789"),
        Voice("p2", "agent", 1, "sip:201@pbx.example", left_s=2.0),
        Voice("p3", "agent", 1, "202", joined_s=2.0),
        Voice("p4", "other", 2),
        Voice("p5", "other", None),
    ]
    heading = Heading("c" * 32, "site", "evidence", 1_790_000_000 * 10**9, 10.0, (), ((1.0, 3.5),))
    recording = Recording(b"sound", "audio/flac", "c.audio.flac", 2)
    document = to_vcon(Contents("evidence/c.vcon.json", heading, voices, recording, None, (), heading.started_ns))
    jsonschema.validate(document, RULES, format_checker=jsonschema.FormatChecker())
    (dialog,) = document["dialog"]
    assert dialog["parties"] == [0, [1, 2, 3]], "a file of two channels has the third in its last"
    assert dialog["duration"] == 7.5, "cut audio is shorter"
    assert [(e["party"], e["event"], e["time"][-14:]) for e in dialog["party_history"]] == [
        (2, "join", "T14:13:22.000Z"),
        (1, "drop", "T14:13:22.000Z"),
    ]
    assert document["parties"][1]["sip"] == "sip:201@pbx.example" and document["parties"][2]["tel"] == "202"


def test_a_name_is_made_once() -> None:
    made = uuid_of("site", "evidence/c.vcon.json", 1_790_000_000 * 10**9)
    assert made == uuid_of("site", "evidence/c.vcon.json", 1_790_000_000 * 10**9)
    assert made.version == 8 and made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1_790_000_000_000, "its time comes first, as in version 7"
    assert made != uuid_of("site", "training/c.vcon.json", 1_790_000_000 * 10**9)


def test_a_vcon_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="a vcon holds the audio and the transcript"):
        PurposeSection(trigger="all", artifacts=("vcon",), recipients_file="x", basis="contract")


def test_channels_of_the_recording_are_those_of_the_call(make_site, monkeypatch) -> None:
    monkeypatch.setattr(engineroom, "load", lambda *_: Reader("reader", "bonjour"))
    site = make_site("auto")
    with_vcon(site, "evidence")
    taped = site.tape(CALL, tones(2, 3), keep_at=0)
    run(site)
    (dialog,) = unsigned(site, "evidence/vcon.json")["dialog"]
    heard = channels(body_of(dialog))
    assert len(dialog["parties"]) == len(heard) == 3
    assert np.array_equal(heard[2], taped.sent(2))


@pytest.mark.usefixtures("hears")
def test_what_a_purpose_may_not_hear_said_stands_in_no_heading(make_site) -> None:
    site = make_site("auto")
    with_vcon(site, "training")
    hidden = 'redact = { phone = "mask" }\n'
    site.config.write_text(site.config.read_text().replace("[purpose.training]\n", f"[purpose.training]\n{hidden}"))
    site.settings = load(site.config)
    site.tape(CALL, tones(2), keep_at=0)
    run(site)
    assert all("tel" not in party for party in unsigned(site, "training/vcon.json")["parties"])
    assert all("number" not in one for one in json.loads(opened(site, "training/transcript.json"))["parties"])
    assert json.loads(opened(site, "evidence/transcript.json"))["parties"][0]["number"] == "+33612345678"
