"""The control map: for each clause of a standard what answers it here, and what shows that it does.

Evidence is a setting (its value in force is shown), a test of this version (named as `file#test`), or kinds of lines of
the journal (how many there are, and the newest). A row says what the product does; whether a site does what a standard
asks is for its assessor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.config import Settings
from agent.store.journal import JournalLine

ISO, PRIVACY, PCI, GDPR = "ISO/IEC 27001:2022 Annex A", "ISO/IEC 27701:2019", "PCI DSS 4.0", "GDPR"


@dataclass(frozen=True, slots=True)
class Control:
    """`what` is a key of `agent.compliance.words`. `settings` are dotted names, `*` for each of a kind."""

    standard: str
    clause: str
    what: str
    settings: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A control with its evidence as it is now: values of settings, and of the journal how many lines and the newest
    (UTC ns; None: none yet)."""

    control: Control
    values: Mapping[str, str]
    lines: int
    last_ns: int | None


_READERS = (
    "tests/system/test_s30_by_purpose.py"
    "#test_s30_each_destination_receives_what_its_purpose_permits_and_nobody_else_opens_it"
)
_NOWHERE = "tests/recorder/test_never_written.py#test_what_was_said_in_a_pause_is_nowhere"
_FORGOTTEN = (
    "tests/system/test_retention.py"
    "#test_s34_what_is_due_is_gone_with_signed_lines_what_is_held_stays_and_nothing_goes_early"
)
_NAMED = "tests/system/test_seal.py#test_s37_a_changed_byte_is_named_wherever_it_is"
_CARD = "tests/system/test_card.py#test_s21_a_spoken_card_number_is_masked_silenced_and_never_told_where_it_may_not_be"
_HIDES = "tests/scribe/test_redaction.py#test_each_purpose_hides_what_it_must_and_nothing_else"
_DIGESTS = "tests/store/test_directory.py#test_a_token_is_shown_once_and_stored_only_as_a_digest"
_ACCESS = (
    "tests/system/test_persons.py#test_s36_one_archive_has_all_that_is_kept_about_a_person_and_nothing_about_others"
)
_ERASED = (
    "tests/system/test_persons.py"
    "#test_s35_what_waits_never_leaves_what_left_is_called_back_what_the_law_demands_is_listed"
)
_OPTED = (
    "tests/system/test_reload.py"
    "#test_s17_calls_of_protected_and_opted_out_numbers_are_not_recorded_and_nothing_names_them"
)
_TLS = "tests/desk/test_tls.py#test_beyond_loopback_the_desk_encrypts_by_itself"
_CLOCK = "tests/retain/test_clock.py#test_however_the_clock_jumps_it_is_never_believed_early"
_CHAIN = "tests/vault/test_sitekeys.py#test_what_old_keys_signed_stays_good_and_every_key_leads_to_all"
_LOCK = "tests/forward/test_s3_gateway.py#test_s33_a_locked_object_carries_its_date_and_cannot_be_deleted_before"
_PSEUDONYMS = "tests/scribe/test_calls.py#test_pseudonymised_purposes_learn_no_number_and_no_name"

