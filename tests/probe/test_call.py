"""Probe calls against a small recorder on real sockets: what it says, what it sends, and how it fails."""

import asyncio
import struct
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from agent.config import Endpoint
from agent.media.g711 import encode
from agent.model.call import Codec
from agent.probe import Impairment, Pacer, ProbeCall, ProbeRefused

RNG = np.random.default_rng(7)
NS = {"r": "urn:ietf:params:xml:ns:recording:1"}


def noise(samples: int) -> np.ndarray:
    """Any bytes; as good as speech for what must arrive untouched."""
    return RNG.integers(0, 256, samples, dtype=np.uint8)


def rtp(datagram: bytes) -> tuple[int, int, int, int, bool, bytes]:
    """Sequence, timestamp, SSRC, payload type, marker, payload."""
    first, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", datagram[:12])
    assert first == 0x80
    return sequence, timestamp, ssrc, second & 0x7F, bool(second & 0x80), datagram[12:]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_whole_call(answerer, transport):
    server = answerer(transport)
    both = (noise(4000), noise(4000))

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await probe.speak(both)
            await probe.bye()
            return probe

    probe = asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "BYE"]
    for stream, (speaker, sent) in enumerate(probe.sent.items()):
        arrived = [rtp(d) for d in server.heard(stream)]
        assert [(a[0], a[1], a[5]) for a in arrived] == [(p.sequence, p.timestamp, p.payload) for p in sent], speaker
        assert b"".join(a[5] for a in arrived) == both[stream].tobytes() == sent.in_order(0)
        assert {a[2] for a in arrived} == {sent.ssrc}
        assert {a[3] for a in arrived} == {8}
        assert [a[4] for a in arrived] == [True] + [False] * 24
        steps = np.diff([a[1] for a in arrived]) % (1 << 32)
        assert set(steps) == {160}
        assert sent.done.sent == len(sent) == 25


def test_invite_carries_description_and_metadata(answerer):
    server = answerer("tcp")

    async def call():
        async with ProbeCall(server.target, agent_number="207", customer_name="A & <B>", caller="agent") as probe:
            await probe.invite()
            return probe

    probe = asyncio.run(call())
    invite = server.requests[0]
    head, _, body = invite.partition("\r\n\r\n")
    assert "Require: siprec" in head and "+sip.src" in head
    assert f"Call-ID: {probe.call_id}" in head
    boundary = head.partition("boundary=")[2].split("\r\n")[0]
    sdp, xml = (part.partition("\r\n\r\n")[2] for part in body.split(f"--{boundary}")[1:3])
    assert sdp.count("m=audio") == sdp.count("a=sendonly") == 2
    assert "a=label:1" in sdp and "a=label:2" in sdp
    for port in probe.local_ports.values():
        assert f"m=audio {port} RTP/AVP 8" in sdp
    root = ET.fromstring(xml.strip())
    assert root.find("r:session", NS).get("session_id") == probe.session_id
    people = root.findall("r:participant", NS)
    assert [p.find("r:nameID", NS).get("aor") for p in people] == [
        "sip:207@example.com",
        "sip:+33612345678@example.com",
    ]
    assert people[1].find("r:nameID/r:name", NS).text == "A & <B>"
    sends = {a.get("participant_id"): a.find("r:send", NS).text for a in root.findall("r:participantstreamassoc", NS)}
    labels = {s.get("stream_id"): s.find("r:label", NS).text for s in root.findall("r:stream", NS)}
    assert [labels[sends[p.get("participant_id")]] for p in people] == ["2", "1"]


def test_in_dialog_requests_follow_contact_and_routes(answerer):
    server = answerer("udp")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await probe.hold()
            await probe.resume()
            await probe.update()
            await probe.request("OPTIONS")
            await probe.bye()

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK", "UPDATE", "OPTIONS", "BYE"]
    for later in server.requests[1:]:
        assert ";tag=ours" in later
        assert later.startswith(f"{later.split()[0]} sip:srs@127.0.0.1:{server.target.port};transport=udp SIP/2.0\r\n")
        assert later.index("Route: <sip:b.example;lr>") < later.index("Route: <sip:a.example;lr>")
    held, resumed = server.requests[2], server.requests[4]
    assert held.count("a=inactive") == 2 and resumed.count("a=sendonly") == 2
    cseqs = [int(r.partition("CSeq: ")[2].split()[0]) for r in server.requests]
    assert cseqs == [1, 1, 2, 2, 3, 3, 4, 5, 6]


