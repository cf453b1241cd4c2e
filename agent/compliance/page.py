"""The register as one HTML page, complete in itself: no script, nothing fetched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.compliance.accesses import Access
from agent.compliance.controls import Shown
from agent.compliance.register import DAY_S, Processing
from agent.compliance.words import WORDS, Language
from agent.evidence.html import Html, document, element

_STYLE = """
@page { size: A4; margin: 12mm 14mm }
body { font: 9.5pt/1.35 "Liberation Sans", "Helvetica Neue", Arial, sans-serif; color: #1a1a1a }
body { max-width: 190mm; margin: 8mm auto }
h1 { font-size: 15pt } h2 { font-size: 11.5pt; margin-top: 7mm; border-bottom: .3mm solid #999 }
h3 { margin: 4mm 0 1mm }
table { border-collapse: collapse; width: 100%; margin: 1mm 0 3mm } .small { color: #444; font-size: 8.5pt }
th, td { text-align: left; vertical-align: top; padding: .7mm 3mm .7mm 0; overflow-wrap: anywhere }
td { border-bottom: .1mm solid #ddd }
.facts th { width: 48mm; font-weight: 600; color: #444 } code { font: 7.5pt "Liberation Mono", monospace }
"""


_YEAR_S = DAY_S * 1461 // 4
_UNITS = {"years": _YEAR_S, "months": _YEAR_S // 12, "days": DAY_S, "hours": 3600}
"""Seconds, as the configuration counts them (`agent.config.section`)."""


@dataclass(frozen=True, slots=True)
class Register:
    """What the page shows; times in UTC ns."""

    site: str
    controller: str
    contact: str
    made_ns: int
    since_ns: int
    processings: Sequence[Processing]
    accesses: Sequence[Access]
    controls: Sequence[Shown]


def page(register: Register, language: Language) -> str:
    """The document."""
    w = WORDS[language]
    return document(
        f"{w['title']} – {register.site}",
        _STYLE,
        language.value,
        element("h1", w["title"]),
        element("p", w["made"].format(at=_utc(register.made_ns), site=register.site), class_="small"),
        _facts(
            [(w["controller"], register.controller or w["unsaid"]), (w["contact"], register.contact or w["unsaid"])]
        ),
        element("h2", w["processings"]),
        *(part for one in register.processings for part in _record(one, w)),
        element("p", w["transfers"], class_="small"),
        element("p", w["security"], class_="small"),
        element("h2", w["retention"]),
        _retention(register.processings, w),
        element("h2", w["accesses"].format(since=_utc(register.since_ns)[:10])),
        _accesses(register.accesses, w),
        element("h2", w["controls"]),
        element("p", w["controls_are"], class_="small"),
        _controls(register.controls, w),
    )


def _record(one: Processing, w: Mapping[str, str]) -> Iterable[Html]:
    data = ", ".join(one.data) or w["nothing"]
    rows = [
        (w["basis"], one.basis or "–"),
        (w["trigger"], one.trigger),
        (w["people"], w["people_are"]),
        (w["data"], f"{data} ({w['pseudonymised']})" if one.pseudonymised and one.data else data),
    ]
    if one.hidden:
        rows.append((w["hidden"], ", ".join(one.hidden)))
    if one.data:
        rows += [(w["readers"], ", ".join(one.readers)), (w["to"], one.to or w["stays"])]
    said = [w[key] for key, true in (("consent", one.consent), ("withdrawable", one.withdrawable and one.data)) if true]
    return (element("h3", one.name), _facts(rows), *(element("p", text, class_="small") for text in said))


def _facts(rows: Sequence[tuple[str, str]]) -> Html:
    return element("table", *(element("tr", element("th", k), element("td", v)) for k, v in rows), class_="facts")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    head = element("tr", *(element("th", title) for title in titles))
    return element("table", head, *(element("tr", *(element("td", cell) for cell in row)) for row in rows))


def _retention(processings: Sequence[Processing], w: Mapping[str, str]) -> Html:
    def lasting(seconds: int) -> str:
        unit = next((name for name, one in _UNITS.items() if seconds % one == 0 and seconds), "hours")
        return w[unit].format(count=seconds / _UNITS[unit])

    rows = [
        (
            one.name,
            lasting(one.local_s),
            (lasting(one.central_s) if one.central_s else w["no_deadline"]) if one.to else w["stays"],
        )
        for one in processings
        if one.data
    ]
    return _table((w["purpose"], w["here"], w["centre"]), rows)


def _accesses(accesses: Sequence[Access], w: Mapping[str, str]) -> Html:
    if not accesses:
        return element("p", w["none"])
    rows = [(one.act, one.by, one.purpose, str(one.count), _utc(one.last_ns)) for one in accesses]
    return _table((w["act"], w["by"], w["purpose"], w["count"], w["last"]), rows)


def _controls(controls: Sequence[Shown], w: Mapping[str, str]) -> Html:
    rows = []
    for one in controls:
        lines = [w["setting"].format(name=name, value=value) for name, value in one.values.items()]
        lines += [w["test"].format(test=test) for test in one.control.tests]
        if one.control.kinds:
            kinds = ", ".join(one.control.kinds)
            at = None if one.last_ns is None else _utc(one.last_ns)
            lines.append(
                w["journal_none"].format(kinds=kinds)
                if at is None
                else w["journal"].format(kinds=kinds, count=one.lines, at=at)
            )
        evidence = [element("div", element("code", line)) for line in lines or [w["this"]]]
        rows.append(
            element(
                "tr",
                element("td", f"{one.control.standard}, {one.control.clause}"),
                element("td", w[f"c_{one.control.what}"]),
                element("td", *evidence),
            )
        )
    head = element("tr", *(element("th", w[key]) for key in ("clause", "measure", "shown_by")))
    return element("table", head, *rows)


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
