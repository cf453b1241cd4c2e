"""The configuration as types: sections of greffier.toml, their defaults, ranges and cross-checks."""

from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from holidays import list_supported_countries
from pydantic import Field, PrivateAttr, field_validator, model_validator

from agent.config.cti import Cti
from agent.config.delivery import Courier
from agent.config.desk import ContextPage, Desk
from agent.config.destinations import AnyDestination, PullSection
from agent.config.feed import Puller, Webhook, check_feed
from agent.config.guard import Guard
from agent.config.names import Names
from agent.config.persons import PersonsSection
from agent.config.presses import Keys
from agent.config.purposes import PurposeSection
from agent.config.recipients import read_recipients
from agent.config.retention import Retention
from agent.config.section import Duration, Patterns, Section
from agent.config.taps import Media, Siprec, Span
from agent.config.timestamp import Timestamp
from agent.model.purpose import ArtifactKind, Purpose
from agent.model.redaction import NAMED, NO_REDACTION, Policy


class Site(Section):
    """Who and where this box is."""

    name: str = Field("site", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    state_dir: Path = Path("/var/lib/greffier")
    run_dir: Path = Path("/run/greffier")
    keys_dir: Path = Path("/etc/greffier/keys")
    agents: Patterns = ("[1-9][0-9][0-9]", "[1-9][0-9][0-9][0-9]", "[1-9][0-9][0-9][0-9][0-9]")
    """Shell patterns of numbers that are the site's own extensions; everyone else is a customer."""
    timezone: str = "Europe/Paris"
    """By its IANA name: `hours` of conditions are on the clocks of this zone."""
    calling_code: str = Field("33", pattern=r"^[1-9][0-9]{0,2}$")
    """Of the country whose national numbers begin with 0: `06…` on a list is `+336…` in a call."""
    holidays: str = Field("FR", pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,8})?)?$")
    """Whose public holidays: a country by ISO 3166-1, and a part of it where that differs (FR-57, DE-BY)."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            raise ValueError('expected the name of a time zone such as "Europe/Paris"') from None
        return name

    @field_validator("holidays")
    @classmethod
    def _known_country(cls, name: str) -> str:
        country, _, part = name.partition("-")
        known = list_supported_countries(include_aliases=False)
        if country and (country not in known or (part and part not in known[country])):
            parts = f"; parts of {country}: {', '.join(known[country])}" if country in known else ""
            raise ValueError(f'no holidays are known of "{name}"{parts}')
        return name


class Capture(Section):
    """The gate's look-back in RAM and the capture log."""

    holdback_s: float = Field(3.0, ge=0, le=30)
    flush_interval_s: float = Field(1.0, ge=0.1, le=10)
    reorder_ms: int = Field(200, ge=20, le=1000)
    segment_mib: int = Field(64, ge=1, le=1024)


class Pause(Section):
    """Limits of the agent's pause."""

    warn_s: Duration = 240
    limit_s: Duration = 300
    consent_wait_s: Duration = Field(60, le=600)
    """So much of a call waits in RAM for the customer's consent; what is older is let go."""


Language = Annotated[str, Field(pattern=r"^([a-z]{2}|auto)$")]


