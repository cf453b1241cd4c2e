"""`a=crypto` lines: those of the RFCs, those to be refused, and that no error or repr has a key in it."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.srtp import SrtpKey, SrtpSuite
from agent.sip import answer, sdes, sdp

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
"""Of the example in RFC 4568 §6.1: it says of itself `YS___semctl () {\t220;}\n}\nunles`."""

OFFER = f"""v=0
o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5
s=SDP Seminar
c=IN IP4 192.0.2.9
t=2873397496 2873404696
m=audio 49170 RTP/SAVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20 KDR=0 WSH=1024
a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY}
"""


def test_the_line_of_the_rfc() -> None:
    crypto = sdes.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20")
    assert crypto.tag == 1 and crypto.key.suite is SrtpSuite.AES_CM_128_HMAC_SHA1_80
    assert crypto.key.secret == b"YS___semctl () {\t220;}\n}\nunles"


@pytest.mark.parametrize(
    ("name", "suite", "size"),
    [
        ("AES_CM_128_HMAC_SHA1_80", SrtpSuite.AES_CM_128_HMAC_SHA1_80, 30),
        ("AES_CM_128_HMAC_SHA1_32", SrtpSuite.AES_CM_128_HMAC_SHA1_32, 30),
        ("AES_256_CM_HMAC_SHA1_80", SrtpSuite.AES_256_CM_HMAC_SHA1_80, 46),  # RFC 6188 §5.1
        ("AES_256_CM_HMAC_SHA1_32", SrtpSuite.AES_256_CM_HMAC_SHA1_32, 46),
        ("AES_CM_256_HMAC_SHA1_80", SrtpSuite.AES_256_CM_HMAC_SHA1_80, 46),
        ("AEAD_AES_128_GCM", SrtpSuite.AEAD_AES_128_GCM, 28),  # RFC 7714 §14.2
        ("AEAD_AES_256_GCM", SrtpSuite.AEAD_AES_256_GCM, 44),
        ("aead_aes_256_gcm", SrtpSuite.AEAD_AES_256_GCM, 44),
    ],
)
def test_each_suite_with_its_length_and_as_it_was_spelt(name: str, suite: SrtpSuite, size: int) -> None:
    secret = bytes(range(size))
    text = b64encode(secret).decode()
    for written in (text, text.rstrip("=")):
        crypto = sdes.parse(f"7 {name} inline:{written}|2^31")
        assert (crypto.tag, crypto.name, crypto.key) == (7, name, SrtpKey(suite, secret))
    mine = sdes.fresh(7, name, suite, bytes)
    assert sdes.write(mine).startswith(f"7 {name} inline:") and sdes.parse(sdes.write(mine)) == mine
    with pytest.raises(sdes.Unusable):
        sdes.parse(f"7 {name} inline:{b64encode(secret[1:]).decode()}")


@pytest.mark.parametrize(
    "rest",
    [
        f"inline:{KEY}|2^20|1:4",
        f"inline:{KEY}|1:4",
        f"inline:{KEY};inline:{KEY}",
        f"inline:{KEY} UNENCRYPTED_SRTP",
        f"inline:{KEY} UNENCRYPTED_SRTCP",
        f"inline:{KEY} UNAUTHENTICATED_SRTP",
        f"inline:{KEY} KDR=1",
        f"inline:{KEY} FEC_ORDER=FEC_SRTP",
        f"inline:{KEY} SOMETHING_NEW",
        f"outline:{KEY}",
        "inline:AAAA",
        "inline:?",
        "inline:\u212a" + KEY[1:],
    ],
)
def test_what_cannot_be_honoured_is_refused_without_saying_the_key(rest: str) -> None:
    with pytest.raises(sdes.Unusable) as refused:
        sdes.parse(f"1 AES_CM_128_HMAC_SHA1_80 {rest}")
    assert KEY[:6] not in str(refused.value)


def test_an_optional_parameter_that_is_not_known_changes_nothing() -> None:
    assert sdes.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} -SOMETHING=1").tag == 1


@pytest.mark.parametrize("value", ["", "1", f"x AES_CM_128_HMAC_SHA1_80 inline:{KEY}", f"1 F8_128_HMAC_SHA1_80 {KEY}"])
def test_what_is_no_line_of_ours(value: str) -> None:
    with pytest.raises(sdes.Unusable):
        sdes.parse(value)


def test_no_repr_has_a_key() -> None:
    (media,) = sdp.read(OFFER.encode()).media
    assert "semctl" not in repr(media) and KEY not in repr(media)


def test_an_offer_of_secure_rtp_and_its_answer() -> None:
    (media,) = sdp.read(OFFER.encode()).media
    assert media.usable and media.secure
    assert [c.tag for c in media.crypto] == [2, 3], "the one with a master key identifier cannot be honoured"
    assert "identifier" in media.crypto_problem
    chosen = media.crypto[0]
    mine = sdes.fresh(chosen.tag, chosen.name, chosen.key.suite, lambda n: b"k" * n)
    text = answer.write([answer.accept(media, 21000, (mine,))], "192.0.2.1", 1, 1).decode()
    assert "m=audio 21000 RTP/SAVP 0\r\n" in text
    assert text.count("a=crypto:") == 1
    assert f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{b64encode(b'k' * 30).decode()}\r\n" in text
    (back,) = sdp.read(text.encode()).media
    assert back.crypto == (mine,)


@pytest.mark.parametrize(
    ("profile", "crypto", "usable", "secure"),
    [
        ("RTP/SAVP", True, True, True),
        ("RTP/SAVPF", True, True, True),
        ("RTP/SAVP", False, False, False),
        ("UDP/TLS/RTP/SAVPF", True, False, False),
        ("RTP/AVP", True, True, False),
    ],
)
def test_which_profiles_are_secure(profile: str, crypto: bool, usable: bool, secure: bool) -> None:
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n" if crypto else ""
    (media,) = sdp.read(f"v=0\r\nm=audio 4000 {profile} 8\r\n{line}".encode()).media
    assert (media.usable, media.secure) == (usable, secure)


@given(
    st.text(max_size=200) | st.from_regex(r"\A[0-9]{1,3} AE[A-Z0-9_]{1,30} inline:[A-Za-z0-9+/]{0,70}={0,2}.{0,9}\Z")
)
def test_any_text_is_a_line_or_unusable(text: str) -> None:
    try:
        crypto = sdes.parse(text)
    except sdes.Unusable:
        return
    assert sdes.parse(sdes.write(crypto)) == crypto


@given(st.sampled_from(SrtpSuite), st.integers(0, 999_999_999), st.data())
def test_what_is_written_is_read(suite: SrtpSuite, tag: int, data: st.DataObject) -> None:
    size = suite.key_bytes + suite.salt_bytes
    crypto = sdes.Crypto(tag, suite.value, SrtpKey(suite, data.draw(st.binary(min_size=size, max_size=size))))
    assert sdes.parse(sdes.write(crypto)) == crypto