def test_leaving_the_block_hangs_up(answerer):
    server = answerer("tcp")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            raise RuntimeError("the test went wrong")

    with pytest.raises(RuntimeError):
        asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "BYE"]


def test_an_abandoned_call_says_nothing_more(answerer):
    server = answerer("udp")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            probe.abandon()

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK"]


def test_impairments_are_sent_and_counted_exactly(answerer):
    server = answerer("udp")
    wanted = Impairment(
        loss_percent=10, reorder_percent=20, reorder_depth=5, duplicate_percent=10, first_sequence=65500
    )
    both = (noise(160 * 80), noise(160 * 80))

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await probe.speak(both, impairment=wanted)
            return probe

    probe = asyncio.run(call())
    for stream, sent in enumerate(probe.sent.values()):
        numbers = [(rtp(d)[0] - 65500) % 65536 for d in server.heard(stream)]
        assert numbers == [(p.sequence - 65500) % 65536 for p in sent]
        assert sent.done.sent == len(numbers)
        assert sent.done.lost == 80 - len(set(numbers)) > 0
        assert sent.done.duplicates == len(numbers) - len(set(numbers)) > 0
        first = [n for i, n in enumerate(numbers) if n not in numbers[:i]]
        late = sum(any(m > n for m in first[:i]) for i, n in enumerate(first))
        assert sent.done.reordered == late > 0
        assert {p.sequence for p in sent} & {65535, 0, 1}, "the sequence wrapped"
        whole = np.frombuffer(sent.in_order(0xD5), np.uint8).reshape(-1, 160)
        for n in range(80):
            expected = both[stream][n * 160 : n * 160 + 160] if n in numbers else np.full(160, 0xD5)
            assert (whole[n] == expected).all()


def test_silence_between_speeches_shows_in_timestamps_only(answerer):
    server = answerer("udp")
    one = np.full(800, 1000, np.int16)
    at_s = []

    async def call():
        async with ProbeCall(server.target, codec="PCMU") as probe:
            await probe.invite()
            for pause_s in (0.3, 0.0):
                at_s.append(time.monotonic())
                await probe.speak((one, None))
                at_s.append(time.monotonic())
                await asyncio.sleep(pause_s)
            return probe.sent["customer"]

    sent = asyncio.run(call())
    packets = list(sent)
    sequences = [p.sequence for p in packets]
    assert [(s - sequences[0]) % 65536 for s in sequences] == list(range(10))
    assert [p.position_samples for p in packets[:5]] == list(range(0, 800, 160))
    # Each speech began between the two readings of the clock around it, however busy the machine is.
    before, after, again, over = (s * 8000 for s in at_s)
    assert again - after - 1 <= packets[5].position_samples <= over - before + 1
    gap = packets[5].position_samples - 800
    code = int(encode(one[:1], Codec.PCMU)[0])
    assert sent.in_order(0xFF) == bytes([code]) * 800 + b"\xff" * gap + bytes([code]) * 800
    assert server.heard(1) == []


def test_other_payload_types_and_wrong_ports(answerer):
    server = answerer("udp")
    wrong = server.media[1].getsockname()[1]

    async def call():
        async with ProbeCall(server.target, payload_type=98) as probe:
            await probe.invite()
            await probe.speak((noise(320), None))
            await probe.speak((noise(320), None), payload_type=77, ports={"customer": wrong})
            probe.transmit("customer", b"no RTP at all")

    asyncio.run(call())
    assert "a=rtpmap:98 PCMA/8000" in server.requests[0]
    right = server.heard(0)
    assert [rtp(d)[3] for d in right[:-1]] == [98, 98] and right[-1] == b"no RTP at all"
    assert [rtp(d)[3] for d in server.heard(1)] == [77, 77]


def test_many_calls_share_one_pacer(answerer):
    servers = [answerer("udp") for _ in range(3)]

    async def one(server, pacer):
        async with ProbeCall(server.target, pacer=pacer) as probe:
            await probe.invite()
            await probe.speak((noise(1600), noise(1600)))
            await probe.bye()

    async def calls():
        with Pacer() as pacer:
            await asyncio.gather(*(one(s, pacer) for s in servers))

    asyncio.run(calls())
    assert [len(s.heard(0)) + len(s.heard(1)) for s in servers] == [20, 20, 20]


