"""Deciding on a live call again: because of who takes part now, or because of what somebody says of it."""

from dataclasses import replace

from agent.capture.format import RecordKind
from agent.model.call import Call
from agent.model.context import ContextNote
from agent.model.events import CallContext
from agent.model.spans import FOREVER
from agent.model.wire import dump
from agent.recorder.listening import Listening
from agent.recorder.live import DecideAgain, LiveCall
from agent.recorder.livefeed import LiveFeed


class Deciding:
    """`decide_again` says what holds of a call that has changed."""

    def __init__(self, decide_again: DecideAgain, listening: Listening, live_sound: LiveFeed) -> None:
        self._decide_again = decide_again
        self._listening = listening
        self._live_sound = live_sound

    def again(self, live: LiveCall, now_ns: int, at_ns: int, named: int = FOREVER) -> None:
        """Decide on a call again; only what is different now is written down and turns a gate. `named`: where in the
        call the first of those joined who are known by a number only now."""
        decisions = tuple(self._decide_again(live.call, live.decisions, at_ns))
        stood = {d.purpose: (d.applies, d.waits) for d in live.decisions}
        anew = tuple(d for d in decisions if stood.get(d.purpose) != (d.applies, d.waits))
        live.decisions = decisions
        if not anew:
            return
        self._listening.hand_on(live)
        live.sink.record(RecordKind.DECISIONS, dump(anew))
        live.gate.decide(anew, live.now_samples(now_ns), at_ns, self._listening.heard_until(live), named)
        self._live_sound.turned(live)

    def said(self, live: LiveCall, note: ContextNote, now_ns: int, at_ns: int) -> None:
        """The call is what a note makes of it; what is new in that is written down and decided on."""
        before = live.call
        live.call = what = with_note(before, note)
        if what == before and note.consent is None:
            return
        event = CallContext(
            note.call_id, at_ns, what.queue, what.tags, what.consent, note.actor[:100], note.source[:20]
        )
        live.sink.record(RecordKind.EVENT, dump(event))
        self.again(live, now_ns, at_ns)


def with_note(call: Call, note: ContextNote) -> Call:
    """The call as it stands after what a note says of it."""
    tags = tuple(sorted((set(call.tags) - set(note.remove_tags)) | set(note.add_tags)))
    queue = call.queue if note.queue is None else note.queue or None
    return replace(call, queue=queue, tags=tags, consent=note.consent or call.consent)
