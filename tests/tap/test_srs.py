"""What a session recording server must do when things are not as they should be: S06, timers, restarts, strangers."""

import asyncio
import socket

import pytest

from agent.model.call import Direction
from agent.model.events import CallChanged, CallEnded
from agent.probe import ProbeCall
from agent.sip.timer import MIN_SE_S
from agent.sip.transaction import LIFE_S


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_from_invite_to_bye(tap, transport: str) -> None:
    async def story() -> None:
        async with ProbeCall(tap.target(transport), headers=[("X-Queue", "sales")]) as call:
            await call.invite()
            await call.update()
            await call.hold()
            await call.resume()
            await call.request("OPTIONS")
            await call.bye()

    asyncio.run(story())
    started, held, resumed, ended = tap.expect("started", "changed", "changed", "ended")
    assert started.call.queue == "sales" and started.call.direction is Direction.INBOUND
    assert [s.label for s in started.call.streams] == ["1", "2"]
    assert len(started.call_id) == 32 and {e.call_id for e in tap.events} == {started.call_id}
    assert not any(s.active for s in held.streams) and all(s.active for s in resumed.streams)
    assert ended.cause == "bye" and tap.media == {}


def test_without_metadata_the_caller_is_who_sent_the_invite(tap) -> None:
    async def story() -> None:
        async with ProbeCall(tap.target("udp"), siprec=False) as call:
            await call.invite()

    asyncio.run(story())
    started, _ = tap.expect("started", "ended")
    assert [p.number for p in started.call.parties] == ["+33612345678"] and len(started.call.streams) == 2


def test_metadata_that_is_dangerous_is_left_out_and_the_call_recorded(tap, gateway, both, code) -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><recording>&b;</recording>'
    body, kind = both(metadata=bomb)
    assert code(gateway.invite(body=body, kind=kind)) == 200
    (started,) = tap.expect("started")
    assert len(started.call.streams) == 2


@pytest.mark.parametrize(
    "offer",
    [
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n",
        "v=0\ns=-\nm=video 4000 RTP/AVP 99\na=rtpmap:99 H264/90000\n",
        "v=0\ns=-\nm=audio 4000 RTP/AVP 13\n",
        "v=0\ns=-\nm=audio 4000 RTP/SAVP 8\n",
    ],
)
def test_an_offer_without_audio_we_can_record_is_488(tap, gateway, code, offer: str) -> None:
    assert code(gateway.invite(body=offer)) == 488
    assert tap.events == [] and tap.media == {}


BROKEN = [
    (b"\xff\xfe\x00garbage", None),
    (b"INVITE sip:x SIP/2.0\r\n\r\n", None),
    (b"INVITE sip:x SIP/9.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
     b"Call-ID: q\r\nCSeq: 1 INVITE\r\n\r\n", 505),
    (b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKb\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
     b"CSeq: 1 INVITE\r\n\r\n", 400),
    (b"FLY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKc\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
     b"Call-ID: q\r\nCSeq: 1 FLY\r\n\r\n", 501),
    (b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKd\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
     b"Call-ID: q\r\nCSeq: 1 REGISTER\r\n\r\n", 405),
    (b"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKe\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=x\r\n"
     b"Call-ID: q\r\nCSeq: 1 BYE\r\n\r\n", 481),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), BROKEN)
def test_broken_sip_is_answered_as_far_as_it_can_be_and_survived(tap, gateway, code, data: bytes, expected) -> None:
    gateway.say(data)
    answer = gateway.hear(5.0 if expected else 0.3)
    assert (answer and code(answer)) == expected
    assert code(gateway.invite()) == 200
    tap.expect("started")


@pytest.mark.parametrize(
    ("headers", "body", "kind", "expected"),
    [
        ({"Require": "siprec, teleport"}, None, "application/sdp", 420),
        ({}, "hello", "text/html", 415),
        ({"Supported": "timer", "Session_Expires": "30"}, None, "application/sdp", 422),
        ({}, "v=0\nm=audio nine RTP/AVP 8\n", "application/sdp", 400),
        ({}, "no parts", "multipart/mixed", 400),
    ],
)
def test_refusals(tap, gateway, code, headers: dict[str, str], body, kind: str, expected: int) -> None:
    answer = gateway.invite(body=body, kind=kind, **headers)
    assert code(answer) == expected
    more = {420: "Unsupported: teleport", 415: "Accept: application/sdp", 422: f"Min-SE: {MIN_SE_S}"}.get(expected, "")
    assert more.lower() in answer.lower() and tap.events == [] and tap.media == {}


