"""What the manifest says of keys pressed: only where the purpose may keep them, only of what it may hear."""

import json
from dataclasses import replace

from agent.capture.format import RecordHeader, RecordKind
from agent.capture.reader import Record
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
