"""Crypto lines: honoured or `Unusable` without a word of what was in them; what is written of one is the same again."""

from agent.sip import sdes

_KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
SEEDS = (
    f"1 AES_CM_128_HMAC_SHA1_80 inline:{_KEY}".encode(),
    f"2 AES_CM_128_HMAC_SHA1_32 inline:{_KEY}|2^20 WSH=64".encode(),
    f"3 AES_CM_128_HMAC_SHA1_80 inline:{_KEY}|2^20|1:4 KDR=0".encode(),
    b"4 AEAD_AES_256_GCM inline:" + b"QUJD" * 14 + b"QQ==",
    f"1 AES_CM_128_HMAC_SHA1_80 inline:{_KEY} UNENCRYPTED_SRTP\n5 F8_128_HMAC_SHA1_80 inline:{_KEY}".encode(),
)
WORDS = (b"inline:", b"AES_256_CM_HMAC_SHA1_80", b"AEAD_AES_128_GCM", b"|2^31", b" WSH=", b" -x", b"==")


def target(data: bytes) -> None:
    """A line each of what stands after `a=crypto:`."""
    values = data.decode("utf-8", "replace").split("\n")
    for value in values[: sdes.MAX_LINES]:
        try:
            line = sdes.parse(value)
        except sdes.Unusable as error:
            text = str(error)
            assert len(text) < 200 and text.isprintable()
            assert not any(len(word) > 15 and word in text for word in value.split()), "a word of the line is repeated"
            continue
        assert len(line.key.secret) == line.key.suite.key_bytes + line.key.suite.salt_bytes
        assert repr(line.key.secret) not in repr(line)
        assert sdes.parse(sdes.write(line)) == line
    found, _ = sdes.usable(values)
    assert len(found) <= sdes.MAX_LINES
