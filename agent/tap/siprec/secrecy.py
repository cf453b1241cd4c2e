"""Which offers of secure RTP are taken, under which key, and what of them must survive a restart (RFC 4568).

We only receive: the key of the peer is the one that counts, ours is in the answer because the protocol wants it there.
"""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from agent.media.srtp import SUITES
from agent.model.srtp import SrtpKey, SrtpSuite
from agent.sip import sdes, sdp
from agent.sip.sdes import Crypto
from agent.sip.sdp import PLAIN_RTP, Description, OfferedMedia
from agent.tap.siprec.peers import Peer

OWN_OFFER = (SrtpSuite.AEAD_AES_256_GCM, SrtpSuite.AES_CM_128_HMAC_SHA1_80)
"""What we offer when we must, best first; the second is mandatory to implement (RFC 4568 §6.2)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StreamSecret:
    """The crypto lines of one stream: what its sender encrypts under, and what our description says."""

    theirs: Crypto
    ours: Crypto


def agree(media: OfferedMedia, before: StreamSecret | None) -> StreamSecret | None:
    """The secret of an accepted m-line; None when it is plain RTP. A line that is offered again stays agreed."""
    if not media.secure:
        return None
    if before is not None and before.theirs in media.crypto:
        return before
    theirs = media.crypto[0]
    return StreamSecret(theirs, sdes.fresh(theirs.tag, theirs.name, theirs.key.suite, secrets.token_bytes))


def own_lines() -> tuple[Crypto, ...]:
    """The crypto lines of an offer of ours."""
    return tuple(sdes.fresh(tag, suite.value, suite, secrets.token_bytes) for tag, suite in enumerate(OWN_OFFER, 1))


class Secrecy:
    """Reads descriptions as `siprec.srtp` has it: with `required`, plain RTP is none that we can record."""

    def __init__(self, required: bool) -> None:
        self.required = required
        self._warned = False

    def read(self, data: bytes, peer: Peer) -> Description:
        """As `sdp.read`, which see for what it raises."""
        found = sdp.read(data)
        media = tuple(self._checked(m, peer) for m in found.media)
        if peer.transport != "tls" and not self._warned and any(m.secure for m in media):
            self._warned = True
            log.warning("siprec.srtp_keys_in_clear", peer=peer.host, transport=peer.transport, mend="SIP over TLS")
        return Description(media)

    def _checked(self, media: OfferedMedia, peer: Peer) -> OfferedMedia:
        checked = replace(media, crypto=tuple(c for c in media.crypto if c.key.suite in SUITES))
        if checked.crypto_problem and not checked.crypto and media.port:
            log.warning("siprec.srtp_refused", peer=peer.host, problem=checked.crypto_problem)
        return replace(checked, codecs=()) if self.required and media.profile in PLAIN_RTP else checked


def dump(agreed: Mapping[int, StreamSecret]) -> list[Any]:
    """For the snapshot of a dialog, which is only ever kept sealed."""
    return [[stream, *map(_dump_line, (secret.theirs, secret.ours))] for stream, secret in agreed.items()]


def load(value: list[Any]) -> dict[int, StreamSecret]:
    """What `dump` gave. Raises KeyError, TypeError or ValueError."""
    return {int(stream): StreamSecret(_load_line(theirs), _load_line(ours)) for stream, theirs, ours in value}


def _dump_line(crypto: Crypto) -> list[Any]:
    return [crypto.tag, crypto.name, crypto.key.suite.value, b64encode(crypto.key.secret).decode()]


def _load_line(value: list[Any]) -> Crypto:
    tag, name, suite, secret = value
    if suite not in SUITES:
        raise ValueError("a suite of before the restart is not to be had any more")
    return Crypto(tag, name, SrtpKey(SrtpSuite(suite), b64decode(secret)))
