"""Secure RTP in, plain RTP out: every suite against libsrtp's own sender, and AES-256-CM against RFC 3711 by hand."""

import hmac
import struct
from collections.abc import Iterable
from hashlib import sha1

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pylibsrtp import Policy, Session

from agent.media.block import PacketBlock
from agent.media.endpoint import key as address_of
from agent.media.libsrtp import policy_of, set_rollovers
from agent.media.srtp import MOST_SEARCHES, OVERLAP_NS, SUITES, SecureSource
from agent.model.srtp import SrtpKey, SrtpSuite

SECURED, PLAIN = 20000, 20002


class Blocks:
    """A LocalSource of blocks that a test hands it."""

    name, interval_s, behind_s = "test", 0.02, 0.0

    def __init__(self) -> None:
        self.blocks: list[PacketBlock] = []

    def open_port(self, host: str, port: int) -> None:
        pass

    def close_port(self, port: int) -> None:
        pass

    def read(self) -> PacketBlock | None:
        return self.blocks.pop(0) if self.blocks else None

    def count_drops(self) -> int:
        return 3

    def close(self) -> None:
        pass


class Line:
    """A source with one secured and one plain port. `now_ns` is its clock."""

    def __init__(self, packet, block_of) -> None:
        self.inner, self.now_ns = Blocks(), 0
        self.source = SecureSource(self.inner, lambda: self.now_ns)
        self._packet, self._block_of = packet, block_of
        for port in (SECURED, PLAIN):
            self.source.open_port("0.0.0.0", port)

    def carry(self, *blocks: Iterable[tuple[bytes, int]]) -> list[tuple[int, bytes]]:
        """Port and bytes of everything that comes out when these (data, port) blocks go in."""
        for packets in blocks:
            made = [self._packet(data, port, at_ms=self.now_ns / 1e6) for data, port in packets]
            self.inner.blocks.append(self._block_of(made))
        out: list[tuple[int, bytes]] = []
        while (block := self.source.read()) is not None:
            assert len(block) > 0
            for at, length, port in zip(block.start, block.length, block.destination, strict=True):
                out.append((int(port), block.memory[at : at + length].tobytes()))
        return out

    def secured(self, *packets: bytes) -> list[bytes]:
        """What becomes of these packets to the secured port."""
        return [data for _, data in self.carry([(p, SECURED) for p in packets])]

    @property
    def counts(self) -> tuple[int, int, int]:
        counts = self.source.counts()[address_of("0.0.0.0", SECURED)]
        return counts.opened, counts.failed, counts.replayed


@pytest.fixture
def line(packet, block_of) -> Line:
    return Line(packet, block_of)


def some_key(suite: SrtpSuite = SrtpSuite.AES_CM_128_HMAC_SHA1_80, seed: int = 1) -> SrtpKey:
    return SrtpKey(suite, np.random.default_rng(seed).bytes(suite.key_bytes + suite.salt_bytes))


class Sender:
    """Encrypts as a gateway does."""

    def __init__(self, key: SrtpKey, ssrc: int = 0x1234, rollovers: int = 0) -> None:
        policy = policy_of(key, ssrc, 128)
        self._session = Session(policy)
        if rollovers:
            set_rollovers(self._session, ssrc, rollovers)

    def send(self, plain: bytes) -> bytes:
        return self._session.protect(plain)


@pytest.mark.parametrize("suite", SrtpSuite)
def test_every_suite_opens_what_its_sender_encrypts(line: Line, rtp, suite: SrtpSuite) -> None:
    assert suite in SUITES
    key = some_key(suite)
    sender = Sender(key)
    line.source.secure(SECURED, key)
    plain = [rtp(65500 + n, n * 160, bytes([n % 256]) * 160) for n in range(100)]
    sent = [sender.send(p) for p in plain]
    assert all(s != p for s, p in zip(sent, plain, strict=True))
    assert line.secured(*sent) == plain, "over the wrap of the sequence numbers"
    assert line.counts == (100, 0, 0)


def derived(key: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 §4.3.1 with RFC 6188's AES-256 as the pseudo-random function, key derivation rate 0."""
    x = int.from_bytes(salt) ^ label << 48
    return keystream(key, x << 16, size)


def keystream(key: bytes, iv: int, size: int) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16))).encryptor().update(bytes(size))


