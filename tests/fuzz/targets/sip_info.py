"""INFO inside calls, and the keys they tell of: a key, a record key or a quiet refusal; each key has one fate."""

from aiosipua.message import SipRequest

from agent.cti.keypad import BETWEEN_KEYS_S, Keypads
from agent.model.call import CLOCK_RATE, Consent
from agent.model.gate import GateVerb
from agent.model.keys import KEY_NAMES, KeyCode
from agent.model.media import KeyPress
from agent.policy.featurecodes import Typing, expire, read
from agent.sip import info
from agent.sip import message as sip
from agent.sip.errors import SipError
from fuzz import quiet
from fuzz.draws import Draws

_HEAD = b"INFO sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCall-ID: c\r\nCSeq: 2 INFO\r\n"
SEPARATOR = b"\x00|"
CODES = (
    KeyCode("*1", GateVerb.PAUSE),
    KeyCode("*2", GateVerb.RESUME),
    KeyCode("##7", GateVerb.KEEP),
    KeyCode("3", Consent.GIVEN),
)
_VERBS = {code.keys: code.does for code in CODES if isinstance(code.does, GateVerb)}
GAP_S = 3
_RELAY, _PLAIN = b"Content-Type: application/dtmf-relay\r\n\r\n", b"c: application/dtmf\r\n\r\n"
SEEDS = (
    b"\x10" + _RELAY + b"Signal=*\r\nDuration=160\r\n" + SEPARATOR + b"\x10" + _PLAIN + b"1",
    SEPARATOR.join(b"\x7fRecord: " + word + b"\r\n\r\n" for word in (b"off", b"on", b"maybe")),
    b"\x00c: application/dtmf-relay;x=y\r\n\r\nsignal = 11" + SEPARATOR + b"\x00" + _PLAIN + b"11",
    SEPARATOR.join(b"\x20" + _PLAIN + key for key in (b"5", b"*", b"#", b"#", b"7", b"3", b"16", b"*", b"2")),
)
WORDS = (SEPARATOR, b"application/dtmf-relay", b"application/dtmf\r\n\r\n", b"\r\nSignal=", b"Record: ", b"FLASH")


def target(data: bytes) -> None:
    """Headers and body of one INFO after the other; the first byte of each says how long after the last it comes."""
    at_s, keys = 0.0, []
    for part in data.split(SEPARATOR)[:64]:
        draws = Draws(part)
        at_s += draws.number(1) / 16
        key = _key(_HEAD + draws.take(draws.left))
        if key is not None:
            keys.append((at_s, key))
    _check_codes(keys)
    _check_pad(keys)


def _key(data: bytes) -> str | None:
    try:
        request = sip.parse(data)
    except SipError:
        return None  # the target sip_message
    if not isinstance(request, SipRequest):
        return None
    try:
        assert info.record(request) in (True, False, None)
    except SipError as error:
        quiet.check(error)
    try:
        key = info.key(request)
    except SipError as error:
        quiet.check(error)
        return None
    assert key is None or (len(key) == 1 and key in KEY_NAMES)
    return key


def _check_codes(keys: list[tuple[float, str]]) -> None:
    """Each key is free, held or of a code, once and in order."""
    typing, fates = Typing(), ""
    for at_s, key in keys:
        press = KeyPress("c", 1, KEY_NAMES.index(key), int(at_s * CLOCK_RATE))
        reading = read(CODES, typing, press, GAP_S * CLOCK_RATE)
        typing = reading.now
        fates += "".join(KEY_NAMES[press.event] for press in reading.free) + (reading.code.keys if reading.code else "")
        assert len(typing.held) < max(len(code.keys) for code in CODES)
        assert not (reading.code and typing.held)
    last = expire(typing, 1 << 40, GAP_S * CLOCK_RATE)
    assert last.now == Typing()
    assert fates + "".join(KEY_NAMES[press.event] for press in last.free) == "".join(key for _, key in keys)


def _check_pad(keys: list[tuple[float, str]]) -> None:
    """A telephone system's keys: a code counts when it is what was typed last without a gap, since the last code."""
    pad, typed, before_s = Keypads(_VERBS), "", 0.0
    for at_s, key in keys:
        typed = (typed if at_s - before_s <= BETWEEN_KEYS_S else "") + key
        before_s = at_s
        expected = next((verb for code, verb in _VERBS.items() if typed.endswith(code)), None)
        assert pad.press("PJSIP/201-1", key, at_s) is expected
        typed = "" if expected else typed