def test_a_garbage_stream_is_closed_and_others_go_on(tap) -> None:
    target = tap.target("tcp")
    with socket.create_connection((target.host, target.port), 5) as stream:
        stream.sendall(b"\x16\x03\x01\x00\xa5 hello tls")
        stream.settimeout(5)
        assert stream.recv(100) == b""

    async def story() -> None:
        async with ProbeCall(target) as call:
            await call.invite()

    asyncio.run(story())
    tap.expect("started", "ended")


def test_a_tcp_keep_alive_is_answered(tap) -> None:
    target = tap.target("tcp")
    with socket.create_connection((target.host, target.port), 5) as stream:
        stream.sendall(b"\r\n\r\n")
        stream.settimeout(5)
        assert stream.recv(100) == b"\r\n"


def test_a_repeated_invite_is_one_call(tap, gateway, code) -> None:
    invite = gateway.write("INVITE", 1, "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8\n", branch="z9hG4bKsame")
    first = gateway.ask(invite)
    gateway.say(invite)
    assert gateway.hear() == first
    gateway.say(gateway.write("ACK", 1))
    assert tap.kinds() == ["started"] and tap.srs.live == 1


def test_strangers_are_refused(make_tap, make_gateway, code) -> None:
    tap = make_tap(allow=("192.0.2.0/24",))
    assert code(make_gateway(tap).ask(make_gateway(tap).write("OPTIONS", 1))) == 403
    assert code(make_gateway(tap).invite()) == 403
    assert tap.events == []


def test_more_calls_than_configured_are_503_with_a_time_to_come_again(make_tap, make_gateway, code) -> None:
    tap = make_tap(max_calls=1)
    first, second = make_gateway(tap), make_gateway(tap)
    assert code(first.invite()) == 200
    answer = second.invite()
    assert code(answer) == 503 and "Retry-After:" in answer
    assert code(first.ask(first.write("BYE", 2))) == 200
    second.to_tag = ""
    assert code(second.invite(cseq=2)) == 200


def test_without_a_media_port_it_is_503_and_nothing_stays_borrowed(tap, gateway, code) -> None:
    tap.ports_left = 1
    answer = gateway.invite()
    assert code(answer) == 503 and "Retry-After:" in answer
    assert tap.media == {} and tap.ports_left == 1 and tap.events == []


def test_an_added_stream_for_which_no_port_is_left_is_refused_and_the_call_goes_on(tap, gateway, both, code) -> None:
    body, kind = both()
    gateway.invite(body=body, kind=kind)
    tap.ports_left = 0
    more = body.replace("a=label:2\na=sendonly\n", "a=label:2\na=sendonly\nm=audio 40004 RTP/AVP 8\na=label:3\n")
    answer = gateway.invite(2, more.replace("o=- 1 1", "o=- 1 2"), kind)
    assert code(answer) == 200 and "m=audio 0 RTP/AVP 8" in answer
    assert len(tap.media) == 2 and tap.srs.live == 1


def test_an_added_stream_of_a_new_party(tap, gateway, both, code) -> None:
    body, kind = both()
    gateway.invite(body=body, kind=kind)
    third = '<participant participant_id="P3"><nameID aor="sip:202@gw"/></participant><stream stream_id="M3"><label>3'
    third += '</label></stream><participantstreamassoc participant_id="P3"><send>M3</send></participantstreamassoc>'
    more = body.replace("</recording>", third + "</recording>")
    more = more.replace("a=label:2\na=sendonly\n", "a=label:2\na=sendonly\nm=audio 40004 RTP/AVP 0\na=label:3\n")
    assert code(gateway.invite(2, more, kind)) == 200
    _, changed = tap.expect("started", "changed")
    assert isinstance(changed, CallChanged)
    assert [(s.label, s.participant_id, s.channel) for s in changed.streams] == [
        ("1", "P1", 0),
        ("2", "P2", 1),
        ("3", "P3", 2),
    ]


def test_an_invite_without_an_offer_gets_ours(tap, gateway, code) -> None:
    answer = gateway.ask(gateway.write("INVITE", 1))
    assert code(answer) == 200 and answer.count("m=audio") == 2 and "a=recvonly" in answer
    assert tap.events == [], "media are only settled by the answer in the ACK"
    reply = "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 0\na=sendonly\nm=audio 4002 RTP/AVP 0\na=sendonly\n"
    gateway.say(gateway.write("ACK", 1, reply))
    (started,) = tap.expect("started")
    assert {s.codec for s in started.call.streams} == {"PCMU"}


def test_our_offer_without_an_answer_ends_the_session(tap, gateway) -> None:
    gateway.ask(gateway.write("INVITE", 1))
    gateway.say(gateway.write("ACK", 1))
    bye = gateway.hear()
    assert bye is not None and bye.startswith("BYE sip:gw@127.0.0.1:")
    assert tap.events == [] and tap.media == {}


