"""What `pylibsrtp` leaves out of libsrtp and a recorder needs: AES-256 in counter mode, and the rollover counter.

The wheel carries the whole library; these functions of it (srtp.h of libsrtp 2) are called by name. Where they are not
to be had, AES-256-CM is not offered, and a stream that was under way before us must wait for its next SSRC.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from pylibsrtp import Error, Policy, Session, _binding
from pylibsrtp._binding import ffi

from agent.model.srtp import SrtpKey, SrtpSuite

__all__ = ["SUITES", "Error", "Session", "is_known", "policy_of", "set_rollovers"]

_PROFILES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    SrtpSuite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpSuite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_AES_256 = {
    SrtpSuite.AES_256_CM_HMAC_SHA1_80: "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80",
    SrtpSuite.AES_256_CM_HMAC_SHA1_32: "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32",
}


def _function(name: str, *arguments: Any) -> Callable[..., int] | None:
    try:
        found = getattr(ctypes.CDLL(_binding.__file__), name)
    except (OSError, AttributeError):
        return None
    found.argtypes = arguments
    function: Callable[..., int] = found
    return function


_set_policy = {suite: _function(name, ctypes.c_void_p) for suite, name in _AES_256.items()}
_get_roc = _function("srtp_get_stream_roc", ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
_set_roc = _function("srtp_set_stream_roc", ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)

SUITES = frozenset(_PROFILES) | {suite for suite, function in _set_policy.items() if function is not None}
"""The suites that can be decrypted here."""


def policy_of(key: SrtpKey, ssrc: int | None, window: int) -> Policy:
    """How to read a stream: of one SSRC, or of any that comes (None). `window`: of the replay check, in packets."""
    kind = Policy.SSRC_ANY_INBOUND if ssrc is None else Policy.SSRC_SPECIFIC
    policy = Policy(key.secret, kind, ssrc or 0, _PROFILES.get(key.suite, Policy.SRTP_PROFILE_AES128_CM_SHA1_80))
    policy.window_size = window
    if key.suite in _AES_256:
        _use_aes_256(policy, key.suite)
    return policy


def _use_aes_256(policy: Policy, suite: SrtpSuite) -> None:
    """RTCP has the long tag in both suites (RFC 4568 §6.2.2)."""
    for part, wanted in (("rtp", suite), ("rtcp", SrtpSuite.AES_256_CM_HMAC_SHA1_80)):
        function = _set_policy[wanted]
        if function is None:
            raise ValueError(f"{suite} is not to be had from this libsrtp")
        function(_address(ffi.addressof(policy._policy, part)))


def is_known(session: Session, ssrc: int) -> bool:
    """Whether a packet of this SSRC was verified before."""
    count = ctypes.c_uint32()
    return _get_roc is None or _get_roc(_address(session._srtp[0]), ssrc, ctypes.byref(count)) == 0


def set_rollovers(session: Session, ssrc: int, count: int) -> None:
    """How often the sequence numbers of a stream, added by its SSRC, are taken to have wrapped (RFC 3711 §3.3.1)."""
    if _set_roc is not None:
        _set_roc(_address(session._srtp[0]), ssrc, count)


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))