CONTROLS = (
    Control(ISO, "5.15", "access", ("desk.host",), (_DIGESTS,), ("token.added", "agents.added", "refused")),
    Control(ISO, "5.18", "revoked", (), (), ("token.revoked", "agents.removed", "reader.revoked")),
    Control(ISO, "5.28", "evidence", ("timestamp.url",), (_NAMED,), ("timestamped",)),
    Control(ISO, "5.31", "basis", ("purpose.*.basis",)),
    Control(ISO, "5.33", "records", ("destination.*.object_lock",), (_NAMED, _LOCK), ("hold", "hold.lifted")),
    Control(ISO, "5.34", "privacy", ("purpose.*.pseudonymise",), (_PSEUDONYMS, _HIDES)),
    Control(ISO, "8.3", "readers", ("purpose.*.recipients_file",), (_READERS,), ("readers",)),
    Control(
        ISO, "8.10", "forgotten", ("purpose.*.local_retention",), (_FORGOTTEN,), ("local.deleted", "central.deleted")
    ),
    Control(ISO, "8.11", "masked", ("purpose.*.redact",), (_CARD,), ("masked",)),
    Control(ISO, "8.15", "journal", (), (_NAMED,), ("decision", "gate")),
    Control(ISO, "8.17", "clock", ("retention.clock_doubt",), (_CLOCK,), ("clock.doubted", "clock.confirmed")),
    Control(ISO, "8.20", "network", ("siprec.srtp", "desk.host"), (_TLS,)),
    Control(ISO, "8.24", "cryptography", (), (_CHAIN,), ("site_key.rotated", "identity.rotated", "callkey.destroyed")),
    Control(PRIVACY, "7.2.2", "basis", ("purpose.*.basis",)),
    Control(PRIVACY, "7.2.8", "register"),
    Control(PRIVACY, "7.3.4", "consent", ("purpose.*.consent", "purpose.*.withdrawable"), (), ("dropped", "context")),
    Control(PRIVACY, "7.3.5", "objection", (), (_OPTED,), ("person.object", "list.added")),
    Control(PRIVACY, "7.3.6", "erasure", (), (_ERASED,), ("person.erase", "person.restrict")),
    Control(PRIVACY, "7.3.8", "copy", (), (_ACCESS,), ("person.access",)),
    Control(PRIVACY, "7.4.1", "limited", ("purpose.*.trigger", "purpose.*.percent"), (), ("decision",)),
    Control(PRIVACY, "7.4.5", "forgotten", ("purpose.*.central_retention",), (_FORGOTTEN,), ("central.deleted",)),
    Control(PRIVACY, "7.4.7", "retention", ("purpose.*.local_retention", "purpose.*.central_retention")),
    Control(PRIVACY, "7.4.9", "delivery", ("purpose.*.destination",), (_READERS,), ("delivered",)),
    Control(PCI, "3.3.1", "pause", ("pause.limit_s", "guard.enabled"), (_NOWHERE, _CARD), ("gate", "masked")),
    Control(PCI, "3.3.1.2", "code", ("purpose.*.redact",), (_NOWHERE, _HIDES), ("gate",)),
    Control(PCI, "3.3.2", "sealed", (), (_READERS,), ("callkey.destroyed",)),
    Control(GDPR, "art. 18", "restriction", ("retention.two_person",), (), ("person.restrict", "person.lift")),
    Control(GDPR, "art. 30", "register", ("persons.controller", "persons.contact")),
)


def shown(settings: Settings, lines: Iterable[JournalLine]) -> list[Shown]:
    """Every control with its evidence."""
    count: dict[str, int] = {}
    last: dict[str, int] = {}
    for line in lines:
        count[line.kind] = count.get(line.kind, 0) + 1
        last[line.kind] = max(last.get(line.kind, 0), line.at_ns)
    return [
        Shown(
            one,
            {name: value for dotted in one.settings for name, value in values_of(settings, dotted)},
            sum(count.get(kind, 0) for kind in one.kinds),
            max((last[kind] for kind in one.kinds if kind in last), default=None),
        )
        for one in CONTROLS
    ]


def values_of(settings: Settings, dotted: str) -> list[tuple[str, str]]:
    """A setting by its name, or with `*` that of each section of its kind; what a section does not have is left out."""
    found: list[tuple[str, object]] = [("", settings)]
    for part in dotted.split("."):
        found = [
            (f"{name}.{key}".lstrip("."), below)
            for name, value in found
            for key, below in (_items(value) if part == "*" else [(part, _below(value, part))])
        ]
    return [(name, _said(value)) for name, value in found if value is not _ABSENT]


_ABSENT = object()


def _items(value: object) -> list[tuple[str, object]]:
    return [(str(key), below) for key, below in value.items()] if isinstance(value, Mapping) else []


def _below(value: object, part: str) -> object:
    if value is None or value is _ABSENT:
        return value
    return value.get(part, _ABSENT) if isinstance(value, Mapping) else getattr(value, part, _ABSENT)


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{getattr(k, 'value', k)}: {getattr(v, 'value', v)}" for k, v in value.items())
    return "–" if value in (None, "", ()) else str(getattr(value, "value", value))
