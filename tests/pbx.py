"""Telephone systems as servers: Asterisk by AMI and ARI, FreeSWITCH by its event socket, byte for byte as documented.

docs.asterisk.org: "AMI v2 Specification", "AMI Actions: Challenge, Login", "AMI Events: UserEvent, MixMonitorMute",
"ARI: Events REST API, Asterisk REST Data Models"; RFC 6455; developer.signalwire.com: "mod_event_socket", "Event List".
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

USERNAME, SECRET = "greffier", "s3cret-of-the-pbx"

Talk = Callable[["Pbx", asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Pbx:
    """A TCP server that talks as one of them: `heard` is what came, `say` sends to who is logged in."""

    def __init__(self, talk: Talk, port: int = 0) -> None:
        self._talk = talk
        self._writers: list[asyncio.StreamWriter] = []
        self.heard: list[bytes] = []
        self.ready = asyncio.Event()
        self.port = port

    @asynccontextmanager
    async def running(self, ssl: SSLContext | None = None) -> AsyncIterator["Pbx"]:
        """While it listens."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=ssl)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()

    def hang_up(self) -> None:
        """Close every connection."""
        self.ready.clear()
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def say(self, data: bytes) -> None:
        """To who is logged in."""
        await asyncio.wait_for(self.ready.wait(), 60)
        for writer in self._writers:
            writer.write(data)
            await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(self, reader, writer)


# ---- Asterisk, AMI