def test_a_2xx_that_is_never_acknowledged_ends_the_call(tap, gateway, code) -> None:
    first = gateway.ask(gateway.write("INVITE", 1, "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8\n"))
    assert gateway.hear() == first, "it is sent again until its ACK"
    tap.clock.ahead_s = LIFE_S
    _, ended = tap.expect("started", "ended")
    assert ended.cause == "no-ack"
    heard = [gateway.hear() for _ in range(3)]
    assert any(h and h.startswith("BYE") for h in heard)


def test_cancel_of_a_call_that_was_just_accepted(tap, gateway, code) -> None:
    invite = gateway.write("INVITE", 1, "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8\n", branch="z9hG4bKinv")
    assert code(gateway.ask(invite)) == 200
    tag, gateway.to_tag = gateway.to_tag, ""
    assert code(gateway.ask(gateway.write("CANCEL", 1, branch="z9hG4bKinv"))) == 200
    gateway.to_tag = tag
    gateway.say(gateway.write("ACK", 1))
    _, ended = tap.expect("started", "ended")
    assert isinstance(ended, CallEnded) and ended.cause == "cancelled"
    assert (gateway.hear() or "").startswith("BYE")
    assert code(gateway.ask(gateway.write("CANCEL", 7))) == 481


def test_a_session_without_a_sign_of_life_expires(tap, gateway, code) -> None:
    assert code(gateway.invite(Supported="timer", Session_Expires="600;refresher=uac")) == 200
    tap.clock.ahead_s = 400
    assert code(gateway.ask(gateway.write("UPDATE", 2, Supported="timer", Session_Expires="600"))) == 200
    tap.clock.ahead_s = 800
    assert code(gateway.ask(gateway.write("OPTIONS", 3))) == 200 and tap.kinds() == ["started"]
    tap.clock.ahead_s = 1001
    _, ended = tap.expect("started", "ended")
    assert ended.cause == "expired" and (gateway.hear() or "").startswith("BYE")


@pytest.mark.parametrize("allow", ["INVITE, UPDATE", "INVITE"])
def test_where_it_is_ours_to_refresh_we_do(tap, gateway, code, allow: str) -> None:
    assert code(gateway.invite(Supported="timer", Session_Expires="600;refresher=uas", Allow=allow)) == 200
    tap.clock.ahead_s = 301
    refresh = gateway.hear() or ""
    method = "UPDATE" if "UPDATE" in allow else "INVITE"
    assert refresh.startswith(method) and "Session-Expires: 600;refresher=uac" in refresh
    assert ("m=audio" in refresh) == (method == "INVITE")
    via, cseq = (next(x for x in refresh.split("\r\n") if x.startswith(n)) for n in ("Via", "CSeq"))
    gateway.say(f"SIP/2.0 200 OK\r\n{via}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n".encode())
    if method == "INVITE":
        assert (gateway.hear() or "").startswith("ACK")
    assert code(gateway.ask(gateway.write("OPTIONS", 2))) == 200, "and so our answer has been read"
    tap.clock.ahead_s = 602
    again = gateway.hear() or ""
    assert again.startswith(method) and tap.kinds() == ["started"], "answered, so it goes on, and is refreshed again"
    via, cseq = (next(x for x in again.split("\r\n") if x.startswith(n)) for n in ("Via", "CSeq"))
    gateway.say(f"SIP/2.0 481 Gone\r\n{via}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n".encode())
    _, ended = tap.expect("started", "ended")
    assert ended.cause == "expired"


def test_a_call_goes_on_after_a_restart(tap) -> None:
    async def story() -> None:
        async with ProbeCall(tap.target("udp")) as call:
            await call.invite()
            (started,) = await asyncio.to_thread(tap.expect, "started")
            snapshot = tap.srs.snapshot(started.call_id)
            assert snapshot and tap.srs.snapshot("unknown") == b""
            await asyncio.to_thread(tap.restart, [snapshot])
            await call.hold()
            await call.update()
            await call.bye()

    asyncio.run(story())
    started, changed, ended = tap.expect("started", "changed", "ended")
    assert changed.call_id == ended.call_id == started.call_id
    assert [s.port for s in changed.streams] == [s.port for s in started.call.streams]


