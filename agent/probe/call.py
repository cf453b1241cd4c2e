"""A test call as a gateway would place it: SIPREC client (RFC 7866), two parties, RTP in real time."""

import asyncio
import random
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import structlog
from aiosipua.message import SipRequest, SipResponse

from agent.config import Endpoint
from agent.media.g711 import encode
from agent.media.libsrtp import Session, policy_of
from agent.model.call import CLOCK_RATE, Codec
from agent.model.srtp import SrtpSuite
from agent.probe.client import Client
from agent.probe.dialog import Dialog, Written, metadata_id
from agent.probe.dialogue import Dialogue, Speaker
from agent.probe.impairment import NO_IMPAIRMENT, Impairment
from agent.probe.messages import METADATA_TYPE, SPEAKERS, Line, Person, answered, metadata, multipart, offer
from agent.probe.pacer import Pacer
from agent.probe.refusal import ProbeRefused, refused, unreachable
from agent.probe.sent import SentStream
from agent.probe.stream import OutStream, Speech, Utterance
from agent.probe.wire import local_address
from agent.sip.sdes import Crypto, fresh

PAYLOAD_TYPE = {Codec.PCMU: 0, Codec.PCMA: 8}
_FAREWELL_S = 2.0
"""How long the end of `async with` waits for the answer to its BYE."""

Sound = npt.NDArray[np.int16] | npt.NDArray[np.uint8]
"""Samples to be encoded (int16, 8 kHz), or bytes of the codec to be sent as they are (uint8)."""

log = structlog.get_logger()


