"""The index page of a person's archive: each call, why it was recorded, until when, who received it. Pure.

One file of HTML without scripts, styles of others or links to anywhere but the archive.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol
from zoneinfo import ZoneInfo

from agent.config.purposes import PurposeSection
from agent.model.person import PersonRequest
from agent.retain.dossier import CallDossier
from agent.retain.words import FRENCH, Words

DAY_S = 86_400
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{border:1px solid #bbb;padding:.3rem .6rem;
text-align:left;vertical-align:top}th{background:#f0f0f0}h2{margin-top:2.5rem;border-top:2px solid #333;padding-top:
1rem}@media print{h2{break-before:auto}tr{break-inside:avoid}}"""


class Named(Protocol):
    """What the archive has of an artifact: its name there, or why it has not."""

    @property
    def name(self) -> str:
        """Empty where it is not in the archive."""

    @property
    def why(self) -> str:
        """In English words."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is the same for all calls. `opted_out`: whether the number is on the opt-out list."""

    site: str
    controller: str
    contact: str
    zone: ZoneInfo
    purposes: Mapping[str, PurposeSection]
    request: PersonRequest
    earlier: Sequence[PersonRequest]
    opted_out: bool
    now_ns: int


def page(calls: Sequence[CallDossier], facts: Facts, names: Mapping[str, Named], words: Words) -> str:
    """The whole page in one language."""
    other = "index.en.html" if words.language == FRENCH else "index.html"
    title = words.say("What is kept about you")
    return "".join(
        [
            f'<!DOCTYPE html><html lang="{words.language}"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f'<p><a href="{other}">{"English" if words.language == FRENCH else "Français"}</a></p>',
            f"<h1>{escape(title)}</h1>",
            *_intro(facts, words),
            *_purposes(calls, facts, words),
            *(part for call in calls for part in _call(call, names, words)),
            "</body></html>",
        ]
    )


def _intro(facts: Facts, words: Words) -> Iterator[str]:
    text = (
        "This archive holds what this recording system keeps about calls in which your telephone number took part. "
        "It holds your own voice and your own words; those of the other parties are theirs and are not in it "
        "(GDPR art. 15 (4))."
    )
    yield f"<p>{escape(words.say(text))}</p>"
    request = facts.request.reference or f"{facts.site}/{facts.request.number}"
    rows = [
        (words.say("Controller"), facts.controller or "–"),
        (words.say("Contact"), facts.contact or "–"),
        (words.say("Your request"), request),
        (words.say("As of"), words.at(facts.now_ns)),
        (
            words.say("The number is on the list of those whose calls are not recorded"),
            words.say("yes" if facts.opted_out else "no"),
        ),
    ]
    if facts.earlier:
        asked = ", ".join(f"{words.at(one.at_ns)} ({one.right})" for one in facts.earlier)
        rows.append((words.say("Requests so far"), asked))
    yield _table((), rows)
    rights = (
        "You may ask for rectification, erasure or restriction, object, and complain to the supervisory authority (in "
        "France: CNIL, www.cnil.fr)."
    )
    yield f"<p>{escape(words.say(rights))} "
    yield f"{escape(words.say('No decision about you is taken by automatic means alone.'))}</p>"


def _purposes(calls: Sequence[CallDossier], facts: Facts, words: Words) -> Iterator[str]:
    used = sorted({name for call in calls for name in call.purposes(facts.purposes)})
    if not used:
        return
    yield f"<h2>{escape(words.say('Purposes'))}</h2>"
    heads = ("Purpose", "Basis", "Received by", "Kept here", "Kept at the centre")
    rows = []
    for name in used:
        section = facts.purposes.get(name)
        if section is None:
            rows.append((words.say(name), "–", "–", "–", "–"))
            continue
        to = section.destination or words.say("nobody outside this site")
        rows.append(
            (
                words.say(name),
                words.say(section.basis) or "–",
                to,
                f"{section.local_retention / DAY_S:g} {words.say('days')}",
                f"{section.central_retention / DAY_S:g} {words.say('days')}" if section.central_retention else "–",
            )
        )
    yield _table([words.say(head) for head in heads], rows)


def _call(call: CallDossier, names: Mapping[str, Named], words: Words) -> Iterator[str]:
    row = call.call
    yield f"<h2>{escape(words.say('Call'))} {escape(words.at(row.started_ns))}</h2>"
    facts = [
        (words.say("Call"), row.call_id),
        (words.say("Duration"), f"{row.duration_samples / 8000:.0f} s"),
        (words.say("Direction"), words.say(row.direction)),
        (words.say("You were"), ", ".join(words.say(role) for role in call.roles)),
    ]
    if row.queue:
        facts.append((words.say("Queue"), row.queue))
    if call.restricted:
        facts.append((words.say("Use is restricted"), words.say("yes")))
    why = dict.fromkeys(f"{words.say(d.purpose)}: {d.rule}" for d in call.decisions if d.applies)
    facts.append((words.say("Why it was recorded"), "; ".join(why) or "–"))
    if consent := ", ".join(f"{said.consent.value} ({words.at(said.at_ns)})" for said in call.contexts):
        facts.append((words.say("Consent"), consent))
    pauses = [f"{words.say(m.purpose)} {m.verb} {m.since_samples / 8000:.1f} s" for m in call.marks
              if m.verb in ("pause", "resume", "limit")]  # fmt: skip
    if pauses:
        facts.append((words.say("Pauses"), ", ".join(pauses)))
    if call.key_until_ns is not None:
        label = words.say("An encrypted capture of the call is kept until")
        facts.append((label, words.at(call.key_until_ns)))
    yield _table((), facts)
    heads = [words.say(h) for h in ("Purpose", "What there is", "Received by", "Sent on", "Goes on", "File")]
    yield _table(heads, _artifacts(call, names, words), links=True)


def _artifacts(call: CallDossier, names: Mapping[str, Named], words: Words) -> Iterator[tuple[str, ...]]:
    for purpose in sorted({p.artifact.purpose for p in call.places}):
        for place in call.kept(purpose):
            artifact, enclosed = place.artifact, names[place.artifact.path]
            why = f"{words.say('not in this archive')}: {words.say(enclosed.why)}"
            yield (
                words.say(purpose),
                words.say(artifact.kind.value),
                (artifact.destination or "–") if place.left else "–",
                words.at(place.sent_ns),
                words.day(call.until_ns(purpose)),
                enclosed.name or why,
            )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, links: bool = False) -> str:
    """Rows of text; without `heads` the first cell of each is its head."""
    parts = ["<table>"]
    if heads:
        parts.append("<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>")
    for row in rows:
        first = "td" if heads else "th"
        cells = [escape(cell) for cell in row]
        if links and row[-1].startswith("calls/"):
            cells[-1] = f'<a href="{cells[-1]}">{cells[-1].rsplit("/", 1)[-1]}</a>'
        parts.append(f"<tr><{first}>{cells[0]}</{first}>" + "".join(f"<td>{cell}</td>" for cell in cells[1:]) + "</tr>")
    return "".join(parts) + "</table>"
