"""The evidence report as one HTML page, complete in itself: no script, nothing fetched, printed on one sheet of A4."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from agent.evidence.facts import Facts, Span
from agent.evidence.html import Html, document, element, joined
from agent.evidence.picture import clock, timeline
from agent.evidence.words import WORDS, Language
from agent.store.proof import Proof, ahead_s
from agent.store.report import Problem

MOST_ROWS = 7
"""Of a table, and of deviations: the page stays one page."""
_OF_A_CALL = re.compile(r"/([0-9a-f]{32})\b")
_STYLE = """
@page { size: A4; margin: 11mm 13mm }
* { box-sizing: border-box }
body { font: 9pt/1.28 "Liberation Sans", "Helvetica Neue", Arial, sans-serif; color: #1a1a1a }
body { max-width: 186mm; margin: 6mm auto } @media print { body { margin: 0 } }
h1 { font-size: 14pt; margin: 0 }
h2 { font-size: 10pt; margin: 3mm 0 1mm; border-bottom: .3mm solid #999; padding-bottom: .6mm }
p { margin: 1mm 0 }
.small, caption { font-size: 8pt; color: #444; text-align: left }
.verdict { border: .6mm solid; padding: 2mm 3mm; margin: 2.5mm 0; break-inside: avoid }
.verdict b { font-size: 13pt; letter-spacing: .04em }
.good { border-color: #1b6e3c; background: #eef7f1 } .good b { color: #1b6e3c }
.part { border-color: #8a6d00; background: #fdf8e4 } .part b { color: #8a6d00 }
.bad { border-color: #b00020; background: #fdeef0 } .bad b { color: #b00020 }
.verdict ul { margin: 1mm 0 0; padding-left: 5mm; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-size: 8.2pt }
th { text-align: left; font-weight: 600; vertical-align: top; padding: .4mm 3mm .4mm 0 }
td { vertical-align: top; padding: .4mm 3mm .4mm 0; overflow-wrap: anywhere }
.facts th { width: 40mm; color: #444 }
code { font: 6.6pt "Liberation Mono", "Courier New", monospace }
svg { width: 100%; height: auto; display: block; margin-top: 1mm }
.lane { font: 13px sans-serif; fill: #333 } .tick { font: 11px sans-serif; fill: #555; text-anchor: middle }
.number { font: bold 12px sans-serif; fill: #b00020; text-anchor: middle }
.zero { stroke: #ccc } .axis { stroke: #777 }
.absent { fill: url(#hatch); stroke: #b00020 } .gap { fill: #d9d9d9; stroke: #777; opacity: .8 }
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What the page is about: facts, proof, deviations; the sound where it was opened; whose public key, made when."""

    facts: Facts
    proof: Proof | None
    problems: Sequence[Problem]
    peaks: npt.NDArray[np.float32] | None
    key_sha256: str
    made_ns: int


def page(case: Case, language: Language) -> str:
    """The document."""
    w = WORDS[language]
    title = w["title"]
    parts = [
        element("h1", title),
        element("p", w["made"].format(at=_utc(case.made_ns)), class_="small"),
        _verdict(case, w),
        _facts(case.facts, w),
        *_picture(case, w),
        *_files(case.facts, w),
        *_chain(case, w),
        element("h2", w["reading"]),
        element("p", w["reading_is"], class_="small"),
    ]
    return document(f"{title} – {case.facts.call}", _STYLE, language.value, *parts)


def concerns(problem: Problem, call_id: str) -> bool:
    """Whether a deviation touches this call: its own files, or the journal that vouches for them."""
    found = _OF_A_CALL.search(problem.where)
    return found is None or found[1] == call_id


def _verdict(case: Case, w: Mapping[str, str]) -> Html:
    mine = [p for p in case.problems if concerns(p, case.facts.call)]
    elsewhere = len(case.problems) - len(mine)
    said = [element("p", w["says_elsewhere"].format(count=elsewhere), class_="small")] if elsewhere else []
    if mine:
        rows = [element("li", f"{p.where}: {p.what}") for p in mine[:MOST_ROWS]]
        if len(mine) > MOST_ROWS:
            rows.append(element("li", w["more"].format(count=len(mine) - MOST_ROWS)))
        words = w["says_altered"].format(count=len(mine))
        return element(
            "div", element("b", w["altered"]), element("p", words), element("ul", *rows), *said, class_="verdict bad"
        )
    key, class_ = ("intact", "verdict good") if case.facts.sealed else ("partial", "verdict part")
    reason = "says_alone" if case.facts.sealed and (case.proof is None or case.proof.line is None) else f"says_{key}"
    return element("div", element("b", w[key]), element("p", w[reason]), *said, class_=class_)


def _facts(facts: Facts, w: Mapping[str, str]) -> Html:
    parties = ", ".join(
        f"{ref} {w.get(role, role)}" + ("" if channel is None else f" ({w['channel'].format(number=channel + 1)})")
        for ref, role, channel in facts.parties
    )
    models = "; ".join(f"{engine}, {model}{f', SHA-256 {sha}' if sha else ''}" for engine, model, sha in facts.models)
    rows = (
        ("call", facts.call),
        ("site", facts.site),
        ("purpose", f"{facts.purpose}{f' ({facts.basis})' if facts.basis else ''}"),
        ("when", f"{_utc(facts.started_ns)} – {_utc(facts.ended_ns)}"),
        ("duration", clock(facts.duration_s)),
        ("parties", parties),
        ("rule", "; ".join(dict.fromkeys(facts.rules))),
        ("models", models),
    )
    return element("table", *(_row(w[name], value) for name, value in rows if value), class_="facts")


def _picture(case: Case, w: Mapping[str, str]) -> list[Html]:
    facts = case.facts
    marked = _most_telling(facts.spans)
    count = max([1, *(c + 1 for _, _, c in facts.parties if c is not None)])
    if case.peaks is not None:
        count = max(count, len(case.peaks))
    lanes = [_lane(facts, number, w) for number in range(count)]
    parts = [element("h2", w["picture"]), timeline(facts, case.peaks, lanes, marked, w["picture"])]
    if case.peaks is None:
        parts.append(element("p", w["closed"], class_="small"))
    if not facts.spans:
        return [*parts, element("p", w["nothing_absent"])]
    heads = [element("th", w[name]) for name in ("number", "from_to", "what", "by", "why")]
    rows = [element("tr", *heads), *(_absence(n, span, w) for n, span in enumerate(marked, 1))]
    if len(facts.spans) > len(marked):
        rows.append(element("tr", element("td", w["more"].format(count=len(facts.spans) - len(marked)), colspan=5)))
    return [*parts, element("p", w["caption"], class_="small"), element("table", *rows)]


def _lane(facts: Facts, number: int, w: Mapping[str, str]) -> str:
    roles = [w.get(role, role) for _, role, channel in facts.parties if channel == number]
    return f"{number + 1} {roles[0]}" if roles else w["channel"].format(number=number + 1)


def _most_telling(spans: Sequence[Span]) -> list[Span]:
    """What people decided before what the network lost, longest first; then in order of time."""
    ranked = sorted(spans, key=lambda s: (s.verb == "gap", -((s.to_s or s.from_s) - s.from_s)))
    return sorted(ranked[:MOST_ROWS], key=lambda s: s.from_s)


def _absence(number: int, span: Span, w: Mapping[str, str]) -> Html:
    to = "…" if span.to_s is None else clock(span.to_s)
    what = w["forgotten"] if span.forgotten else w.get(span.verb, span.verb)
    if span.channel is not None:
        what = f"{what} ({w['channel'].format(number=span.channel + 1)})"
    return element(
        "tr", *(element("td", c) for c in (str(number), f"{clock(span.from_s)} – {to}", what, span.actor, span.reason))
    )


def _files(facts: Facts, w: Mapping[str, str]) -> list[Html]:
    rows = [element("tr", element("th", w["kind"]), element("th", w["size"]), element("th", "SHA-256"))]
    for f in facts.files[:MOST_ROWS]:
        digests = joined(
            f"{w['plain']} ",
            element("code", f.plain_sha256),
            Html("<br>"),
            f"{w['cipher']} ",
            element("code", f.cipher_sha256),
        )
        rows.append(
            element(
                "tr", element("td", w.get(f.kind, f.kind)), element("td", str(f.size_bytes)), element("td", digests)
            )
        )
    if len(facts.files) > MOST_ROWS:
        rows.append(element("tr", element("td", w["more"].format(count=len(facts.files) - MOST_ROWS), colspan=3)))
    return [element("h2", w["files"]), element("table", *rows)] if facts.files else []


def _chain(case: Case, w: Mapping[str, str]) -> list[Html]:
    proof, made_ns = case.proof, case.facts.made_ns
    signed = w["signed_is"] if case.facts.sealed else w["signed_closed"]
    rows = [("signed", signed.format(key=case.key_sha256, at=_utc(made_ns)))]
    if proof is not None:
        if (p := proof.follows) is not None:
            rows.append(("follows", w["follows_is"].format(seq=p.seq, process=p.process, hash=p.hash[:16])))
        line = proof.line
        rows.append(("line", w["line_is"].format(process=line[0], seq=line[1]) if line else w["line_none"]))
        seal = proof.seal
        rows.append(("seal", w["seal_is"].format(seq=seal.seq, at=_utc(seal.at_ns)) if seal else w["seal_none"]))
        if proof.seal_stamp is not None:
            seq, by = proof.seal_stamp
            rows.append(("seal_stamp", w["seal_stamp_is"].format(seq=seq, at=_utc(by.at_ns), authority=by.authority)))
        stamp = w["stamp_none"]
        if (s := proof.stamp) is not None:
            of = {"at": _utc(s.at_ns), "accuracy": f"{s.accuracy_s:g}", "authority": s.authority}
            stamp = w["stamp_is"].format(**of, policy=s.policy, serial=s.serial)
        rows.append(("stamp", stamp))
        if (ahead := ahead_s(made_ns, proof.stamp)) > 0:
            rows.append(("clock", w["clock_ahead"].format(seconds=math.ceil(ahead))))
    return [element("h2", w["chain"]), element("table", *(_row(w[name], said) for name, said in rows), class_="facts")]


def _row(name: str, value: str) -> Html:
    return element("tr", element("th", name), element("td", value))


def _utc(ns: int | None) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") if ns else "–"
