"""What `greffier doctor` looks at of what comes in: ports, certificates, the desk, packets, the mirror port."""

import socket
import time
from collections.abc import Iterator

from agent.commands.common import ask_recorder
from agent.commands.finding import BAD, GOOD, NOTE, Finding
from agent.config import Endpoint, Settings
from agent.config.desk import LOOPBACK
from agent.desk.tls import Identity, own_identity
from agent.desk.tls import TlsUnusable as DeskTlsUnusable
from agent.media import core
from agent.media.mirror import open_mirror
from agent.tap.siprec.tls import TlsUnusable, expiry, server_context

EXPIRES_SOON_DAYS = 30
LEAST_RING_MIB = 4


def ports(settings: Settings) -> Iterator[Finding]:
    """SIP and media ports: free, or ours."""
    running = settings.recorder_socket.exists() and _answers(settings)
    for endpoint in settings.siprec.listen:
        where = f"{endpoint.transport} {endpoint.host}:{endpoint.port}"
        if running:
            yield Finding(GOOD, f"SIP {where}: the recorder is running")
        elif (error := _try_bind(endpoint)) is None:
            yield Finding(GOOD, f"SIP {where}: free")
        else:
            yield Finding(BAD, f"SIP {where}: {error}", f"see who holds it: ss -lnp 'sport = :{endpoint.port}'")
    low, high = settings.siprec.media_ports
    room = (high - low) // 4
    if room < settings.siprec.max_calls:
        yield Finding(
            NOTE,
            f"media ports {low}–{high} are enough for {room} calls, max_calls is {settings.siprec.max_calls}",
            "widen siprec.media_ports or lower siprec.max_calls",
        )
    else:
        yield Finding(GOOD, f"media ports {low}–{high}: enough for {room} two-party calls")


def tls(settings: Settings) -> Iterator[Finding]:
    """Certificates of SIP over TLS: usable, for how long, and whether peers need one."""
    siprec = settings.siprec
    if all(endpoint.transport != "tls" for endpoint in siprec.listen) or siprec.tls_certificate is None:
        return
    try:
        server_context(siprec)
        left_days = (expiry(siprec.tls_certificate).timestamp() - time.time()) / 86400
    except TlsUnusable as error:
        yield Finding(BAD, f"TLS: {error}", "the recorder does not start with it: docs/secure-media.md")
        return
    if left_days < EXPIRES_SOON_DAYS:
        what = "expired" if left_days < 0 else f"expires in {left_days:.0f} days"
        sign = BAD if left_days < 0 else NOTE
        yield Finding(sign, f"TLS: our certificate {what}", "renew it, then restart the recorder: live calls go on")
    else:
        yield Finding(GOOD, f"TLS: our certificate is good for {left_days:.0f} days")
    if siprec.tls_client_ca is None:
        yield Finding(
            NOTE,
            "TLS: peers need no certificate: only their address says who they are",
            "siprec.tls_client_ca = the authority of your gateways' certificates",
        )
    else:
        yield Finding(GOOD, f"TLS: peers need a certificate of {siprec.tls_client_ca.name}")


def desk(settings: Settings) -> Iterator[Finding]:
    """How the desk is reached: by TLS with which certificate, or in clear."""
    where = f"desk {settings.desk.host}:{settings.desk.port}"
    if not settings.desk.encrypts:
        clear = settings.desk.host not in LOOPBACK
        mend = 'desk.tls = "off" is for a proxy on this machine that encrypts: let desk.host be 127.0.0.1 then'
        yield Finding(NOTE if clear else GOOD, f"{where}: in clear", mend if clear else "")
        return
    shown = own_identity(settings)
    if settings.desk.tls_certificate is not None and settings.desk.tls_key is not None:
        shown = Identity(settings.desk.tls_certificate, settings.desk.tls_key, made_here=False)
    elif not shown.certificate.exists():
        yield Finding(NOTE, f"{where}: TLS, with a certificate that the desk will make for itself when it starts")
        return
    try:
        left_days = (shown.expires().timestamp() - time.time()) / 86400
        if left_days < EXPIRES_SOON_DAYS:
            sign = BAD if left_days < 0 else NOTE
            yield Finding(sign, f"{where}: the certificate is good for {left_days:.0f} days", "renew it: docs/desk.md")
        yield Finding(GOOD, f"{where}: TLS, SHA-256 of the certificate {shown.fingerprint()}")
    except DeskTlsUnusable as error:
        yield Finding(BAD, str(error), "the desk does not start with it: docs/desk.md")