def test_a_recorder_that_hangs_up_ends_the_speech(answerer):
    server = answerer("tcp")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            speaking = asyncio.create_task(probe.speak((noise(8000 * 60), None)))
            await asyncio.sleep(0.2)
            bye = "BYE sip:probe@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKq\r\n"
            bye += "From: <sip:a>;tag=ours\r\n"
            bye += f"To: <sip:b>\r\nCall-ID: {probe.call_id}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
            server.say(bye.encode())
            await speaking
            assert probe.ended.is_set()

    asyncio.run(asyncio.wait_for(call(), 20))
    assert server.methods() == ["INVITE", "ACK", "SIP/2.0"], "no BYE of ours after theirs"


# ---- bad weather


async def _invited(target: Endpoint, timeout_s: float = 3.0) -> None:
    async with ProbeCall(target, timeout_s=timeout_s) as probe:
        await probe.invite()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("403 Forbidden", "allow"),
        ("488 Not Acceptable Here", "codecs"),
        ("503 Service Unavailable", "max_calls"),
        ("499 Odd", "objects"),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_refusal_is_acknowledged_and_explained(answerer, transport, status, words):
    server = answerer(transport, status=status)
    with pytest.raises(ProbeRefused, match=words) as refusal:
        asyncio.run(_invited(server.target))
    assert refusal.value.status == int(status[:3]) and status in str(refusal.value)
    assert server.methods() == ["INVITE", "ACK"]
    branches = [r.partition("branch=")[2].partition(";")[0] for r in server.requests]
    assert branches[0] == branches[1], "RFC 3261 §17.1.1.3"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_nobody_listens(free_port, transport):
    with pytest.raises(ProbeRefused, match=r"nothing listens on .*:127\.0\.0\.1:\d+: is the agent running"):
        asyncio.run(_invited(Endpoint(transport=transport, host="127.0.0.1", port=free_port)))


def test_nobody_answers(answerer):
    server = answerer("udp", deaf=100)
    with pytest.raises(ProbeRefused, match=r"no answer within 0\.8 s") as refusal:
        asyncio.run(_invited(server.target, 0.8))
    assert refusal.value.status is None
    assert server.methods() == ["INVITE", "INVITE"], "sent again after T1"


def test_a_lost_invite_is_sent_again_over_udp(answerer):
    server = answerer("udp", deaf=1)
    asyncio.run(_invited(server.target))
    assert server.methods() == ["INVITE", "INVITE", "ACK", "BYE"]
    assert server.requests[0] == server.requests[1]


def test_a_repeated_answer_is_acknowledged_again(answerer):
    server = answerer("udp", drop_ack=1, provisional=True)

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await asyncio.sleep(0.2)

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "ACK", "BYE"]


def test_an_answer_without_labels_goes_by_order(answerer):
    server = answerer("udp", labels=False)

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            return [probe.remote[who][1] for who in ("customer", "agent")]

    assert asyncio.run(call()) == [m.getsockname()[1] for m in server.media]


def test_a_request_into_a_closed_connection_is_sent_again_over_a_new_one(answerer):
    server = answerer("tcp", cuts=1)

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await probe.request("OPTIONS")
            await probe.bye()

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "OPTIONS", "OPTIONS", "BYE"]
    assert server.requests[2] == server.requests[3], "the same transaction"


def test_a_connection_that_is_closed_again_is_told_and_the_next_request_has_a_new_one(answerer):
    server = answerer("tcp", cuts=2)

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            with pytest.raises(ProbeRefused, match="closed"):
                await probe.request("OPTIONS")
            await probe.bye()

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "OPTIONS", "OPTIONS", "BYE"]


def test_garbage_for_an_answer_is_ignored(answerer):
    server = answerer("udp")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            for garbage in (b"\r\n\r\n", b"\x00\xff", b"SIP/2.0 abc\r\n\r\n", b"SIP/2.0 200 OK\r\nVia: ;\r\n\r\n"):
                server.say(garbage)
            await probe.request("OPTIONS")

    asyncio.run(call())
    assert server.methods() == ["INVITE", "ACK", "OPTIONS", "BYE"]


def test_ipv6(answerer):
    try:
        server = answerer("tcp", host="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")

    async def call():
        async with ProbeCall(server.target) as probe:
            await probe.invite()
            await probe.speak((noise(160), noise(160)))

    asyncio.run(call())
    assert "IN IP6 ::1" in server.requests[0] and "Via: SIP/2.0/TCP [::1]:" in server.requests[0]
    assert len(server.heard(0)) == 1
