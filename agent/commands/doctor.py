"""`greffier doctor`: try everything the agent needs and say how to mend what is wrong."""

import secrets
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from agent.commands.calls import live_calls
from agent.commands.common import DEFAULT_CONFIG, ConfigOption, ask_recorder, console, settings_of, utc
from agent.commands.keys_list import said_of, unsealed
from agent.config import Endpoint, Settings
from agent.config.desk import LOOPBACK
from agent.config.destinations import PullSection
from agent.desk.tls import Identity, own_identity
from agent.desk.tls import TlsUnusable as DeskTlsUnusable
from agent.forward.authority import TimestampAuthority
from agent.forward.destination import Poison, Retry
from agent.forward.opening import open_destination
from agent.media import core
from agent.media.mirror import open_mirror
from agent.model.purpose import ArtifactKind
from agent.store.catalog import Catalog
from agent.store.directory import Directory
from agent.tap.siprec.tls import TlsUnusable, expiry, server_context
from agent.transcribe import models
from agent.transcribe.engine import EngineError
from agent.transcribe.select import choose
from agent.vault.age import check_recipient
from agent.vault.passphrase import NoPassphrase
from agent.vault.protect import Kind
from agent.vault.sealed import Box, Unsealable, kept
from agent.vault.secretfile import read_secret
from agent.vault.signing import SiteKey

GOOD, NOTE, BAD = "[green]✓[/]", "[yellow]![/]", "[red]✗[/]"
LEAST_FREE = 2 << 30
EXPIRES_SOON_DAYS = 30
LEAST_RING_MIB = 4
CLOCKS_DIFFER_S = 60
OLDEST_BUILD = 1_760_000_000
"""No box that runs this has a right clock before this UTC second."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: sign, what it is, and how to mend it when it is not good."""

    sign: str
    what: str
    mend: str = ""


