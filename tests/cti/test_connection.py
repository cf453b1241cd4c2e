"""A desk's connection to an Asterisk that is a server here: log-in, presses, refusals, late recorders, reconnects."""

import asyncio
import random
import ssl
import time
from functools import partial

import pytest
from certificates import Authority
from pbx import KINDS, SECRET, Pbx, asterisk

from agent.config import parse
from agent.control.client import ControlClient
from agent.cti.connection import Connection, read_credentials
from agent.cti.inbox import PeerError
from agent.cti.speak import dialogue_of
from agent.desk.cti import PhoneSystems, Teller
from agent.model.cti import CallOf, ContextSaid, PressSaid
from agent.model.gate import GateVerb


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_presses_for_its_own_agents(section, recorder, kind: str) -> None:
    says = KINDS[kind].user_event

    async def happens() -> None:
        async with (
            recorder.running(),
            Pbx(KINDS[kind].talk).running() as hall,
            Desk(section(kind, hall.port), recorder) as desk,
        ):
            await hall.say(says("pause", Extension="301"))
            await hall.say(says("pause", Extension="201"))
            pressed = await recorder.next()
            assert (pressed["verb"], pressed["actor"], pressed["call"]) == ("pause", "agent:201", "a" * 32)
            assert desk.refusals == [("call of another agent", "pbx:hall")] and desk.connection.up

    story(happens())


def user_event(*lines: str) -> bytes:
    head = ["Event: UserEvent", "Privilege: user,all", "Channel: PJSIP/201-0000001a", "UserEvent: Greffier"]
    return "\r\n".join([*head, *lines]).encode() + b"\r\n\r\n"


class Refusals(list):
    def __call__(self, what: str, actor: str) -> None:
        self.append((what, actor))


def story(coroutine) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 90))


async def until(look) -> None:
    while not look():  # the story has a limit
        await asyncio.sleep(0.02)


