"""Secure signalling and media on a whole agent: S07, wrong keys, a kill in the middle, and pjsua2 as the gateway."""

import asyncio
import subprocess
import sys
import wave
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from certificates import Authority
from running_site import wait_for

from agent.config import Endpoint
from agent.media.g711 import decode, encode
from agent.model.call import CLOCK_RATE, Codec
from agent.model.srtp import SrtpSuite
from agent.probe import ProbeCall, ProbeRefused

PJSUA = Path(__file__).with_name("pjsua_gateway.py")
SUITES = (SrtpSuite.AES_CM_128_HMAC_SHA1_80, SrtpSuite.AES_256_CM_HMAC_SHA1_32, SrtpSuite.AEAD_AES_256_GCM)


class Secure:
    """A site that listens on TLS alone and takes secure RTP alone; `authority` signs its gateways."""

    def __init__(self, folder: Path, port: int, make_site, edit) -> None:
        self.authority, self.other = Authority(folder, "site"), Authority(folder, "other")
        self.gateway = self.authority.issue("gw1.site.test")
        recorder = self.authority.issue("recorder.test")
        settings = {
            "listen": f'["tls:127.0.0.1:{port}"]',
            "tls_certificate": f'"{recorder.certificate}"',
            "tls_key": f'"{recorder.key}"',
            "tls_client_ca": f'"{self.authority.file}"',
            "srtp": '"require"',
        }

        def change(text: str) -> str:
            text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
            return edit(edit(text, "scribe", engine='"none"'), "siprec", **settings)

        self.seen = make_site(change)
        self.site = self.seen.site
        self.target = Endpoint(transport="tls", host="127.0.0.1", port=port)

    def call(self, suite: SrtpSuite | None, **arguments) -> ProbeCall:
        """A call of the right gateway, unless `tls` says another."""
        arguments.setdefault("tls", self.authority.context(self.gateway))
        return ProbeCall(self.target, srtp=suite, **arguments)


@pytest.fixture
def secure(tmp_path: Path, free_port: int, make_site, edit) -> Secure:
    return Secure(tmp_path, free_port, make_site, edit)


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * CLOCK_RATE)).astype(np.int16)


@pytest.mark.slow
def test_s07_the_right_peer_is_recorded_bit_by_bit_and_others_not_at_all(
    secure: Secure, find_sent, files_under, run_story
) -> None:
    site, secrets = secure.site, []

    async def right(suite: SrtpSuite, seed: int) -> tuple[ProbeCall, str]:
        async with secure.call(suite) as call:
            await call.invite()
            call_id = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((noise(3, seed), noise(3, seed + 1)))
            secrets.extend(c.key.secret for c in call._crypto.values())
            call.rekey()
            await call.reinvite()
            await call.speak((noise(2, seed + 2), noise(2, seed + 3)))
            secrets.extend(c.key.secret for c in call._crypto.values())
            await call.bye()
            return call, call_id

    async def wrong() -> None:
        for context in (
            secure.authority.context(),
            secure.authority.context(secure.other.issue("gw1.site.test")),
            secure.authority.context(secure.authority.issue("late.site.test", days=-1)),
        ):
            async with secure.call(SUITES[0], tls=context) as call:
                with pytest.raises(ProbeRefused):
                    await call.invite()
        async with secure.call(None) as call:
            with pytest.raises(ProbeRefused) as refused:
                await call.invite()
            assert refused.value.status == 488, "plain RTP is not what this site takes"

    async def story() -> list[tuple[ProbeCall, str]]:
        calls = [right(suite, 10 * n) for n, suite in enumerate(SUITES)]
        *placed, _ = await asyncio.gather(*calls, wrong())
        return placed

    for (call, call_id), suite in zip(run_story(story()), SUITES, strict=True):
        secure.seen.wait_audio(call_id, "evidence")
        audio = secure.seen.audio(call_id, "evidence")
        for n, (who, (_, counts)) in enumerate(zip(("customer", "agent"), site.catalog().counts(call_id), strict=True)):
            find_sent(audio[n], call.sent[who], Codec.PCMA)
            assert counts.received == call.sent[who].done.sent and counts.lost == counts.foreign == 0, suite
    assert len(site.catalog().calls()) == len(SUITES), "and no other call"
    to = ("-l", "en", "--to", f"tls:127.0.0.1:{secure.target.port}", "--srtp", SUITES[2].value)
    nobody = site.greffier("probe", *to, "--ca", secure.authority.file, status=1)
    assert "no TLS with" in nobody and "other's certificate" in nobody
    wait_for("all refusals", lambda: len(site.events("sip.tls_refused")) == 4)
    assert not site.events("alarm.srtp_wrong_key") and not site.events("siprec.srtp_keys_in_clear")
    for path, data in files_under(site.folder):
        assert not any(s in data or b64encode(s) in data for s in secrets), f"a key of the media is in {path}"