def doctor(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check ports, clock, disk, model, keys, destinations, timestamps; say how to mend each. Exit status 1 if bad."""
    settings = settings_of(config)
    bad = False
    machine = (ports, tls, desk, media, media_core, mirror, wall_clock, disk)
    for look in (*machine, keys, recipients, model, destinations, stamps):
        for finding in look(settings):
            console.print(f"{finding.sign} {finding.what}", highlight=False, soft_wrap=True)
            if finding.mend:
                console.print(f"    {finding.mend}", style="dim", highlight=False, soft_wrap=True)
            bad = bad or finding.sign == BAD
    if bad:
        raise typer.Exit(1)


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


def wall_clock(_: Settings) -> Iterator[Finding]:
    """A clock that cannot be right is said; deadlines depend on it."""
    if time.time() < OLDEST_BUILD:
        yield Finding(BAD, "the system clock is years behind", "set it: timedatectl set-ntp true")
        return
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or shutil.which("chronyd") is not None
    if synchronised:
        yield Finding(GOOD, "clock: synchronised")
    else:
        yield Finding(NOTE, "clock: no sign of NTP here", "deadlines and times need it: apt install chrony")


def disk(settings: Settings) -> Iterator[Finding]:
    """Room for recordings."""
    folder = settings.site.state_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    hours = free / (16000 * 3600)
    what = f"disk: {free >> 30} GiB free in {folder}: about {hours:,.0f} call-hours before delivery"
    yield Finding(GOOD if free > LEAST_FREE else BAD, what, "" if free > LEAST_FREE else "free at least 2 GiB")


def keys(settings: Settings) -> Iterator[Finding]:
    """The site's own keys."""
    folder = settings.site.keys_dir
    try:
        box = Box.of(folder)
        yield from _keeping(settings)
    except NoPassphrase as locked:
        yield Finding(NOTE, f"keys: not looked into: {locked}")
        return
    except (OSError, ValueError) as error:
        yield Finding(BAD, f"keys: {error}", "the scribe does not start so: docs/keys.md")
        return
    readers: dict[str, Callable[[Path], object]] = {
        "site.pem": lambda path: SiteKey.load(path, box),
        "numbers.key": box.read,
        "percent.key": read_secret,
    }
    for name, read in readers.items():
        try:
            read(folder / name)
        except (OSError, ValueError, Unsealable) as error:
            yield Finding(BAD, f"key {name}: {error}", "`greffier init` makes the keys; restore yours if you had them")
        else:
            yield Finding(GOOD, f"key {name}")
    left = folder.parent / "purpose-keys"
    if left.is_dir() and any(left.iterdir()):
        yield Finding(
            NOTE,
            f"{left} still holds the keys that open recordings",
            "move each to those who may read that purpose, and delete it here",
        )


def _keeping(settings: Settings) -> Iterator[Finding]:
    """How they are kept."""
    how = kept(settings.site.keys_dir)
    what = f"keys: {said_of(settings.site.keys_dir)}"
    if how is Kind.FILE:
        yield Finding(NOTE, what, "`greffier keys protect --with tpm2` (or passphrase, systemd-creds): docs/keys.md")
    elif left := unsealed(settings):
        mend = f"an interrupted `greffier keys protect --with {how.value}`: do it again"
        yield Finding(BAD, f"{what}; but {len(left)} are plain", mend)
    else:
        yield Finding(GOOD, what)


def recipients(settings: Settings) -> Iterator[Finding]:
    """Whether every purpose has its readers."""
    try:
        purposes = settings.purposes()
        for purpose in purposes:
            for recipient in purpose.recipients:
                check_recipient(recipient)
    except (OSError, ValueError) as error:
        yield Finding(
            BAD, f"recipients: {error}", "one age public key (age1…) a line, in the purpose's recipients_file"
        )
        return
    yield Finding(GOOD, "recipients: " + ", ".join(f"{p.name} {len(p.recipients)}" for p in purposes))


def model(settings: Settings) -> Iterator[Finding]:
    """The speech model."""
    found = models.installed(settings.models_dir)
    if not found:
        yield Finding(NOTE, "no speech model: transcripts wait for one", "`greffier model add PATH` installs one")
        if waits := [
            n for n, p in settings.purpose.items() if p.redaction(n).hidden and ArtifactKind.AUDIO in p.artifacts
        ]:
            yield Finding(
                NOTE,
                f"audio of {', '.join(waits)} waits too: it is silenced where its transcript hides something",
                "a model, or redact = [] for audio as it was said (docs/redaction.md)",
            )
    for one in found:
        good = models.check(one)
        mend = "" if good else f"`greffier model remove {one.name}`, then add it again from a good copy"
        yield Finding(GOOD if good else BAD, f"model {one.name} sha256 {one.sha256[:16]}…", mend)
    scribe = settings.scribe
    try:
        choice = choose(scribe.engine, settings.models_dir, scribe.model, scribe.device, scribe.workers)
    except EngineError as error:
        yield Finding(BAD, f"transcription: {error}", "transcripts wait; docs/transcription.md")
    else:
        if found:
            yield Finding(GOOD if choice.engine else NOTE, f"transcription: {choice.why}")


def _fetched(settings: Settings, name: str) -> Iterator[Finding]:
    """Whether anybody may fetch what waits to be fetched."""
    readers = {puller.purpose for puller in settings.puller.values()}
    try:
        tokens = Directory(settings.directory_path).tokens()
    except (OSError, sqlite3.Error) as error:
        yield Finding(NOTE, f"destination {name} (pull): who may fetch cannot be read: {error}")
        return
    readers |= {token.purpose for token in tokens if token.purpose and token.is_good(time.time_ns())}
    purposes = [purpose for purpose, section in settings.purpose.items() if section.destination == name]
    for purpose in sorted(set(purposes) - readers):
        mend = f"greffier token add feed:{purpose}"
        yield Finding(BAD, f"destination {name} (pull): nobody may fetch {purpose}, and it waits here", mend)
    if set(purposes) <= readers:
        yield Finding(GOOD, f"destination {name} (pull): waits at GET /v1/feed")


def destinations(settings: Settings) -> Iterator[Finding]:
    """Each destination, tried."""
    for name, section in settings.destination.items():
        if isinstance(section, PullSection):
            yield from _fetched(settings, name)
            continue
        try:
            open_destination(name, section).check()
        except (Retry, Poison, OSError, ValueError) as error:
            yield Finding(BAD, f"destination {name} ({section.kind}): {error}", "recordings wait here until it works")
        else:
            yield Finding(GOOD, f"destination {name} ({section.kind}): writable")
    if live := live_calls(settings):
        yield Finding(GOOD, f"{len(live)} live calls")


def stamps(settings: Settings) -> Iterator[Finding]:
    """The timestamp authority, tried with a digest of nothing; how far its clock is from ours; what waits for it."""
    if settings.timestamp is None:
        return
    try:
        _, stamp = TimestampAuthority(settings.timestamp).stamp(secrets.token_bytes(32))
    except (Retry, Poison) as error:
        yield Finding(BAD, f"timestamps: {error}", "manifests are made and delivered; their timestamps wait")
    else:
        ahead_s = stamp.at_ns / 1e9 - time.time()
        good = abs(ahead_s) < CLOCKS_DIFFER_S + stamp.accuracy_s
        mend = "" if good else "one of the two clocks is wrong: timedatectl, chronyc tracking"
        what = f"timestamps: {stamp.authority} answers, its clock is {ahead_s:+.0f} s from ours"
        yield Finding(GOOD if good else NOTE, what, mend)
    if settings.catalog_path.exists() and (queue := Catalog(settings.catalog_path).timestamps.queue()).waiting:
        why = f": {queue.detail}" if queue.detail else ""
        late = queue.oldest_ns is not None and time.time_ns() - queue.oldest_ns > settings.timestamp.late_after * 10**9
        yield Finding(
            NOTE if late else GOOD, f"timestamps: {queue.waiting} wait, since {utc(queue.oldest_ns)} UTC{why}"
        )