class Desk:
    """A connection and its teller."""

    def __init__(self, section, recorder, **more) -> None:
        self.refusals = Refusals()
        self.teller = Teller("hall", section, ControlClient(recorder.path), self.refusals, time.monotonic)
        speak = partial(dialogue_of, section)
        self.connection = Connection("hall", section, speak, self.teller, random.Random(1))

    async def __aenter__(self):
        self._task = asyncio.create_task(self.connection.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        self.teller.close()
        await asyncio.gather(self._task, return_exceptions=True)


def test_presses_are_attributed_and_those_for_others_are_refused(section, recorder) -> None:
    async def happens() -> None:
        async with (
            recorder.running(),
            Pbx(asterisk).running() as hall,
            Desk(section("ami", hall.port), recorder) as desk,
        ):
            await hall.say(user_event("Action: pause", "Extension: 201", "Reason: card"))
            assert await recorder.next() == {
                "op": "gate", "call": "a" * 32, "verb": "pause", "actor": "agent:201", "cause": "agent",
                "purpose": None, "reason": "card",
            }  # fmt: skip
            await hall.say(user_event("Action: resume", "Call: leg-201@pbx"))
            by_dialplan = await recorder.next()
            assert (by_dialplan["actor"], by_dialplan["cause"]) == ("pbx:hall", "pbx")
            for lines in (
                ["Extension: 301"],  # not of this connection
                ["Call: leg-301@pbx"],  # a call of such a one
                ["Extension: 201", "Call: leg-301@pbx"],  # … whatever it says
                ["Call: leg-early@pbx"],  # nobody knows whose
            ):
                await hall.say(user_event("Action: pause", *lines))
            await hall.say(user_event("Action: tag", "Tag: vip", "Call: leg-early@pbx"))
            assert await recorder.next() == {
                "op": "context", "call": "c" * 32, "actor": "pbx:hall", "source": "ami", "add_tags": ["vip"],
            }  # fmt: skip
            assert desk.refusals == [("call of another agent", "pbx:hall")] * 4
            assert recorder.asked.empty()
            assert SECRET.encode() not in b"".join(hall.heard)

    story(happens())


def mute(state: int, caller: str, *lines: str) -> bytes:
    head = ["Event: MixMonitorMute", "Channel: PJSIP/trunk-0000002a", f"CallerIDNum: {caller}", "Direction: both"]
    return "\r\n".join([*head, f"State: {state}", *lines]).encode() + b"\r\n\r\n"


def test_a_mute_of_a_customer_s_channel_pauses_the_call_it_is_of_whatever_number_the_customer_shows(
    section, recorder
) -> None:
    recorder.calls.append({"call_id": "d" * 32, "reference": "leg@trunk", "started_ns": 4, "agent": "202"})

    async def happens() -> None:
        async with (
            recorder.running(),
            Pbx(asterisk).running() as hall,
            Desk(section("ami", hall.port), recorder) as desk,
        ):
            await hall.say(mute(1, "201", "ConnectedLineNum: 0612", "ChanVariable: SIPCALLID=leg@trunk"))
            await hall.say(mute(0, "201", "ConnectedLineNum: 202", "ChanVariable: SIPCALLID=leg@trunk"))
            for verb in ("pause", "resume"):
                pressed = await recorder.next()
                assert (pressed["verb"], pressed["call"], pressed["actor"]) == (verb, "d" * 32, "pbx:hall")
            await hall.say(mute(1, "201", "ConnectedLineNum: 202", "ChanVariable: SIPCALLID=leg-301@pbx"))
            await hall.say(mute(1, "201", "ConnectedLineNum: 202"))
            await hall.say(user_event("Action: keep", "Extension: 201"))
            assert (await recorder.next())["verb"] == "keep"
            assert desk.refusals == [("call of another agent", "pbx:hall")] and recorder.asked.empty()

    story(happens())


def test_a_pause_said_before_its_call_waits_and_a_drop_does_not(section, recorder) -> None:
    async def happens() -> None:
        live, recorder.calls = recorder.calls, []
        async with (
            recorder.running(),
            Pbx(asterisk).running() as hall,
            Desk(section("ami", hall.port, wait=60), recorder) as desk,
        ):
            await hall.say(user_event("Action: drop", "Extension: 201"))
            await hall.say(user_event("Action: pause", "Extension: 201"))
            await until(lambda: desk.teller.counts["waited"] == 1)
            recorder.calls = live
            assert (await recorder.next())["verb"] == "pause"
            assert desk.teller.counts["failed"] == 1 and recorder.asked.empty()

    story(happens())


def test_a_resume_ends_a_pause_that_still_waits(section, recorder) -> None:
    async def happens() -> None:
        live, recorder.calls = recorder.calls, []
        async with (
            recorder.running(),
            Pbx(asterisk).running() as hall,
            Desk(section("ami", hall.port, wait=60), recorder) as desk,
        ):
            await hall.say(user_event("Action: pause", "Extension: 201"))
            await hall.say(user_event("Action: resume", "Extension: 201"))
            await until(lambda: desk.teller.counts["failed"] == 1)
            recorder.calls = live
            await hall.say(user_event("Action: keep", "Extension: 201"))
            assert (await recorder.next())["verb"] == "keep"
            await asyncio.sleep(0.6)  # longer than a pause that waits would take to be tried again
            assert recorder.asked.empty()

    story(happens())


def test_a_pause_while_the_recorder_is_restarted_is_not_lost(section, recorder) -> None:
    async def happens() -> None:
        async with Pbx(asterisk).running() as hall, Desk(section("ami", hall.port, wait=60), recorder) as desk:
            await hall.say(user_event("Action: pause", "Extension: 201"))
            await until(lambda: desk.teller.counts["waited"] == 1)
            async with recorder.running():
                assert (await recorder.next())["verb"] == "pause"

    story(happens())


def test_a_drop_that_waited_for_the_recorder_never_meets_a_later_call(section, recorder) -> None:
    async def happens() -> None:
        live, recorder.calls = recorder.calls, []
        patient = section("ami", wait=60)
        teller = Teller("hall", patient, ControlClient(recorder.path), Refusals(), time.monotonic)
        await teller(PressSaid(CallOf("201"), GateVerb.DROP, by_agent=True))
        assert teller.counts == {"waited": 1}
        async with recorder.running():
            await until(lambda: teller.counts["failed"] == 1)
            recorder.calls = live
            await teller(PressSaid(CallOf("201"), GateVerb.PAUSE, by_agent=True))
            assert (await recorder.next())["verb"] == "pause"
        teller.close()
        assert recorder.asked.empty()

    story(happens())


def test_more_than_allowed_is_refused_and_contexts_leave_room_for_presses(section, recorder) -> None:
    async def happens() -> None:
        refusals = Refusals()
        slow = section("ami", presses_per_s=1, contexts_per_s=1)
        teller = Teller("hall", slow, ControlClient(recorder.path), refusals, lambda: 5.0)
        async with recorder.running():
            for _ in range(3):
                await teller(ContextSaid(CallOf("201"), "sales"))
            assert refusals == [("more than allowed at once", "pbx:hall")]
            await teller(PressSaid(CallOf("201"), GateVerb.PAUSE, by_agent=True))
        assert teller.counts == {"done": 3, "refused": 1}

    story(happens())


def test_it_comes_back_after_the_telephone_system_was_gone(section, recorder) -> None:
    async def happens() -> None:
        async with (
            recorder.running(),
            Pbx(asterisk).running() as hall,
            Desk(section("ami", hall.port), recorder) as desk,
        ):
            await hall.say(user_event("Action: pause", "Extension: 201"))
            await recorder.next()
            assert desk.connection.up
            hall.hang_up()
            await until(lambda: not desk.connection.up)
            await hall.say(user_event("Action: resume", "Extension: 201"))
            assert (await recorder.next())["verb"] == "resume" and desk.connection.connects == 2

    story(happens())


def test_tls_is_verified_with_the_name(section, recorder, tmp_path) -> None:
    theirs, foreign = Authority(tmp_path, "ours"), Authority(tmp_path, "foreign")
    issued = theirs.issue("pbx.example.net", address="127.0.0.9")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)

    async def happens() -> None:
        async with recorder.running(), Pbx(asterisk).running(server) as hall:
            good = section("ami", hall.port, tls=True, tls_ca=theirs.file, tls_name="pbx.example.net")
            for bad in (
                {"tls_ca": theirs.file},  # another name
                {"tls_ca": foreign.file, "tls_name": "pbx.example.net"},
                {"tls_name": "pbx.example.net"},  # an authority nobody knows
            ):
                with pytest.raises(ssl.SSLCertVerificationError):
                    await Desk(section("ami", hall.port, tls=True, **bad), recorder).connection._once()
            assert hall.heard == []
            async with Desk(good, recorder):
                await hall.say(user_event("Action: pause", "Extension: 201"))
                assert (await recorder.next())["actor"] == "agent:201"

    story(happens())


