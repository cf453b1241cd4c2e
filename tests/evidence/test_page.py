"""The evidence report: both languages, everything escaped, the picture where it belongs, one sheet of paper."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from string import Formatter
from xml.etree import ElementTree

import numpy as np
import pytest
from chromium import agent_page

from agent.evidence.facts import Facts, File, Span, from_manifest
from agent.evidence.page import MOST_ROWS, Case, concerns, page
from agent.evidence.picture import COLUMNS, clock, timeline
from agent.evidence.waveform import NoSound, envelope
from agent.evidence.words import WORDS, Language
from agent.model.purpose import AudioFormat
from agent.scribe.audio import encode
from agent.store.journal import Position
from agent.store.proof import Proof
from agent.store.report import Problem
from agent.store.sealed import Seal
from agent.vault.timestamp import Stamp

CALL = "0192" + "0" * 28
HOSTILE = "<script>alert('x')</script>\"&"
AT = 1_790_000_000 * 10**9
STAMP = Stamp(AT + 5 * 10**9, 1.0, "CN=tsa", "1.2.3.4", 77)
FACTS = Facts(
    CALL, "evidence", True, AT, AT + 60 * 10**9, 60.0, "lyon-1", "contract", AT + 61 * 10**9,
    (("p1", "customer", 0), ("p2", "agent", 1)),
    (
        Span(10.0, 20.0, "pause", "agent:2001", HOSTILE), Span(30.5, 33.0, "pause", "agent:2001", "", None, True),
        Span(40.0, 41.0, "gap", channel=1),
    ),
    (),
    (File("audio", f"evidence/{CALL}.audio.flac.age", 12345, "a" * 64, "b" * 64),),
    ("trigger on_demand: armed, keeps from the start of the call",),
    (("faster-whisper", "small", "c" * 64),),
)  # fmt: skip
PROOF = Proof(
    f"evidence/{CALL}.manifest.json.age", True, Position("scribe", 41, "d" * 64), ("scribe", 42),
    Seal(7, AT + 70 * 10**9, "e" * 64, {"scribe": 44}), (8, STAMP), STAMP,
)  # fmt: skip


def case(**changed: object) -> Case:
    return replace(Case(FACTS, PROOF, [], np.full((2, COLUMNS), 0.25, np.float32), "f" * 64, AT), **changed)


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)}


def test_both_languages_say_the_same_things() -> None:
    french, english = WORDS[Language.FR], WORDS[Language.EN]
    assert list(french) == list(english)
    for name in french:
        assert fields(french[name]) == fields(english[name]), name


@pytest.mark.parametrize("language", Language)
def test_the_page_says_who_when_and_why_and_runs_nothing(language: Language) -> None:
    text = page(case(), language)
    assert text.count("<script") == 0 and "&lt;script&gt;" in text and f'lang="{language.value}"' in text
    assert "http" not in re.sub(r'xmlns="[^"]*"|http-equiv', "", text), "nothing is fetched"
    for said in (CALL, "lyon-1", "agent:2001", "0:10 – 0:20", "0:30.5 – 0:33", "CN=tsa", "a" * 64, "b" * 64, "f" * 64):
        assert said in text, said
    assert WORDS[language]["intact"] in text and WORDS[language]["forgotten"] in text
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    space = "{http://www.w3.org/2000/svg}"
    assert len(svg.findall(f"{space}polygon")) == 2 and len(svg.findall(f"{space}rect")) == 3


def test_whatever_comes_from_a_call_is_escaped() -> None:
    facts = replace(
        FACTS, site=HOSTILE, basis=HOSTILE, rules=(HOSTILE,), parties=((HOSTILE, HOSTILE, 0),),
        models=((HOSTILE, HOSTILE, HOSTILE),), files=(File(HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE),),
        spans=(Span(1, 2, HOSTILE, HOSTILE, HOSTILE, 0),),
    )  # fmt: skip
    proof = replace(PROOF, stamp=replace(STAMP, authority=HOSTILE))
    text = page(case(facts=facts, proof=proof, problems=[Problem(HOSTILE, HOSTILE)]), Language.EN)
    assert "<script" not in text and text.count("&lt;script&gt;") > 10


def test_the_verdict_follows_what_was_found() -> None:
    here, other = (
        Problem(f"evidence/{CALL}.audio.flac.age", "changed"),
        Problem(f"evidence/{'1' * 32}.x.age", "changed"),
    )
    line = Problem("scribe.jsonl line 4", "was changed")
    assert [concerns(p, CALL) for p in (here, other, line)] == [True, False, True]
    english = WORDS[Language.EN]
    assert english["altered"] in page(case(problems=[line]), Language.EN)
    text = page(case(problems=[other]), Language.EN)
    assert english["altered"] not in text and "1 deviation(s) concern other calls" in text
    assert english["says_alone"] in page(case(proof=None), Language.EN)
    text = page(case(problems=[here] * 30), Language.EN)
    assert text.count("<li>") == MOST_ROWS + 1 and f"{30 - MOST_ROWS} more" in text
    closed = replace(FACTS, sealed=False)
    text = page(case(facts=closed, peaks=None), Language.EN)
    assert english["partial"] in text and english["closed"] in text and english["says_intact"] not in text


def test_every_span_is_hatched_and_the_most_telling_are_numbered() -> None:
    gaps = tuple(Span(n * 2.0, n * 2.0 + 0.1 * n, "gap", channel=0) for n in range(1, 10))
    text = page(case(facts=replace(FACTS, spans=(*gaps, Span(55.0, 55.5, "pause", "agent:2001", "card")))), Language.EN)
    assert text.count('class="gap"') == 9 and text.count('class="absent"') == 1
    assert text.count('class="number"') == MOST_ROWS and "3 more" in text and "0:55 – 0:55.5" in text


def test_a_clock_that_was_ahead_of_the_authority_is_said() -> None:
    assert "at least 54 s ahead" in page(case(), Language.EN), "made at 61 s, existed at 5 ± 1 s, in whole seconds"
    late = replace(STAMP, at_ns=FACTS.made_ns - 2 * 10**9)
    assert "ahead" not in page(case(proof=replace(PROOF, stamp=late)), Language.EN)


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_the_picture_shows_each_channel_where_it_speaks(audio_format: AudioFormat) -> None:
    pcm = np.zeros((2, 80000), np.int16)
    tone = (np.sin(np.arange(80000) * 0.7) * 16000).astype(np.int16)
    pcm[0, 8000:16000], pcm[1, 40000:48000] = tone[:8000], tone[:8000]
    peaks = envelope(encode(pcm, 8000, audio_format), 10.0, 100)
    assert peaks.shape == (2, 100)
    assert np.all(peaks[0, 11:19] > 0.3) and np.all(peaks[1, 51:59] > 0.3)
    quiet = 0.3 if audio_format is AudioFormat.OPUS else 0.05  # it codes two channels together
    assert np.all(peaks[0, 21:] < quiet) and np.all(peaks[1, :49] < quiet)


def test_what_was_cut_out_keeps_its_place() -> None:
    pcm = np.full((1, 8 * 8000), 10000, np.int16)
    peaks = envelope(encode(pcm, 8000, AudioFormat.FLAC), 10.0, 100, [(3.0, 5.0)])
    assert np.all(peaks[0, :30] > 0.2) and np.all(peaks[0, 30:50] == 0) and np.all(peaks[0, 50:] > 0.2)


def test_what_is_no_recording_is_refused() -> None:
    for data in (b"", b"no", b"fLaC" + bytes(100)):
        with pytest.raises(NoSound):
            envelope(data, 1.0, 10)


def test_a_call_without_length_or_parties_has_a_page_too() -> None:
    facts = Facts(CALL, "evidence", False, AT, None, 0.0)
    assert CALL in page(case(facts=facts, proof=None, peaks=None), Language.FR)
    assert "0:00" in timeline(facts, None, ["1"], [], "x")
    assert [clock(s) for s in (0, 59.97, 61.25, 3600)] == ["0:00", "1:00", "1:01.2", "60:00"]


def test_a_manifest_that_is_none_is_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_manifest({"call": CALL})


@pytest.mark.slow
@pytest.mark.parametrize("language", Language)
def test_chromium_prints_it_on_one_sheet(language: Language, tmp_path: Path) -> None:
    spans = tuple(Span(n * 5.0, n * 5.0 + 3, "pause", "agent:2001", "card number read out") for n in range(20))
    kinds = ("audio", "transcript", "subtitles")
    files = tuple(File(kind, f"{CALL}.{kind}", 1 << 20, "a" * 64, "b" * 64) for kind in kinds)
    path = tmp_path / "report.html"
    path.write_text(page(case(facts=replace(FACTS, spans=spans, files=files, duration_s=110.0)), language))
    with agent_page(language.value) as browser:
        browser.driver.get(path.as_uri())
        assert browser.complaints() == []
        assert browser.find("svg").size["height"] > 50 and browser.run("return document.scripts.length") == 0
        pdf = base64.b64decode(browser.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        browser.driver.set_window_size(900, 1300)
        browser.driver.save_screenshot(str(tmp_path / "report.png"))
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