class ProbeCall:
    """One call: `async with ProbeCall(target) as call: await call.invite(); await call.speak(…); await call.bye()`.

    Channels and m-lines are customer (label 1), then agent (label 2). `caller` is who the metadata lists first.
    `headers` are added to the INVITE. `payload_type` is offered for the codec in place of its static one.
    With `siprec` false the INVITE is a plain one: no metadata, only the session description.
    `tls` is for a target over TLS: whom to trust, and our certificate. With `srtp` the media is secure RTP of this
    suite, each stream under a key of its own; `rekey` draws new ones, and `wrong_keys` sends under others than it says.
    Leaving the block hangs up if nobody did.
    """

    def __init__(
        self,
        target: Endpoint,
        *,
        codec: Codec | str = Codec.PCMA,
        agent_number: str = "201",
        customer_number: str = "+33612345678",
        agent_name: str = "Agent",
        customer_name: str = "Customer",
        caller: Speaker = "customer",
        payload_type: int | None = None,
        ptime_ms: int = 20,
        siprec: bool = True,
        headers: Sequence[tuple[str, str]] = (),
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        srtp: SrtpSuite | None = None,
        wrong_keys: bool = False,
        pacer: Pacer | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._dice = dice or random.SystemRandom()
        self._target, self._timeout_s, self._siprec, self._headers = target, timeout_s, siprec, tuple(headers)
        self._codec, self._ptime_ms = Codec(codec), ptime_ms
        self._payload_type = PAYLOAD_TYPE[self._codec] if payload_type is None else payload_type
        self._pacer, self._own_pacer = pacer or Pacer(), pacer is None
        self._client = Client(target, self._asked, tls)
        self._srtp, self._wrong_keys = srtp, wrong_keys
        self._crypto: dict[Speaker, Crypto] = {}
        caller_number = agent_number if caller == "agent" else customer_number
        self._dialog = Dialog(target, caller_number, self._dice)
        numbers, names = (customer_number, agent_number), (customer_name, agent_name)
        people = [
            Person(metadata_id(self._dice), metadata_id(self._dice), number, name, str(label))
            for label, (number, name) in enumerate(zip(numbers, names, strict=True), start=1)
        ]
        self._people = people if caller == "customer" else people[::-1]
        self._streams: dict[Speaker, OutStream] = {}
        self._speaking: Speech | None = None
        self._in_use: dict[Speaker, Crypto] = {}
        self._since = ""
        self._version = 0
        self._sdp_id = self._dice.getrandbits(31)
        self._group_id = metadata_id(self._dice)
        self.session_id = metadata_id(self._dice)
        """Communication session id of the metadata (RFC 7865 §6.3)."""
        self.ended = asyncio.Event()
        """Set when either side hung up."""

    # ---- life

    async def __aenter__(self) -> Self:
        """Open all sockets. Raises ProbeRefused when nothing is there."""
        try:
            host = local_address(self._target)
            for speaker in ("customer", "agent"):
                self._streams[speaker] = OutStream(host, self._dice)
            self.rekey()
            await self._client.open()
        except OSError as error:
            self._close()
            raise unreachable(f"{self._target.host}:{self._target.port}", error) from None
        except ProbeRefused:
            self._close()
            raise
        self._dialog.local = self._client.local
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._dialog.established and not self.ended.is_set():
                await self._bye(_FAREWELL_S)
        except ProbeRefused as refusal:
            log.warning("probe.bye_failed", reason=str(refusal))
        finally:
            self._close()

    def abandon(self) -> None:
        """Be gone without a word, as a gateway that lost its power: no BYE, no media, no sockets."""
        self.ended.set()
        self._close()

    def _close(self) -> None:
        if self._speaking is not None:
            self._pacer.drop(self._speaking)
        if self._own_pacer:
            self._pacer.close()
        self._client.close()
        for stream in self._streams.values():
            stream.close()

    # ---- what it knows

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self._dialog.call_id

    @property
    def sent(self) -> Mapping[Speaker, SentStream]:
        """Every packet that was sent, by speaker."""
        return {speaker: stream.sent for speaker, stream in self._streams.items()}

    @property
    def remote(self) -> Mapping[Speaker, tuple[str, int] | None]:
        """Where the recorder wants each speaker's media (address, port); None where it refused the stream."""
        return {speaker: stream.remote for speaker, stream in self._streams.items()}

    @property
    def local_ports(self) -> Mapping[Speaker, int]:
        """The port that each speaker's media is sent from."""
        return {speaker: stream.port for speaker, stream in self._streams.items()}

    # ---- signalling

    def rekey(self) -> None:
        """New keys for every stream: told by the next INVITE, in use once it is answered."""
        if self._srtp is not None:
            self._crypto = {who: fresh(1, self._srtp.value, self._srtp, self._dice.randbytes) for who in self._streams}

    async def invite(self) -> SipResponse:
        """Place the call. Raises ProbeRefused."""
        self._since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self.reinvite()

    async def reinvite(
        self, directions: Mapping[Speaker, str] | None = None, *, metadata_xml: str | None = None
    ) -> SipResponse:
        """INVITE with everything as it now stands. Raises ProbeRefused.

        `directions` sets `sendonly` or `inactive` for a speaker's stream, sendonly where it says nothing;
        `metadata_xml` replaces the metadata.
        """
        content_type, body = self._describe(directions or {}, metadata_xml)
        extra = [("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"), ("Content-Type", content_type)]
        if self._siprec:
            extra = [("Require", "siprec"), ("Accept", "application/sdp, application/rs-metadata"), *extra]
        written = self._dialog.write("INVITE", [*self._headers, *extra], body)
        response = await self._client.request("INVITE", written.branch, written.message, self._timeout_s)
        if response.status_code < 300:
            self._dialog.learn(response)
        await self._client.acknowledge(written.branch, self._dialog.ack(written, response))
        if response.status_code >= 300:
            raise refused("INVITE", response.status_code, response.reason_phrase)
        self._take_answer(response)
        return response

    async def hold(self) -> SipResponse:
        """re-INVITE with both streams inactive."""
        return await self.reinvite({"customer": "inactive", "agent": "inactive"})

    async def resume(self) -> SipResponse:
        """re-INVITE with both streams sending again."""
        return await self.reinvite()

    async def update(self, metadata_xml: str | None = None) -> SipResponse:
        """UPDATE with metadata only (RFC 7866 §7.1.1), that of the INVITE if none is given."""
        body = (metadata_xml or self._metadata()).encode()
        return await self.request("UPDATE", METADATA_TYPE, body, (("Content-Disposition", "recording-session"),))

    async def request(
        self, method: str, content_type: str = "", body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> SipResponse:
        """Any request within the dialog but INVITE, such as OPTIONS or INFO. Raises ProbeRefused unless a 2xx comes."""
        return await self._in_dialog(method, content_type, body, headers, self._timeout_s)

    async def bye(self) -> SipResponse:
        """Hang up. Raises ProbeRefused."""
        return await self._bye(self._timeout_s)

    async def _bye(self, timeout_s: float) -> SipResponse:
        self.ended.set()
        return await self._in_dialog("BYE", "", b"", (), timeout_s)

    async def _in_dialog(
        self, method: str, content_type: str, body: bytes, headers: Sequence[tuple[str, str]], timeout_s: float
    ) -> SipResponse:
        typed = [*headers, *([("Content-Type", content_type)] if content_type else [])]
        written: Written = self._dialog.write(method, typed, body)
        response = await self._client.request(method, written.branch, written.message, timeout_s)
        if response.status_code >= 300:
            raise refused(method, response.status_code, response.reason_phrase)
        return response

    def _asked(self, asked: SipRequest) -> bytes | None:
        if asked.method == "ACK":
            return None
        if asked.call_id != self.call_id:
            return self._dialog.answer(asked, 481, "Call/Transaction Does Not Exist")
        if asked.method == "BYE":
            self.ended.set()
        if asked.method in ("BYE", "OPTIONS", "UPDATE", "INFO"):
            return self._dialog.answer(asked, 200, "OK")
        return self._dialog.answer(asked, 405, "Method Not Allowed")

    def _describe(self, directions: Mapping[Speaker, str], metadata_xml: str | None) -> tuple[str, bytes]:
        lines = [
            Line(
                str(n),
                stream.port,
                self._payload_type,
                self._codec,
                self._ptime_ms,
                directions.get(who, "sendonly"),
                self._crypto.get(who),
            )
            for n, (who, stream) in enumerate(self._streams.items(), start=1)
        ]
        self._version += 1
        sdp = offer(local_address(self._target), self._sdp_id, self._version, lines)
        if not self._siprec:
            return "application/sdp", sdp.encode()
        return multipart(sdp, metadata_xml or self._metadata())

    def _metadata(self) -> str:
        return metadata(self.session_id, self._group_id, self.call_id, self._people, self._since)

    def _take_answer(self, response: SipResponse) -> None:
        labels = [str(n) for n in range(1, len(SPEAKERS) + 1)]
        try:
            remote = answered(response, labels, secure=self._srtp is not None)
        except ValueError as error:
            raise ProbeRefused(f"INVITE was answered 200 with an unusable session description: {error}") from None
        for label, stream in zip(labels, self._streams.values(), strict=True):
            stream.remote, stream.payload_type = remote.get(label), self._payload_type
        for who, crypto in self._crypto.items():
            if crypto != self._in_use.get(who):
                key = fresh(1, "", crypto.key.suite, self._dice.randbytes).key if self._wrong_keys else crypto.key
                stream = self._streams[who]
                stream.secure, self._in_use[who] = Session(policy_of(key, stream.sent.ssrc, 128)), crypto

    # ---- media

    async def speak(
        self,
        what: Dialogue | Sequence[Sound | None],
        *,
        impairment: Impairment = NO_IMPAIRMENT,
        payload_type: int | None = None,
        ports: Mapping[Speaker, int] | None = None,
    ) -> None:
        """Send a dialogue, or (customer, agent) sound, in real time; None for a party that sends nothing.

        `payload_type` is put into the packets whatever was agreed; `ports` sends a speaker's media to a wrong port.
        Returns when all is said, or at once when the call was ended. Raises OSError.
        """
        sounds: Sequence[Sound | None] = what.channels if isinstance(what, Dialogue) else what
        frame = CLOCK_RATE * self._ptime_ms // 1000
        utterances = [
            Utterance(stream, self._encoded(sound), frame, impairment, n, payload_type, (ports or {}).get(who))
            for n, ((who, stream), sound) in enumerate(zip(self._streams.items(), sounds, strict=True))
            if sound is not None and stream.remote is not None
        ]
        if not utterances:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish(failure: Exception | None) -> None:
            if done.done():
                return
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

        speech = Speech(utterances, self._ptime_ms / 1000, time.monotonic, time.time_ns)
        self._speaking = speech

        def finish_there(failure: Exception | None) -> None:
            loop.call_soon_threadsafe(finish, failure)

        self._pacer.start(speech, finish_there)
        over = asyncio.create_task(self.ended.wait())
        either: tuple[asyncio.Future[Any], ...] = (done, over)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            self._pacer.drop(speech)
            self._speaking = None
        if done.done():
            done.result()

    def transmit(self, speaker: Speaker, datagram: bytes, port: int | None = None) -> None:
        """Send any datagram from a speaker's socket, to the recorder's port or to another; it is not in `sent`."""
        remote = self._streams[speaker].remote
        if remote is not None:
            self._streams[speaker].transmit(datagram, (remote[0], port or remote[1]))

    def _encoded(self, sound: Sound) -> bytes:
        if sound.dtype == np.uint8:
            return sound.tobytes()
        return encode(sound.astype(np.int16, copy=False), self._codec).tobytes()
