"""Whatever is overheard, nothing is raised, nothing is logged as a fault of ours, and what comes out is in order."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from overheard import OTHER, PBX, PHONE, TRUNK, S, Talk, described, hear, listening
from structlog.testing import capture_logs

from agent.model.events import CallChanged, CallEnded, CallStarted
from agent.tap.span.message import Overheard
from agent.tap.span.strays import Heard, Stray


def repertoire() -> list[Overheard]:
    """Messages of a call through a PBX, with early media, hold, transfer, refusal and end."""
    header = "X-Call-ID: 7f3a9c\r\nP-Asserted-Identity: <sip:+33140000000@pbx>\r\n"
    one = Talk(call_id="one", headers=header)
    two = Talk("+33140000000", "+33612345678", PBX, TRUNK, call_id="two", headers=header)
    four = Talk("203", "204", PHONE, PBX, call_id="four")
    three = Talk("+33612345678", "202", TRUNK, OTHER, call_id="three")
    return [
        one.request("INVITE", described(PHONE, 4000)),
        two.request("INVITE", described(PBX, 7000)),
        two.response(183, described(TRUNK, 8000), to="c"),
        two.response(200, described(TRUNK, 8002), to="b"),
        one.response(183, described(PBX, 6000)),
        one.response(200, described(PBX, 6000)),
        one.request("ACK", to="b"),
        two.request("ACK", described(PBX, 7000), to="b"),
        one.request("INVITE", described(PHONE, 4002, "18 101", "a=sendonly\r\n"), to="b", cseq=2),
        one.response(491, cseq=2),
        one.request("UPDATE", described("0.0.0.0", 6000), to="b", cseq=3, back=True),
        one.response(200, described(PHONE, 4000), cseq=3, method="UPDATE", back=True),
        one.request("PRACK", to="b", cseq=4),
        one.request("CANCEL"),
        one.request("REFER", to="b", cseq=5, more="Refer-To: <sip:202@x?Replaces=two%3Bto-tag%3Db>\r\n"),
        three.request("INVITE", described(TRUNK, 8000), more="Replaces: two;to-tag=b;from-tag=a\r\n"),
        three.response(200, described(OTHER, 4000)),
        four.request("INVITE", described(PHONE, 4000)),
        four.response(200, described(PBX, 6000)),
        two.request("BYE", to="b", cseq=2),
        one.response(481, cseq=6, method="BYE"),
        three.request("BYE", to="b", cseq=2, back=True),
    ]


MESSAGES = repertoire()
STEPS = st.tuples(
    st.integers(0, len(MESSAGES) - 1),
    st.sampled_from(["as it is", "as it is", "cut", "changed", "tcp", "hop", "later", "stray", "restart"]),
    st.integers(0, 2000),
    st.binary(max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=50))
def test_anything_in_any_order_is_survived(steps: list[tuple[int, str, int, bytes]]) -> None:
    watcher, live, now = listening(max_calls=3), {}, 100 * S
    with capture_logs() as logs:
        for which, what, place, noise in steps:
            now += S
            message = replace(MESSAGES[which], at_ns=now)
            data, at = message.data, place % len(message.data)
            if what == "cut":
                message = replace(message, data=data[:at])
            elif what == "changed":
                message = replace(message, data=data[:at] + noise + data[at + len(noise) :])
            elif what == "tcp":
                message = replace(message, transport="tcp", sequence=place, flags=place & 7)
            elif what == "hop":
                message = replace(message, data=data.replace(b"branch=", b"branch=other"))
            elif what == "later":
                now += place * S
            if what == "later":
                events = watcher.expire(now, dict.fromkeys(live, now - place * S).get if place % 2 else None)
            elif what == "stray":
                source, destination = (PHONE, 4000 + place % 3), (PBX, 6000 + place % 2)
                events = watcher.adopt(
                    [Stray(destination, source, place, 8, 50)], {(PBX, 6000): Heard(place, now)}.get, now
                )
            elif what == "restart":
                kept = [watcher.snapshot(call_id) for call_id in live]
                watcher, events = listening(max_calls=3), []
                for snapshot in kept:
                    watcher.restore(snapshot)
            else:
                events = watcher.hear(message)
            for event in events:
                if isinstance(event, CallStarted):
                    assert event.call_id not in live
                    live[event.call_id] = event.call
                elif isinstance(event, CallChanged):
                    live[event.call_id] = replace(live[event.call_id], parties=event.parties, streams=event.streams)
                else:
                    assert isinstance(event, CallEnded)
                    del live[event.call_id]
                for call in live.values():
                    assert [s.stream for s in call.streams] == list(range(len(call.streams)))
            ports: dict[tuple[str, int], str] = {}
            for call_id, call in live.items():
                for stream in call.streams:
                    if stream.active:
                        owner = ports.setdefault((stream.host, stream.port), call_id)
                        assert owner == call_id, "an address belongs to one call"
            assert watcher.live == len(live) <= 3
    assert [line for line in logs if line["event"] == "span.failed"] == []


def test_the_repertoire_is_what_it_says() -> None:
    kinds = [event.kind for event in hear(listening(), MESSAGES)]
    assert kinds[0] == "started" and kinds.count("started") == 2 and {"changed", "ended"} < {*kinds}
