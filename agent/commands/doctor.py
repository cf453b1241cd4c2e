"""`greffier doctor`: try everything the agent needs and say how to mend what is wrong."""

import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from agent.commands.calls import live_calls
from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, settings_of, utc
from agent.commands.doctor_taps import desk, media, media_core, mirror, ports, tls
from agent.commands.finding import BAD, GOOD, NOTE, Finding
from agent.commands.keys_list import said_of, unsealed
from agent.config import Settings
from agent.config.destinations import PullSection
from agent.forward.authority import TimestampAuthority
from agent.forward.destination import Poison, Retry
from agent.forward.opening import open_destination
from agent.model.purpose import ArtifactKind
from agent.model.redaction import NAMED
from agent.scribe.languages import AUTO
from agent.store.catalog import Catalog
from agent.store.directory import Directory
from agent.transcribe import models
from agent.transcribe.engine import EngineError
from agent.transcribe.entities import NamesError, load_names
from agent.transcribe.select import choose
from agent.vault.age import check_recipient
from agent.vault.passphrase import NoPassphrase
from agent.vault.protect import Kind
from agent.vault.sealed import Box, Unsealable, kept
from agent.vault.secretfile import read_secret
from agent.vault.signing import SiteKey

LEAST_FREE = 2 << 30
CLOCKS_DIFFER_S = 60
OLDEST_BUILD = 1_760_000_000
"""No box that runs this has a right clock before this UTC second."""


def doctor(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check ports, clock, disk, models, keys, destinations, timestamps; say how to mend each. Exit status 1 if bad."""
    settings = settings_of(config)
    bad = False
    machine = (ports, tls, desk, media, media_core, mirror, wall_clock, disk)
    for look in (*machine, keys, recipients, model, names, destinations, stamps):
        for finding in look(settings):
            console.print(f"{finding.sign} {finding.what}", highlight=False, soft_wrap=True)
            if finding.mend:
                console.print(f"    {finding.mend}", style="dim", highlight=False, soft_wrap=True)
            bad = bad or finding.sign == BAD
    if bad:
        raise typer.Exit(1)


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
    found = models.installed(settings.models_dir, models.Kind.SPEECH)
    if not found:
        yield Finding(NOTE, "no speech model: transcripts wait for one", "`greffier model add PATH` installs one")
        if waits := [
            n for n, p in settings.purpose.items() if settings.redaction(n).hidden and ArtifactKind.AUDIO in p.artifacts
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


def names(settings: Settings) -> Iterator[Finding]:
    """The models that find names: whether each can be loaded, and what for."""
    section, hiding = settings.names, [name for name in settings.purpose if settings.redaction(name).hidden & NAMED]
    if not section.models:
        return
    try:
        found = load_names(section.models, settings.models_dir, section.kinds)
    except (NamesError, OSError) as error:
        waits = f"{', '.join(hiding)}: no text until then" if hiding else "no purpose hides names"
        yield Finding(BAD if hiding else NOTE, f"names: {error}", waits)
        return
    for one in found.models:
        yield Finding(GOOD, f"names: {one.name} finds {', '.join(sorted(one.kinds))} in {one.language}")
        for remark in one.remarks:
            yield Finding(NOTE, f"names: {one.name}: {remark}", "a model made for the spaCy that is installed is safer")
    scribe = settings.scribe
    for language in sorted({scribe.language, *scribe.languages.values()} - {AUTO}):
        for name in hiding:
            if why := found.why_not(language, settings.redaction(name).hidden & NAMED):
                yield Finding(BAD, f"names: {why}", f"calls in it have no text for {name}: it waits")


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