@pytest.mark.slow
def test_media_under_another_key_than_was_told_is_counted_alarmed_and_absent(
    secure: Secure, files_under, run_story
) -> None:
    site = secure.site
    secret = noise(6, 1)

    async def story() -> str:
        async with secure.call(SUITES[0], wrong_keys=True) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((secret, None))
            await call.bye()
            assert len(call.sent["customer"]) == 300
            return call_id

    call_id = run_story(story())
    site.wait_state(call_id, "finalised")
    (alarm,) = wait_for("the alarm", lambda: site.events("alarm.srtp_wrong_key"))
    (over,) = wait_for("its end", lambda: site.events("alarm.srtp_wrong_key.over"))
    (counted,) = site.events("srtp.undecryptable")
    assert {alarm["call"], over["call"], counted["call"]} == {call_id} and alarm["stream"] == counted["stream"] == 0
    assert counted["packets"] == 300
    (_, customer), (_, agent) = site.catalog().counts(call_id)
    assert (customer.received, customer.undecryptable) == (0, 300) and (agent.received, agent.undecryptable) == (0, 0)
    assert "300 packets of secure RTP could not be decrypted" in site.greffier("doctor")
    coded = encode(secret, Codec.PCMA).tobytes()
    frames = [coded[n : n + 160] for n in range(0, len(coded), 160)]
    for path, data in files_under(site.folder):
        assert not any(frame in data for frame in frames), path


@pytest.mark.slow
def test_after_kill_minus_nine_the_keys_are_still_known(secure: Secure, run_story) -> None:
    site = secure.site
    before, after = noise(3, 1), noise(3, 2)

    async def story() -> str:
        async with secure.call(SUITES[1]) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak((before, None))
            await asyncio.to_thread(site.kill, "recorder")
            assert await asyncio.to_thread(site.call_of, call.session_id) == call_id
            await call.speak((after, None))
            await call.bye()
            return call_id

    call_id = run_story(story())
    secure.seen.wait_audio(call_id, "evidence")
    heard = secure.seen.audio(call_id, "evidence")[0].tobytes()
    expected = decode(encode(after, Codec.PCMA), Codec.PCMA).tobytes()
    assert expected in heard
    assert site.catalog().find_call(call_id).cause == "bye"
    assert not site.events("srtp.undecryptable")


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])
def test_another_makers_tls_and_srtp(secure: Secure, tmp_path: Path, suite: str) -> None:
    """pjsua2 calls as a gateway without metadata does, and plays a sound."""
    site = secure.site
    sound = (8000 * np.sin(np.cumsum(np.linspace(0.1, 1.2, 4 * CLOCK_RATE)))).astype(np.int16)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLOCK_RATE)
        file.writeframes(sound.tobytes())
    command = [sys.executable, PJSUA, secure.target.port, suite, tmp_path / "sound.wav", secure.authority.file]
    command += [secure.gateway.certificate, secure.gateway.key]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (call,) = wait_for("the call", lambda: site.catalog().calls() or None)
    secure.seen.wait_audio(call.call_id, "evidence")
    (heard,) = secure.seen.audio(call.call_id, "evidence")
    wanted = sound[CLOCK_RATE : 2 * CLOCK_RATE].astype(float)
    match = np.correlate(heard.astype(float), wanted, "valid")
    at = int(np.argmax(match))
    likeness = np.corrcoef(heard[at : at + len(wanted)].astype(float), wanted)[0, 1]
    assert likeness > 0.99
    assert not site.events("srtp.undecryptable")