@pytest.mark.parametrize(("bits", "tag"), [(256, 10), (256, 4), (128, 10), (128, 4)])
def test_counter_mode_is_that_of_the_rfcs_and_not_only_libsrtps_own(line: Line, rtp, bits: int, tag: int) -> None:
    name = f"AES_256_CM_HMAC_SHA1_{tag * 8}" if bits == 256 else f"AES_CM_128_HMAC_SHA1_{tag * 8}"
    secret = some_key(SrtpSuite(name))
    key, salt = secret.secret[: bits // 8], secret.secret[bits // 8 :]
    encrypting, authenticating, salting = (
        derived(key, salt, label, size) for label, size in ((0, bits // 8), (1, 20), (2, 14))
    )
    sequence, ssrc, payload = 7, 0xCAFEBABE, b"by hand" * 20
    packet = rtp(sequence, 1000, payload, ssrc=ssrc)
    iv = int.from_bytes(salting) << 16 ^ ssrc << 64 ^ sequence << 16
    body = bytes(a ^ b for a, b in zip(payload, keystream(encrypting, iv, len(payload)), strict=True))
    signed = packet[:12] + body
    tags = hmac.digest(authenticating, signed + struct.pack(">I", 0), sha1)[:tag]
    line.source.secure(SECURED, secret)
    assert line.secured(signed + tags) == [packet]


def test_a_wrong_key_lets_nothing_through_and_is_counted(line: Line, rtp) -> None:
    line.source.secure(SECURED, some_key(seed=1))
    sender = Sender(some_key(seed=2))
    wanted = MOST_SEARCHES + 20
    assert line.secured(*(sender.send(rtp(n, n * 160, b"s" * 160)) for n in range(wanted))) == []
    assert line.counts == (0, wanted, 0) and line.source.failed == wanted


def test_nothing_is_taken_in_clear_where_a_key_was_announced(line: Line, rtp) -> None:
    line.source.secure(SECURED, some_key())
    assert line.secured(rtp(1, 160, b"c" * 160), b"", b"\x80", b"x" * 2000) == []
    assert line.counts == (0, 4, 0)


def test_a_packet_that_comes_again_is_taken_once(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    sender = Sender(key)
    first, second = (sender.send(rtp(n, n * 160, b"r" * 160)) for n in (1, 2))
    assert len(line.secured(first, second, first)) == 2
    assert line.counts == (2, 0, 1)


def test_late_packets_are_taken_as_long_as_the_engine_could_place_them(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    sender = Sender(key)
    sent = [sender.send(rtp(n, n * 160, b"l" * 160)) for n in range(400)]
    assert len(line.secured(*sent[200:], *sent[:200])) == 400


def test_a_tampered_packet_is_refused(line: Line, rtp) -> None:
    key = some_key(SrtpSuite.AEAD_AES_128_GCM)
    line.source.secure(SECURED, key)
    sent = bytearray(Sender(key).send(rtp(1, 160, b"t" * 160)))
    sent[40] ^= 1
    assert line.secured(bytes(sent)) == [] and line.counts == (0, 1, 0)


def test_new_keys_switch_and_what_was_under_way_is_not_lost(line: Line, rtp) -> None:
    old, new = some_key(seed=1), some_key(SrtpSuite.AEAD_AES_256_GCM, seed=2)
    before, after = Sender(old), Sender(new)
    packets = [rtp(n, n * 160, b"k" * 160) for n in range(1, 7)]
    line.source.secure(SECURED, old)
    assert line.secured(before.send(packets[0])) == packets[:1]
    line.source.secure(SECURED, new)
    line.source.secure(SECURED, new)
    assert line.secured(before.send(packets[1]), after.send(packets[2])) == packets[1:3]
    line.now_ns = OVERLAP_NS + 1
    assert line.secured(before.send(packets[3]), after.send(packets[4])) == packets[4:5]
    assert line.counts == (4, 1, 0)


def test_the_same_key_again_forgets_nothing(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    sender = Sender(key, rollovers=1)
    first = sender.send(rtp(40000, 0, b"a" * 160))
    assert len(line.secured(first)) == 1
    line.source.secure(SECURED, key)
    assert line.secured(first) == [] and line.counts == (1, 0, 1), "known as a copy"


def test_a_sender_that_was_under_way_before_us_is_found_and_followed_over_its_next_wrap(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    sender = Sender(key, rollovers=5)
    packets = [rtp(65530 + n, n * 160, b"w" * 160) for n in range(20)]
    assert line.secured(*map(sender.send, packets)) == packets


def test_a_second_source_on_the_port_is_opened_too(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    packets = [rtp(9, 0, b"1" * 160, ssrc=1), rtp(60000, 0, b"2" * 160, ssrc=2)]
    assert line.secured(*(Sender(key, n).send(p) for n, p in enumerate(packets, 1))) == packets


def test_sender_reports_on_the_same_port_are_opened_and_forged_ones_dropped(line: Line) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    report = struct.pack(">BBHI20s", 0x80, 200, 6, 0x1234, bytes(20))
    sent = Session(Policy(key.secret, Policy.SSRC_ANY_OUTBOUND)).protect_rtcp(report)
    assert line.secured(sent, report) == [report]
    assert line.counts == (0, 0, 0), "neither is media"


def test_other_ports_are_untouched_and_uncopied(line: Line, rtp, block_of, packet) -> None:
    plain = block_of([packet(rtp(1, 160, b"p" * 160), PLAIN)])
    line.inner.blocks = [plain]
    assert line.source.read() is plain
    line.source.secure(SECURED, some_key())
    line.inner.blocks = [plain]
    assert line.source.read() is plain


def test_a_mixed_block_comes_out_whole_and_a_block_of_nothing_but_refused_packets_is_skipped(line: Line, rtp) -> None:
    key = some_key()
    line.source.secure(SECURED, key)
    sender = Sender(key)
    clear = [rtp(n, n * 160, bytes([n]) * 160, ssrc=9) for n in range(6)]
    secret = [rtp(n, n * 160, bytes([n]) * 160) for n in range(6)]
    mixed = [each for n in range(6) for each in ((clear[n], PLAIN), (sender.send(secret[n]), SECURED))]
    out = line.carry([(clear[0], SECURED)], mixed, [(clear[1], SECURED), (clear[5], PLAIN)])
    assert [d for p, d in out if p == PLAIN] == [*clear, clear[5]]
    assert [d for p, d in out if p == SECURED] == secret


def test_a_port_given_back_has_no_key_for_the_next_call(line: Line, rtp) -> None:
    line.source.secure(SECURED, some_key())
    assert line.secured(rtp(1, 160, b"n" * 160)) == []
    line.source.close_port(SECURED)
    line.source.secure(SECURED, some_key())
    assert line.source.counts() == {} and line.source.failed == 1
    line.source.open_port("0.0.0.0", SECURED)
    assert line.secured(rtp(1, 160, b"n" * 160)) == [rtp(1, 160, b"n" * 160)]


def test_plain_again_when_the_gateway_says_so(line: Line, rtp) -> None:
    line.source.secure(SECURED, some_key())
    line.source.secure(SECURED, None)
    assert len(line.secured(rtp(1, 160, b"n" * 160))) == 1
