"""sipp as an independent gateway, in the dialects of six vendors, over UDP and TCP, one call and many at once."""

import subprocess
from pathlib import Path

import pytest

from agent.model.call import Codec, Direction, Role
from agent.model.events import CallChanged, CallStarted

SCENARIOS = Path(__file__).parents[1] / "gateways"
AGENT = {
    "cisco_cube": "201",
    "oracle": "201",
    "avaya_sbce": "2012",
    "broadworks": "2015",
    "metaswitch": "203",
    "audiocodes": "204",
}
DIRECTION = {
    "cisco_cube": Direction.OUTBOUND,
    "avaya_sbce": Direction.OUTBOUND,
    "broadworks": Direction.INBOUND,
    "metaswitch": Direction.OUTBOUND,
}
CHANGES = {"cisco_cube": 2, "oracle": 1, "avaya_sbce": 0, "broadworks": 1, "metaswitch": 0, "audiocodes": 2}
CODEC = {"cisco_cube": Codec.PCMU, "avaya_sbce": Codec.PCMU, "metaswitch": Codec.PCMU, "broadworks": Codec.G722}


def sipp(tap, vendor: str, transport: str, calls: int, port: int) -> None:
    """Run a scenario; every check in it must hold for every call."""
    target = tap.target(transport)
    command = [
        "sipp",
        "-sf",
        str(SCENARIOS / f"{vendor}.xml"),
        "-m",
        str(calls),
        "-l",
        str(calls),
        "-r",
        str(calls * 4),
    ]
    command += ["-t", f"{transport[0]}1", "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-timeout", "40s"]
    command += [
        "-timeout_error",
        "-trace_err",
        "-error_file",
        "/dev/stderr",
        "-s",
        "srs",
        f"{target.host}:{target.port}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("vendor", AGENT)
def test_dialect(tap, free_port: int, vendor: str, transport: str) -> None:
    sipp(tap, vendor, transport, 1, free_port)
    events = tap.expect("started", *["changed"] * CHANGES[vendor], "ended")
    started = events[0]
    assert isinstance(started, CallStarted)
    call = started.call
    assert {p.number: p.role for p in call.parties} == {"+33612345678": Role.CUSTOMER, AGENT[vendor]: Role.AGENT}
    assert call.direction is DIRECTION.get(vendor, Direction.INBOUND)
    assert call.gateway == "127.0.0.1" and call.reference.split("-")[0] in ("cube", "ora", "avaya", "bw", "ms", "ac")
    assert {s.codec for s in call.streams} == {CODEC.get(vendor, Codec.PCMA)}
    voices = {call_party(call, s.participant_id): s.channel for s in call.streams}
    if vendor == "metaswitch":
        assert voices == {None: 0}, "both voices in one stream are nobody's"
    else:
        assert set(voices) >= {"+33612345678", AGENT[vendor]} and len(set(voices.values())) == len(call.streams)
    assert events[-1].cause == "bye"
    assert tap.media == {}, "every port is given back"


def call_party(call, participant_id: str | None) -> str | None:
    """The number of a participant."""
    return next((p.number for p in call.parties if p.participant_id == participant_id), None)


def test_hold_and_resume_are_told(tap, free_port: int) -> None:
    sipp(tap, "cisco_cube", "udp", 1, free_port)
    _, held, resumed, _ = tap.expect("started", "changed", "changed", "ended")
    assert isinstance(held, CallChanged) and isinstance(resumed, CallChanged)
    assert [s.active for s in held.streams] == [False, False]
    assert [s.active for s in resumed.streams] == [True, True]
    assert [s.port for s in held.streams] == [s.port for s in resumed.streams]


def test_a_transfer_keeps_the_channel_for_who_speaks_on_it(tap, free_port: int) -> None:
    sipp(tap, "oracle", "tcp", 1, free_port)
    _, changed, _ = tap.expect("started", "changed", "ended")
    assert isinstance(changed, CallChanged)
    left = {p.number: p.left_ns is not None for p in changed.parties}
    assert left == {"+33612345678": False, "201": True, "202": False}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_many_calls_at_once_stay_apart(tap, free_port: int, transport: str) -> None:
    calls = 40
    sipp(tap, "audiocodes", transport, calls, free_port)
    tap.expect(*tap.kinds())
    started = [e.call for e in tap.events if isinstance(e, CallStarted)]
    assert len(started) == calls and tap.kinds().count("ended") == calls
    assert len({c.call_id for c in started}) == len({c.reference for c in started}) == calls
    assert [c.call_id for c in started] == sorted(c.call_id for c in started), "ids are ordered by time"
    assert tap.media == {} and tap.srs.live == 0
