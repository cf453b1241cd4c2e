"""Session descriptions: read within limits, and our answer to any of them is readable and has the same m-lines."""

from dataclasses import replace

from agent.sip import answer, sdes, sdp
from agent.sip.errors import SipError
from agent.sip.formats import MAX_FMTP_CHARS
from fuzz import quiet

SEEDS = (
    b"v=0\r\no=- 20 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n"
    b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\n"
    b"a=label:1\r\nm=audio 40002 RTP/AVP 96 18\r\na=rtpmap:96 pcmu/8000/1\r\na=rtpmap:18 G729/8000\r\na=inactive\r\n"
    b"a=label: agent\r\na=mid:x\r\nm=video 40004 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n",
    b"v=0\nc=IN IP4 0.0.0.0\nm=audio 4000/2 RTP/AVP 8\nc=IN IP6 2001:db8::1/127\na=recvonly\n",
    b"v=0\nm=audio 9 RTP/AVP 111 96 10 97\na=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\n"
    b"a=rtpmap:96 AMR-WB/16000\na=fmtp:96 octet-align=1\na=rtpmap:97 telephone-event/48000\na=ptime:20.0\n",
    b"v=0\na=inactive\nm=image 0 udptl t38\nm=audio 9 RTP/SAVP 0\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\n"
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\n",
)
WORDS = (
    b"a=ptime:",
    b"a=label:",
    b"a=mid:",
    b"a=rtpmap:8 ",
    b"/8000",
    b"a=fmtp:8 ",
    b"m=audio 4000 RTP/AVP 8",
    b"\xc2\x85",
)


def target(data: bytes) -> None:
    """One body."""
    try:
        offer = sdp.read(data)
    except SipError as error:
        quiet.check(error)
        assert error.status in (400, 488)
        return
    assert 0 < len(offer.media) <= sdp.MAX_MEDIA
    lines = []
    for number, media in enumerate(offer.media):
        assert 0 <= media.port <= 65535 and len(media.formats) <= sdp.MAX_FORMATS
        assert max(len(media.label), len(media.mid)) <= sdp.MAX_LABEL_CHARS
        assert media.ptime_ms is None or 10 <= media.ptime_ms <= 60
        assert len({c.payload_type for c in media.codecs}) == len(media.codecs) <= sdp.MAX_FORMATS
        for codec in media.codecs:
            assert 0 <= codec.payload_type < 128 and 0 < codec.clock_rate < 10**6 and 1 <= codec.channels <= 99
            assert len(codec.fmtp) <= MAX_FMTP_CHARS and (codec.fmtp + codec.name).isprintable()
        assert media.held in (True, False) and len(media.peer_host) < 64
        taken = media.usable and number % 3 < 2
        assert len(media.crypto) <= sdes.MAX_LINES and media.crypto_problem.isascii()
        assert all(sdes.parse(sdes.write(crypto)) == crypto for crypto in media.crypto)
        crypto = media.crypto[:1] if media.secure else ()
        lines.append(answer.accept(media, 20000 + 2 * number, crypto) if taken else answer.refuse(media))
    back = sdp.read(answer.write(lines, "2001:db8::1" if len(lines) % 2 else "192.0.2.1", 5, 2))
    assert [(m.kind, m.port, m.profile) for m in back.media] == [(x.kind, x.port, x.profile) for x in lines]
    assert [(m.label, m.mid) for m in back.media] == [(m.label, m.mid) for m in offer.media]
    for line, media in zip(lines, back.media, strict=True):
        assert media.usable == bool(line.port)
        if line.port:
            plain = [replace(c, fmtp="") for c in media.codecs]
            assert plain == [replace(c, fmtp="") for c in line.codecs]
            assert (media.flow, media.ptime_ms, media.crypto) == (line.flow, line.ptime_ms, line.crypto)