def test_credentials_that_others_can_read_are_not_used(credentials_file) -> None:
    assert read_credentials(credentials_file).secret == SECRET
    assert SECRET not in repr(read_credentials(credentials_file))
    credentials_file.chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        read_credentials(credentials_file)
    credentials_file.chmod(0o600)
    for text in ("secret = 7", 'secret = ""', "no", 'secret = "a\\r\\nAction: Command"'):
        credentials_file.write_text(text)
        with pytest.raises(PeerError) as refusal:
            read_credentials(credentials_file)
        assert "Command" not in str(refusal.value)


def test_the_state_of_each_connection_is_in_the_metrics(credentials_file, tmp_path) -> None:
    text = (
        f'[cti.hall]\nkind = "ami"\naddress = "10.0.0.5:5039"\nagents = "2*"\ncredentials_file = "{credentials_file}"\n'
    )
    settings = parse(text, tmp_path / "greffier.toml")
    assert settings.cti["hall"].over_tls
    assert not settings.cti["hall"].model_copy(update={"address": ("127.0.0.1", 5038)}).over_tls
    (up, said) = PhoneSystems(settings, Refusals()).collect()
    assert [(s.labels, s.value) for s in up.samples] == [({"cti": "hall"}, 0.0)]
    assert {s.labels["outcome"] for s in said.samples} == {"done", "waited", "refused", "failed", "unclear"}