async def asterisk(pbx: Pbx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Banner, Challenge, Login with the MD5 of challenge and secret, then events."""
    writer.write(b"Asterisk Call Manager/7.0.3\r\n")
    while message := await reader.readuntil(b"\r\n\r\n"):
        pbx.heard.append(message)
        fields = dict(line.split(": ", 1) for line in message.decode().strip().split("\r\n"))
        answer = ["Response: Success", f"ActionID: {fields['ActionID']}"]
        if fields["Action"] == "Challenge":
            answer.append("Challenge: 148712")
        if fields["Action"] == "Login" and fields["Key"] != hashlib.md5(f"148712{SECRET}".encode()).hexdigest():
            answer = ["Response: Error", answer[1], "Message: Authentication failed"]
        writer.write("\r\n".join(answer).encode() + b"\r\n\r\n")
        if fields["Action"] == "Login" and answer[0].endswith("Success"):
            writer.write(b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n")
            pbx.ready.set()


def _ami(name: str, channel: str, *lines: str) -> bytes:
    snapshot = [f"Channel: {channel}", "ChannelState: 6", "ChannelStateDesc: Up", "CallerIDNum: 0612345678"]
    snapshot += ["CallerIDName: <unknown>", "ConnectedLineNum: <unknown>", "Context: in", "Exten: s", "Priority: 4"]
    snapshot += ["Uniqueid: 1764288000.26", "Linkedid: 1764288000.26"]
    return "\r\n".join([f"Event: {name}", "Privilege: user,all", *snapshot, *lines]).encode() + b"\r\n\r\n"


def _ami_user(action: str, **fields: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in {"Action": action, **fields}.items()]
    return _ami("UserEvent", "PJSIP/trunk-0000001a", "UserEvent: Greffier", *lines)


def _ami_mute(muted: bool) -> bytes:
    return _ami("MixMonitorMute", "PJSIP/201-0000001b", "Direction: both", f"State: {int(muted)}")


# ---- Asterisk, ARI


async def rest_interface(pbx: Pbx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP with basic authentication, then a WebSocket (RFC 6455 §4.2.2); pings are answered."""
    request = await reader.readuntil(b"\r\n\r\n")
    pbx.heard.append(request)
    first, *lines = request.decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if headers["authorization"] != "Basic " + base64.b64encode(f"{USERNAME}:{SECRET}".encode()).decode():
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        return
    assert first == "GET /ari/events?app=greffier&subscribeAll=true HTTP/1.1"
    writer.write(switched(headers["sec-websocket-key"]))
    pbx.ready.set()
    while head := await reader.readexactly(2):  # a client's frames are short and masked (§5.3)
        assert head[1] & 0x80 and head[1] & 0x7F <= 125
        mask, payload = await reader.readexactly(4), await reader.readexactly(head[1] & 0x7F)
        plain = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        pbx.heard.append(head[:1] + plain)
        if head[0] == 0x89:
            writer.write(server_frame(plain, 10))


def switched(key: str) -> bytes:
    """The answer of RFC 6455 §4.2.2 to a handshake with this key."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def server_frame(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    """A frame as a server sends it (RFC 6455 §5.2), never masked."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
    return bytes([0x80 * final | opcode]) + length + payload


def _ari_user(action: str, channel: str = "PJSIP/trunk-0000001a", **fields: str) -> bytes:
    leg = {
        "id": "1764288000.26",
        "name": channel,
        "state": "Up",
        "protocol_id": "f3a8",
        "caller": {"name": "", "number": "0612345678"},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {"context": "in", "exten": "s", "priority": 4, "app_name": "UserEvent", "app_data": "Greffier"},
        "creationtime": "2026-11-28T01:00:00.120+0100",
        "language": "fr",
    }
    event = {
        "type": "ChannelUserevent",
        "timestamp": "2026-11-28T01:02:03.456+0100",
        "eventname": "Greffier",
        "userevent": {"eventname": "Greffier", "Action": action, **fields},
        "channel": leg,
        "asterisk_id": "42:01:0a:a4:00:05",
        "application": "greffier",
    }
    return server_frame(json.dumps(event).encode())


def _ari_mute(muted: bool) -> bytes:
    """ARI tells nobody of a mute: the dialplan does, on the agent's own channel."""
    return _ari_user("pause" if muted else "resume", "PJSIP/201-0000001b")


# ---- FreeSWITCH


async def freeswitch(pbx: Pbx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """mod_event_socket: asks for the password, answers each command."""
    writer.write(b"Content-Type: auth/request\n\n")
    while command := await reader.readuntil(b"\n\n"):
        pbx.heard.append(command)
        reply = "-ERR invalid"
        if command == f"userauth {USERNAME}:{SECRET}\n\n".encode():
            reply = "+OK accepted\nAllowed-Events: all\nAllowed-API: none\nAllowed-LOG: no"
        elif command.startswith(b"event json "):
            reply = "+OK event listener enabled json"
        writer.write(f"Content-Type: command/reply\nReply-Text: {reply}\n\n".encode())
        if reply.endswith("json"):
            pbx.ready.set()


def _esl(name: str, **fields: str) -> bytes:
    """`_` in a name stands for `-`."""
    named = {key.replace("_", "-"): value for key, value in fields.items()}
    core = {
        "Event-Name": name,
        "Core-UUID": "11f751fa-47a7-11e2-9f24-bf76d9fc9ea3",
        "FreeSWITCH-Hostname": "hall",
        "Event-Date-Timestamp": "1764288000123456",
        "Event-Sequence": "9274",
    }
    body = json.dumps(core | named).encode()
    return f"Content-Length: {len(body)}\nContent-Type: text/event-json\n\n".encode() + body


def _esl_user(action: str, **fields: str) -> bytes:
    said = {f"Greffier_{name}": value for name, value in fields.items()}
    leg = {"Unique_ID": "7f0e-trunk", "Call_Direction": "inbound", "Channel_Name": "sofia/external/0612345678@trunk"}
    return _esl("CUSTOM", Event_Subclass=f"greffier::{action}", **leg, **said)


def _esl_mute(muted: bool) -> bytes:
    """`uuid_record` names no more than the channel, of which its answer told."""
    leg = {"Unique_ID": "0aa1-agent", "Call_Direction": "outbound", "Channel_Name": "sofia/internal/201@10.0.0.5:5060"}
    command = f"0aa1-agent {'mask' if muted else 'unmask'} /var/rec/x.wav"
    api = _esl("API", API_Command="uuid_record", API_Command_Argument=command)
    return _esl("CHANNEL_ANSWER", Caller_Caller_ID_Number="0612345678", **leg) + api


@dataclass(frozen=True)
class Kind:
    """One protocol: how it talks, an event of the dialplan on a trunk's channel, and the mute of agent 201's call."""

    talk: Talk
    user_event: Callable[..., bytes]
    mute: Callable[[bool], bytes]


KINDS = {
    "ami": Kind(asterisk, _ami_user, _ami_mute),
    "ari": Kind(rest_interface, _ari_user, _ari_mute),
    "esl": Kind(freeswitch, _esl_user, _esl_mute),
}
