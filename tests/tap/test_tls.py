"""SIP over TLS on real sockets: who is let in, who is not, and that answers and requests of ours go back that way."""

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from certificates import Authority
from running_site import wait_for
from structlog.testing import capture_logs

from agent.model.srtp import SrtpSuite
from agent.probe import ProbeCall, ProbeRefused
from agent.tap.siprec.tls import TlsUnusable, client_context, expiry, server_context


class Site:
    """An authority of the site, one nobody trusts, the recorder's certificate and a gateway's."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.other = Authority(folder, "site"), Authority(folder, "other")
        self.mine = self.authority.issue("recorder.test")
        self.gateway = self.authority.issue("gw1.site.test")
        self.settings = {
            "listen": ("tls:127.0.0.1:0",),
            "tls_certificate": self.mine.certificate,
            "tls_key": self.mine.key,
            "tls_client_ca": self.authority.file,
        }


@pytest.fixture
def certified(tmp_path: Path) -> Site:
    return Site(tmp_path)


def place(tap, tls: ssl.SSLContext, **arguments) -> None:
    """A whole call."""

    async def story() -> None:
        async with ProbeCall(tap.target("tls"), tls=tls, **arguments) as call:
            await call.invite()
            await call.update()
            await call.request("OPTIONS")
            await call.bye()

    asyncio.run(story())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_right_peer_is_let_in(make_tap, certified: Site, version: ssl.TLSVersion) -> None:
    tap = make_tap(**certified.settings)
    place(tap, certified.authority.context(certified.gateway, version=version))
    started, ended = tap.expect("started", "ended")
    assert started.call.gateway == "127.0.0.1" and ended.cause == "bye"
    assert tap.srs.tls_refused == 0 and tap.media == {}


@pytest.mark.parametrize("who", ["nobody", "of another authority", "expired"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_everybody_else_is_refused_before_a_word_is_read(
    make_tap, certified: Site, who: str, version: ssl.TLSVersion
) -> None:
    shown = {
        "nobody": None,
        "of another authority": certified.other.issue("gw1.site.test"),
        "expired": certified.authority.issue("late.site.test", days=-1),
    }[who]
    tap = make_tap(**certified.settings)
    with capture_logs() as said:
        with pytest.raises(ProbeRefused):
            place(tap, certified.authority.context(shown, version=version))
        wait_for("the refusal", lambda: tap.srs.tls_refused)
    (refused,) = [s for s in said if s["event"] == "sip.tls_refused"]
    assert refused["peer"] == "127.0.0.1" and "certificate" in refused["problem"]
    assert tap.events == [] and tap.media == {}
    place(tap, certified.authority.context(certified.gateway))
    tap.expect("started", "ended")


def test_the_allow_list_comes_first(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings, allow=("192.0.2.0/24",))
    with pytest.raises(ProbeRefused):
        place(tap, certified.authority.context(certified.gateway))
    assert tap.events == [] and tap.srs.tls_refused == 1


def test_only_peers_with_these_names(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings, tls_peers=("GW*.site.test",))
    with pytest.raises(ProbeRefused):
        place(tap, certified.authority.context(certified.authority.issue("phone.site.test")))
    assert tap.events == []
    place(tap, certified.authority.context(certified.gateway))
    tap.expect("started", "ended")


def test_without_a_client_authority_no_certificate_is_asked_for(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings | {"tls_client_ca": None})
    place(tap, certified.authority.context())
    tap.expect("started", "ended")


def test_old_versions_of_tls_are_refused(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)
    old = certified.authority.context(certified.gateway)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ProbeRefused):
        place(tap, old)
    assert tap.events == []


def test_what_is_no_tls_is_closed_and_others_go_on(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)
    target = tap.target("tls")
    silent = socket.create_connection((target.host, target.port), 5)
    with socket.create_connection((target.host, target.port), 5) as plain:
        plain.sendall(b"OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKa\r\n\r\n")
        plain.settimeout(5)
        assert b"SIP/2.0" not in plain.recv(1000)
    place(tap, certified.authority.context(certified.gateway))
    silent.settimeout(10)
    assert silent.recv(10) == b"", "who never begins is not waited for"
    silent.close()
    tap.expect("started", "ended")


REQUEST = (
    b"OPTIONS sips:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKa;rport\r\n"
    b"From: <sips:gw@127.0.0.1>;tag=1\r\nTo: <sips:srs@127.0.0.1>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_openssl_as_a_client_of_its_own(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)
    target = tap.target("tls")
    command = ["openssl", "s_client", "-quiet", "-connect", f"{target.host}:{target.port}", "-verify_return_error"]
    command += ["-CAfile", str(certified.authority.file)]
    command += ["-cert", str(certified.gateway.certificate), "-key", str(certified.gateway.key)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        client.stdin.write(REQUEST)
        client.stdin.flush()
        answer = client.stdout.readline()
        rest = b"".join(iter(client.stdout.readline, b"\r\n")).decode()
        client.kill()
    assert answer == b"SIP/2.0 200 OK\r\n"
    assert "Via: SIP/2.0/TLS" in rest and "Contact: <sips:greffier@127.0.0.1" in rest


def test_what_is_said_in_one_breath_with_the_handshake_is_heard(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)
    target = tap.target("tls")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certified.authority.context(certified.gateway, version=ssl.TLSVersion.TLSv1_3)
    client = tls.wrap_bio(incoming, outgoing, server_hostname=target.host)
    with socket.create_connection((target.host, target.port), 5) as stream:
        stream.settimeout(5)
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                stream.sendall(outgoing.read())
                incoming.write(stream.recv(65536))
        client.write(REQUEST)
        stream.sendall(outgoing.read())  # the end of the handshake and the request, in one segment
        heard = b""
        while b"\r\n\r\n" not in heard:
            try:
                heard += client.read()
            except ssl.SSLWantReadError:
                incoming.write(stream.recv(65536))
    assert heard.startswith(b"SIP/2.0 200 OK")


def test_contact_says_tls_and_our_bye_comes_over_the_same_connection(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)

    async def story() -> None:
        async with ProbeCall(
            tap.target("tls"),
            tls=certified.authority.context(certified.gateway),
            headers=[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")],
        ) as call:
            answer = await call.invite()
            assert "transport=tls" in (answer.get_header("contact") or "")
            await call.request("OPTIONS")  # the ACK before it has been read then
            tap.clock.ahead_s += 100  # the peer was to give a sign of life, and did not
            await asyncio.wait_for(call.ended.wait(), 10)

    asyncio.run(story())
    _, ended = tap.expect("started", "ended")
    assert ended.cause == "expired"


def test_a_connection_that_is_gone_is_opened_again_to_a_gateway_with_the_right_certificate(
    make_tap, certified: Site
) -> None:
    """The gateway listens in TLS at its Contact; the recorder calls it there to say BYE."""
    tap = make_tap(**certified.settings)
    heard: list[bytes] = []
    peers: list[object] = []

    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peercert"))
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()

        listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certified.authority.file)
        listening.load_cert_chain(certified.gateway.certificate, certified.gateway.key)
        listening.verify_mode = ssl.CERT_REQUIRED
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=listening)
        port = server.sockets[0].getsockname()[1]
        target = tap.target("tls")
        tls = certified.authority.context(certified.gateway)
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
        body = "v=0\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n"
        head = (
            "INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:1;branch=z9hG4bKq;rport\r\n"
            "From: <sip:gw@127.0.0.1>;tag=1\r\nTo: <sip:srs@127.0.0.1>\r\nCall-ID: gone\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:gw@127.0.0.1:{port};transport=tls>\r\n"
            "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write((head + body).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        to = next(x for x in answer.decode().split("\r\n") if x.startswith("To:"))
        writer.write(
            f"ACK sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:1;branch=z9hG4bKr\r\n{to}\r\n"
            "From: <sip:gw@127.0.0.1>;tag=1\r\nCall-ID: gone\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n".encode()
        )
        await writer.drain()
        await asyncio.sleep(0.3)
        writer.transport.abort()
        await asyncio.sleep(0.3)
        tap.clock.ahead_s += 100
        for _ in range(100):
            if heard:
                break
            await asyncio.sleep(0.1)
        server.close()

    asyncio.run(story())
    assert heard and heard[0].startswith(b"BYE sip:gw@127.0.0.1") and b"Via: SIP/2.0/TLS" in heard[0]
    assert dict(x[0] for x in peers[0]["subject"])["commonName"] == "recorder.test"


def test_secure_media_is_agreed_and_its_keys_are_told_to_the_ports_and_nobody_else(make_tap, certified: Site) -> None:
    tap = make_tap(**certified.settings)
    keys: list[dict] = []

    async def story() -> None:
        async with ProbeCall(
            tap.target("tls"),
            tls=certified.authority.context(certified.gateway),
            srtp=SrtpSuite.AES_256_CM_HMAC_SHA1_80,
        ) as call:
            await call.invite()
            keys.append(dict(tap.keys))
            await call.hold()
            keys.append(dict(tap.keys))
            call.rekey()
            await call.reinvite()
            keys.append(dict(tap.keys))
            snapshot = tap.srs.snapshot(tap.events[0].call_id)
            tap.keys.clear()
            await asyncio.to_thread(tap.restart, [snapshot])
            keys.append(dict(tap.keys))
            await call.bye()

    with capture_logs() as said:
        asyncio.run(story())
    first, held, changed, restored = keys
    assert len(first) == 2 and len({k.secret for k in first.values()}) == 2
    assert held == first, "the same keys again change nothing"
    assert set(changed) == set(first) and not set(changed.values()) & set(first.values())
    assert restored == changed, "a restart knows them still"
    assert tap.keys == {} == tap.media
    everything = repr(said) + repr(tap.events)
    assert not any(repr(k.secret)[2:-1] in everything for k in (*first.values(), *changed.values()))
    assert not [s for s in said if s["event"] == "siprec.srtp_keys_in_clear"]


def test_keys_that_come_in_clear_are_taken_and_warned_about_once(make_tap) -> None:
    tap = make_tap()

    async def story() -> None:
        for _ in range(2):
            async with ProbeCall(tap.target("tcp"), srtp=SrtpSuite.AEAD_AES_256_GCM) as call:
                await call.invite()
                assert len(tap.keys) == 2

    with capture_logs() as said:
        asyncio.run(story())
    assert len([s for s in said if s["event"] == "siprec.srtp_keys_in_clear"]) == 1


def test_where_secure_media_is_required_plain_rtp_is_488(make_tap) -> None:
    tap = make_tap(srtp="require")

    async def story() -> None:
        async with ProbeCall(tap.target("tcp")) as plain:
            with pytest.raises(ProbeRefused, match="488"):
                await plain.invite()
        async with ProbeCall(tap.target("tcp"), srtp=SrtpSuite.AES_CM_128_HMAC_SHA1_80) as secure:
            await secure.invite()

    asyncio.run(story())
    tap.expect("started", "ended")


def test_an_offer_of_ours_is_secure_where_that_is_required(make_tap, make_gateway, code) -> None:
    tap = make_tap(srtp="require", listen=("udp:127.0.0.1:0",))
    gateway = make_gateway(tap)
    offer = gateway.ask(gateway.write("INVITE", 1))
    assert code(offer) == 200 and offer.count("RTP/SAVP ") == 2 and offer.count("a=crypto:") == 4
    line = "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n"
    answer = f"v=0\ns=-\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/SAVP 8\n{line}m=audio 0 RTP/SAVP 8\n"
    gateway.say(gateway.write("ACK", 1, answer))
    tap.expect("started")
    assert [k.suite for k in tap.keys.values()] == [SrtpSuite.AES_CM_128_HMAC_SHA1_80]


def test_files_that_cannot_be_used_are_named(certified: Site, make_tap, tmp_path: Path) -> None:
    from agent.config import Siprec

    def settings(**changes) -> Siprec:
        return Siprec.model_validate(certified.settings | changes)

    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    for changes, named in (
        ({"tls_certificate": tmp_path / "none.pem"}, "siprec.tls_certificate"),
        ({"tls_certificate": rubbish}, "siprec.tls_certificate"),
        ({"tls_key": tmp_path / "none.key"}, "siprec.tls_key"),
        ({"tls_key": certified.gateway.key}, "siprec.tls_key"),
        ({"tls_client_ca": rubbish}, "siprec.tls_client_ca"),
    ):
        for make in (server_context, client_context):
            with pytest.raises(TlsUnusable, match=named):
                make(settings(**changes))
    with pytest.raises(TlsUnusable):
        make_tap(**certified.settings | {"tls_key": rubbish})
    assert expiry(certified.mine.certificate).tzinfo is not None
    for make in (server_context, client_context):
        assert make(settings()).minimum_version is ssl.TLSVersion.TLSv1_2