class Scribe(Section):
    """Transcription and identities."""

    engine: Literal["auto", "faster-whisper", "pocketsphinx", "none"] = "auto"
    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: a GPU where CTranslate2 sees one, else the processor."""
    workers: int | None = Field(None, ge=1, le=64)
    """Windows transcribed at once; one a core of the processor without it."""
    language: Language = "fr"
    """ISO 639-1; "auto": detected once for each channel of a call."""
    languages: dict[str, Language] = Field(default_factory=dict, max_length=256)
    """That of a queue, by shell patterns of its name; the first that fits counts."""
    identity_rotation_s: Duration = 86400
    deferred_limit_s: Duration = 7 * 86400
    correction_window: Duration = 86400
    """A finalised call's key and records are kept so long (never beyond a local deadline of its artifacts), so that a
    span can be masked; 0: not at all."""
    poll_s: float = Field(0.5, gt=0, le=60)


PurposeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class Settings(Section):
    """The whole of greffier.toml. Relative paths have been made absolute against the file's folder."""

    site: Site = Site()
    siprec: Siprec = Siprec()
    span: Span = Span()
    media: Media = Media()
    capture: Capture = Capture()
    pause: Pause = Pause()
    keys: Keys = Keys()
    desk: Desk = Desk()
    context: dict[PurposeName, ContextPage] = Field(default_factory=dict, max_length=64)
    scribe: Scribe = Scribe()
    guard: Guard = Guard()
    names: Names = Names()
    courier: Courier = Courier()
    retention: Retention = Retention()
    persons: PersonsSection = PersonsSection()
    timestamp: Timestamp | None = None
    cti: dict[PurposeName, Cti] = Field(default_factory=dict)
    destination: dict[PurposeName, AnyDestination] = Field(default_factory=dict)
    puller: dict[PurposeName, Puller] = Field(default_factory=dict, max_length=256)
    webhook: dict[PurposeName, Webhook] = Field(default_factory=dict, max_length=64)
    purpose: dict[PurposeName, PurposeSection] = Field(default_factory=dict)
    _source: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, section in self.purpose.items():
            if section.timestamp and self.timestamp is None:
                raise ValueError(f"purpose.{name}.timestamp: no [timestamp] says whose: url and ca are needed")
        for name, section in self.purpose.items():
            if section.destination is not None and section.destination not in self.destination:
                known = ", ".join(sorted(self.destination)) or "none"
                raise ValueError(f"purpose.{name}.destination: no [destination.{section.destination}] (known: {known})")
        for name, section in self.purpose.items():
            if section.redact and self.scribe.engine == "none" and ArtifactKind.AUDIO in section.artifacts:
                raise ValueError(
                    f'purpose.{name}.redact: audio is silenced by its transcript, and scribe.engine is "none"'
                )
        for name in self.purpose:
            if hidden := sorted(self.redaction(name).hidden & NAMED):
                self._check_named(name, hidden[0])
        live = sorted(name for name, section in self.purpose.items() if section.live)
        if len(live) > 1:
            raise ValueError(f"purpose.{live[1]}.live: {live[0]} is live already, and one at most may be")
        if self.guard.enabled and not live:
            raise ValueError("guard.enabled: it hears what a live purpose hears, and no purpose says live = true")
        for name, page in self.context.items():
            for purpose in sorted(set(page.purposes) - set(self.purpose)):
                raise ValueError(f"context.{name}.purposes: no [purpose.{purpose}]")
        check_feed(self.puller, self.webhook, self.purpose, self.desk)
        return self

    def _check_named(self, name: str, kind: str) -> None:
        """A purpose hides what only a model finds."""
        if not self.names.models:
            raise ValueError(f"purpose.{name}.redact: {kind} takes a model that finds it: names.models says none")
        if self.purpose[name].live:
            raise ValueError(f"purpose.{name}.redact: {kind} is found in whole sentences only, and never in live text")

    def redaction(self, name: str) -> Policy:
        """What a purpose hides."""
        section = self.purpose[name]
        if self.scribe.engine == "none" and section.redact is None:
            return NO_REDACTION
        return section.redaction(name, has_names=bool(self.names.models))

    @property
    def source(self) -> Path | None:
        """The file it was read from."""
        return self._source

    def read_from(self, source: Path) -> Self:
        """Itself, knowing the file it was read from."""
        self._source = source
        return self

    @property
    def capture_dir(self) -> Path:
        """Segments of the capture log."""
        return self.site.state_dir / "capture"

    @property
    def kept_dir(self) -> Path:
        """Records of finalised calls that may still be corrected, one folder each, encrypted as they were."""
        return self.capture_dir / "kept"

    @property
    def callkeys_dir(self) -> Path:
        """Wrapped call keys, one small file each."""
        return self.site.state_dir / "callkeys"

    @property
    def identities_dir(self) -> Path:
        """Working identities; no business of any process but the scribe."""
        return self.site.state_dir / "identities"

    @property
    def recipient_file(self) -> Path:
        """The recipient that new call keys are wrapped to: public, published by the scribe for the recorder."""
        return self.site.state_dir / "recipient" / "current.txt"

    @property
    def outbox_dir(self) -> Path:
        """Artifacts, one folder a purpose."""
        return self.site.state_dir / "outbox"

    @property
    def search_dir(self) -> Path:
        """Encrypted shards of the search index, one folder a purpose."""
        return self.site.state_dir / "search"

    @property
    def searchkeys_dir(self) -> Path:
        """The keys of these shards; may be a mount of its own."""
        return self.site.state_dir / "searchkeys"

    @property
    def lists_dir(self) -> Path:
        """Numbers that are never recorded, as keyed hashes."""
        return self.site.state_dir / "lists"

    @property
    def persons_dir(self) -> Path:
        """Signed records of what persons asked for, and letters to them."""
        return self.site.state_dir / "persons"

    @property
    def journal_dir(self) -> Path:
        """Hash chains, one file a process, and their checkpoints."""
        return self.site.state_dir / "journal"

    @property
    def models_dir(self) -> Path:
        """Speech models, one folder each."""
        return self.site.state_dir / "models"

    @property
    def pulled(self) -> tuple[str, ...]:
        """Destinations that nothing is sent to: central systems fetch (docs/feed.md)."""
        return tuple(name for name, section in self.destination.items() if isinstance(section, PullSection))

    @property
    def catalog_path(self) -> Path:
        """The catalog."""
        return self.site.state_dir / "catalog.sqlite3"

    @property
    def directory_path(self) -> Path:
        """Agents, extensions and tokens; the desk may only read it."""
        return self.site.state_dir / "directory.sqlite3"

    @property
    def last_use_path(self) -> Path:
        """When each token was last used: the desk's own file."""
        return self.site.state_dir / "desk" / "last-use.sqlite3"

    @property
    def desk_tls_dir(self) -> Path:
        """Where the desk keeps the certificate that it made for itself, and its key."""
        return self.site.keys_dir / "desk"

    @property
    def receipt_key_path(self) -> Path:
        """The desk's own key for custody receipts; its public part lies beside it."""
        return self.site.state_dir / "desk" / "receipt.pem"

    @property
    def receipt_certificate_path(self) -> Path:
        """The site's word for that key, by the scribe."""
        return self.site.state_dir / "receipt" / "certificate.json"

    @property
    def courier_socket(self) -> Path:
        """Where the courier hands artifacts over to the feed; beside `run_dir`, for it sees nobody else's socket."""
        return self.site.run_dir.with_name(f"{self.site.run_dir.name}-courier") / "courier.sock"

    @property
    def recorder_socket(self) -> Path:
        """The recorder's control socket."""
        return self.site.run_dir / "recorder.sock"

    @property
    def scribe_socket(self) -> Path:
        """The scribe's control socket: live text, and how it copes."""
        return self.site.run_dir / "scribe.sock"

    @property
    def live_socket(self) -> Path:
        """Where the recorder hands on the sound of live calls (docs/live-audio.md)."""
        return self.site.run_dir / "live.sock"

    def is_stamped(self, purpose: str) -> bool:
        """Whether manifests of the purpose are to have a timestamp."""
        said = self.purpose[purpose].timestamp
        return self.timestamp is not None and (purpose == "evidence" if said is None else said)

    def purposes(self) -> tuple[Purpose, ...]:
        """The purposes as model values, recipients read from their files (OSError, ValueError if unreadable)."""
        return tuple(
            Purpose(
                name=name,
                trigger=p.trigger,
                artifacts=p.artifacts,
                recipients=read_recipients(p.recipients_file) if p.recipients_file else (),
                destination=p.destination,
                percent=p.percent,
                stratify=p.stratify,
                keep_from=p.keep_from,
                when=p.when.condition(),
                audio_format=p.audio_format,
                pseudonymise=p.pseudonymise,
                keys=p.keys,
                local_retention_s=p.local_retention,
                central_retention_s=p.central_retention,
                basis=p.basis,
                consent=p.consent,
                withdrawable=p.may_be_withdrawn,
                holdback_s=p.holdback_s,
                paused_sound=p.paused_sound,
                live=p.live,
                subtitles=p.subtitles,
                searchable=p.searchable,
                timestamp=self.is_stamped(name),
                redaction=self.redaction(name),
            )
            for name, p in self.purpose.items()
        )