def test_after_a_restart_a_call_over_tcp_goes_on_over_a_new_connection(tap) -> None:
    target = tap.target("tcp")

    def talk(stream: socket.socket, *lines: str, body: str = "") -> str:
        head = ["From: <sip:201@gw>;tag=gw", "Call-ID: tcp@gw", "Contact: <sip:gw@127.0.0.1:9;transport=tcp>", *lines]
        stream.sendall("\r\n".join([head[3], *head[:3], *head[4:], f"Content-Length: {len(body)}", "", body]).encode())
        return stream.recv(65536).decode()

    offer = "v=0\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n"
    with socket.create_connection((target.host, target.port), 5) as stream:
        stream.settimeout(5)
        answer = talk(
            stream,
            "INVITE sip:x SIP/2.0",
            "Via: SIP/2.0/TCP a;branch=z9hG4bKa",
            "To: <sip:x>",
            "CSeq: 1 INVITE",
            "Content-Type: application/sdp",
            body=offer,
        )
        tag = answer.split("To: ")[1].split("\r\n")[0]
    (started,) = tap.expect("started")
    tap.restart([tap.srs.snapshot(started.call_id)])
    with socket.create_connection((target.host, target.port), 5) as stream:
        stream.settimeout(5)
        assert talk(
            stream, "BYE sip:x SIP/2.0", "Via: SIP/2.0/TCP a;branch=z9hG4bKb", f"To: {tag}", "CSeq: 2 BYE"
        ).startswith("SIP/2.0 200")
    tap.expect("started", "ended")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"version": 9}', b"\xff"])
def test_a_snapshot_that_cannot_be_used_is_refused(tap, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        tap.srs.restore(data)


def test_a_lost_tcp_connection_ends_no_call(tap) -> None:
    async def story() -> None:
        async with ProbeCall(tap.target("tcp")) as call:
            await call.invite()
            call.abandon()

    asyncio.run(story())
    tap.expect("started")
    assert tap.srs.live == 1


def test_the_log_names_no_number(make_tap, make_gateway, capfd, both) -> None:
    tap = make_tap()
    body, kind = both()
    gateway = make_gateway(tap)
    gateway.invite(body=body, kind=kind)
    gateway.ask(gateway.write("BYE", 2))
    gateway.ask(gateway.write("INVITE", 9, "x", "text/html", Require="+33612345678"))
    said = "".join(capfd.readouterr())
    assert "call.started" in said and "612345678" not in said


def test_a_sloppy_gateway_is_recorded_all_the_same(tap, gateway, code) -> None:
    """Compact and folded headers, bare line feeds, no Max-Forwards or Contact, a lost To tag, a wrong CSeq method."""
    here = gateway.write("OPTIONS", 1).decode().split("\r\n")[1].split(" ")[1].split(";")[0]
    offer = "v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8 0\na=label:1\n"

    def sloppy(method: str, cseq: str, to: str, body: str = "") -> bytes:
        lines = [f"{method.lower()} sip:srs SIP/2.0", f"v: SIP/2.0/UDP {here}\n ;branch=z9hG4bK{method}{cseq[:1]}"]
        lines += ["f: +33612345678\n\t<sip:+33612345678@gw;user=phone> ;tag=  gw", f"t:{to}", f"i:{gateway.call_id}"]
        lines += [f"cseq:   {cseq}", f"l: {len(body)}"] + (["c:\n application/sdp"] if body else [])
        return ("\n".join(lines) + "\n\n" + body).encode()

    invite = sloppy("INVITE", "1 invite", "<sip:srs@box>", offer)
    first = gateway.ask(invite)
    assert code(first) == 200
    gateway.say(invite)
    assert gateway.hear() == first, "a retransmission gets the same answer"
    tag = gateway.to_tag
    gateway.say(sloppy("ACK", "1 INVITE", f"<sip:srs@box>{tag}"))
    assert code(gateway.ask(sloppy("INFO", "2 BYE", "<sip:srs@box>"))) == 200, "without our tag"
    assert code(gateway.ask(sloppy("BYE", "3", "<sip:srs@box>;tag=mistaken"))) == 200
    started, ended = tap.expect("started", "ended")
    assert started.call.parties[0].number == "+33612345678" and ended.cause == "bye"


def test_a_mistake_of_ours_is_500_and_borrows_nothing(tap, gateway, code, monkeypatch) -> None:
    monkeypatch.setattr(tap, "on_event", None)
    assert code(gateway.invite()) == 500
    assert tap.media == {}


def test_an_answer_in_the_ack_with_more_streams_than_we_offered_borrows_what_it_gives_back(tap, gateway, code) -> None:
    gateway.ask(gateway.write("INVITE", 1))
    reply = "v=0\ns=-\nc=IN IP4 127.0.0.1\n" + "m=audio 4000 RTP/AVP 0\na=sendonly\n" * 4
    gateway.say(gateway.write("ACK", 1, reply))
    tap.expect("started")
    assert code(gateway.ask(gateway.write("BYE", 2))) == 200
    tap.expect("started", "ended")
    assert tap.media == {}