def media(settings: Settings) -> Iterator[Finding]:
    """How packets come in and how many were dropped; before the recorder runs, whether they can come by the ring."""
    if settings.recorder_socket.exists() and _answers(settings):
        state = ask_recorder(settings, op="stats")
        dropped = state["dropped_packets"]
        yield Finding(
            BAD if dropped else GOOD,
            f"media: by {state['media']}, {dropped} packets dropped since the start, taken in within"
            f" {state['lag_p99_ms']} ms (99 %)",
            "more CPU for the recorder, or a larger media.ring_mib" if dropped else "",
        )
        if unopened := state["undecryptable_packets"]:
            yield Finding(
                NOTE,
                f"media: {unopened} packets of secure RTP could not be decrypted since the start",
                "the log says of which calls (srtp.undecryptable): their gateway sends under other keys than it tells",
            )
        return
    source = settings.media.source
    if source == "sockets":
        yield Finding(GOOD, "media: by sockets, as configured")
        return
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except OSError as error:
        sign = BAD if source == "ring" else NOTE
        yield Finding(
            sign,
            f"media: no packet ring for this user ({error.strerror}); sockets cost about twice the CPU",
            "the units of systemd/ give the recorder CAP_NET_RAW; elsewhere run it as root",
        )
    else:
        yield Finding(GOOD, "media: by the packet ring")


def media_core(settings: Settings) -> Iterator[Finding]:
    """Whether packets are taken in by the compiled core."""
    wanted = settings.media.core
    if wanted == "numpy":
        yield Finding(GOOD, "media core: numpy, as configured")
        return
    try:
        core.load()
    except core.CoreMissing as missing:
        instead = "the recorder does not start" if wanted == "c" else "numpy takes in packets, at twice the CPU"
        yield Finding(BAD if wanted == "c" else NOTE, f"media core: {missing}: {instead}", core.MEND)
    else:
        yield Finding(GOOD, "media core: compiled")


def mirror(settings: Settings) -> Iterator[Finding]:
    """What the mirror port brings; before the recorder runs, whether it can be listened to."""
    if not (interface := settings.span.interface):
        return
    if not (settings.recorder_socket.exists() and _answers(settings)):
        try:
            open_mirror(interface, settings.span.sip_ports, settings.span.media_ports, LEAST_RING_MIB).close()
        except OSError as error:
            yield Finding(BAD, f"mirror port: {error}")
        else:
            yield Finding(GOOD, f"mirror port {interface}: can be listened to")
        return
    seen = ask_recorder(settings, op="stats")["span"]
    sign, mend = GOOD, ""
    if dropped := seen["dropped_packets"]:
        sign, mend = BAD, "more CPU for the recorder, or a larger media.ring_mib"
    elif not seen["packets"]:
        sign, mend = NOTE, f"is the mirror session on, and its cable in? `tcpdump -ni {interface}` shows what comes"
    elif not seen["sip_messages"]:
        sign, mend = NOTE, "no SIP comes by it: mirror the port of PBX or phones, or add their port to span.sip_ports"
    counts = f"{seen['packets']} packets, {seen['sip_messages']} SIP messages, {seen['calls']} calls, {dropped} dropped"
    yield Finding(sign, f"mirror port {interface}: {counts}", mend)


def _answers(settings: Settings) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(settings.recorder_socket))
    except OSError:
        return False
    return True


def _try_bind(endpoint: Endpoint) -> str | None:
    kind = socket.SOCK_DGRAM if endpoint.transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, kind) as trial:
        if endpoint.transport != "udp":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((endpoint.host, endpoint.port))
        except OSError as error:
            return error.strerror or str(error)
    return None
