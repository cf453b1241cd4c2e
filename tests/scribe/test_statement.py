"""What the manifest says of keys pressed: only where the purpose may keep them, only of what it may hear."""

import json
from dataclasses import replace

import numpy as np

from agent.capture.format import RecordHeader, RecordKind
from agent.capture.reader import Record
from agent.media.g711 import encode
from agent.model.call import Call, Codec, MediaStream
from agent.model.events import CallStarted
from agent.model.media import KeyPress
from agent.model.purpose import ArtifactKind, Purpose, Trigger
from agent.model.wire import dump
from agent.scribe.channels import rebuild
from agent.scribe.statement import TranscriptState, body

CALL = "00112233445566778899aabbccddeeff"


def record(kind: RecordKind, value: object) -> tuple[Record, bytes]:
    payload = dump(value)
    return Record(RecordHeader(kind, CALL, 0, 0, None, 0, 0, 0, 0, len(payload)), b"", payload), payload


def test_keys_are_in_the_manifest_of_purposes_that_keep_them_and_of_no_other() -> None:
    call = Call(CALL, "ref", "siprec", "gw", 0, streams=(MediaStream(3, "", 1, "p1", Codec.PCMA, 8, 20000),))
    keys = [KeyPress(CALL, 3, event, at) for event, at in ((4, 8000), (11, 40000), (2, 90000), (99, 8000))]
    tape = rebuild(CALL, [record(RecordKind.EVENT, CallStarted(call)), *(record(RecordKind.KEY, k) for k in keys)])
    silent = Purpose("training", Trigger.ALL, (ArtifactKind.AUDIO,), (), None)
    keeping = replace(silent, name="evidence", keys=True)

    def said(purpose: Purpose) -> object:
        made = body(tape, "site", purpose, ((0, 60000),), (), (), TranscriptState("done"), 0, 1)
        return json.loads(json.dumps(made))["keys"]

    assert said(silent) == []
    assert said(keeping) == [{"key": "4", "at_s": 1.0, "channel": 1}, {"key": "#", "at_s": 5.0, "channel": 1}]


def test_tones_are_heard_where_phones_do_not_tell_of_keys_and_never_of_a_pause() -> None:
    call = Call(CALL, "ref", "siprec", "gw", 0, streams=(MediaStream(0, "", 0, "p1", Codec.PCMA, 8, 20000),))
    at = np.arange(800) / 8000
    five = 5000 * (np.sin(2 * np.pi * 770 * at) + np.sin(2 * np.pi * 1336 * at))
    pcm = np.zeros(24000, np.int16)
    pcm[8000:8800] = pcm[16000:16800] = five
    payload = encode(pcm, Codec.PCMA).tobytes()
    header = RecordHeader(RecordKind.MEDIA, CALL, 0, 0, Codec.PCMA, 0, 0, 0, 0, len(payload))
    tape = rebuild(CALL, [record(RecordKind.EVENT, CallStarted(call)), (Record(header, b"", payload), payload)])
    keeping = Purpose("evidence", Trigger.ALL, (ArtifactKind.AUDIO,), (), None, keys=True)
    made = body(tape, "site", keeping, ((0, 12000), (20000, 24000)), (), (), TranscriptState("done"), 0, 1)
    (key,) = made["keys"]
    assert (key["key"], key["channel"], key["heard"]) == ("5", 0, True) and abs(key["at_s"] - 1.0) < 0.03
    silent = replace(keeping, keys=False)
    assert body(tape, "site", silent, ((0, 24000),), (), (), TranscriptState("done"), 0, 1)["keys"] == []
