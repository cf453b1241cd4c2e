"""Names in a whole call: hidden in every text and silent in sound of the purposes that must hide them, or no text."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from name_models import pipeline
from scripted_engine import ScriptEngine
from working import CALL, channels, greffier, lines, manifest, opened, run, settle, tones

from agent.config import ConfigError, load, parse
from agent.model.redaction import NAMED, SecretKind
from agent.model.text import Segment
from agent.scribe import engineroom
from agent.scribe.live import Live
from agent.scribe.loop import Scribe
from agent.store.rows import RewriteRow
from agent.transcribe.models import add

SAID = {
    0: [(1.0, "ici"), (1.5, "Jean"), (2.0, "Dupont,"), (2.5, "de"), (3.0, "Paris"), (6.0, "merci")],
    1: [(5.0, "bonjour"), (5.5, "Amélie")],
}
NAMES = '[names]\nmodels = ["small"]\n'


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The site finds an engine; how often it was asked to transcribe."""
    asked: list[int] = []

    class Counting(ScriptEngine):
        def transcribe(self, *a: object, **k: object) -> tuple[Segment, ...]:
            asked.append(1)
            return super().transcribe(*a, **k)  # type: ignore[arg-type]

    monkeypatch.setattr(engineroom, "load", lambda *_: Counting(SAID, "fr", 0.4))
    return asked


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline(tmp_path_factory.mktemp("names") / "small")


@pytest.fixture
def named_site(make_site, small: Path) -> Callable[..., object]:
    """A site whose purposes hide what is said here: `named_site(training='["name"]')`."""

    def make(
        *, model: Path | None = small, names: str = NAMES, language: str = "fr", limit_s: int = 3600, **redact: str
    ):
        site = make_site("auto", deferred_limit_s=limit_s, window="1 h")
        text = names + site.config.read_text().replace('language = "en"', f'language = "{language}"')
        for purpose, value in redact.items():
            text = text.replace(f"[purpose.{purpose}]\n", f"[purpose.{purpose}]\nredact = {value}\n")
        site.config.write_text(text)
        site.settings = load(site.config)
        if model is not None:
            add(model, site.settings.models_dir, "small")
        site.tape(CALL, tones(8), keep_at=0)
        return site

    return make


def text_of(site, purpose: str) -> list[str]:
    segments = json.loads(opened(site, f"{purpose}/transcript.json"))["segments"]
    return [" ".join(s["text"] for s in segments if s["channel"] == channel) for channel in (0, 1)]


def state(site, purpose: str) -> dict:
    told = [manifest(site, name) for name in site.outbox() if name.startswith(f"{purpose}/manifest")]
    return max(told, key=lambda one: one["version"])["transcript"]


def look_again(scribe: Scribe) -> None:
    scribe._finisher._names._next_look = 0.0
    scribe._finisher._not_before.clear()
    settle(scribe)


def given_up(scribe: Scribe) -> None:
    """After the tries that it takes."""
    for _ in range(4):
        scribe._finisher._not_before.clear()
        settle(scribe)
    assert not scribe.catalog.deferred()


@pytest.mark.usefixtures("heard")
def test_each_purpose_hides_the_names_that_it_must(named_site) -> None:
    pseudonym = '{ name = "pseudonymise", place = "mask", organisation = "mask" }'
    site = named_site(training='["name"]', analytics=pseudonym)
    run(site)
    assert text_of(site, "evidence") == ["ici Jean Dupont, de Paris merci", "bonjour Amélie"]
    assert text_of(site, "training") == ["ici [NOM] de Paris merci", "bonjour [NOM]"]
    first, second = text_of(site, "analytics")
    assert first.startswith("ici [NOM ") and first.endswith("] de [LIEU] merci") and "[NOM " in second
    for purpose in ("training", "analytics"):
        told = opened(site, f"{purpose}/subtitles.vtt").decode()
        told += json.dumps(manifest(site, f"{purpose}/manifest.json"))
        assert not {"Dupont", "Amélie"} & set(told.replace(",", " ").split()), purpose
    assert manifest(site, "training/manifest.json")["redaction"]["hidden"] == {"name": 2}
    assert manifest(site, "analytics/manifest.json")["redaction"]["pseudonymise"] == ["name"]


@pytest.mark.usefixtures("heard")
def test_the_sound_of_a_name_is_silent_on_the_channel_that_says_it(named_site) -> None:
    site = named_site(training='["name"]')
    text = site.config.read_text().replace('audio_format = "opus"', 'audio_format = "flac"')
    site.config.write_text(text)
    site.settings = load(site.config)
    run(site)
    whole, silent = channels(opened(site, "evidence/audio.flac")), channels(opened(site, "training/audio.flac"))
    assert np.abs(silent[0, int(1.4 * 8000) : int(2.5 * 8000)]).max() == 0
    for channel, a, b in ((0, 0.0, 0.4), (0, 3.6, 7.0), (1, 0.0, 4.4), (1, 7.0, 7.5)):
        kept = slice(int(a * 8000), int(b * 8000))
        assert np.array_equal(silent[channel, kept], whole[channel, kept]), (channel, a)
    assert np.abs(silent[1, 44000 : int(5.9 * 8000)]).max() == 0


@pytest.mark.usefixtures("heard")
def test_a_name_that_is_hidden_is_not_found_by_searching(named_site) -> None:
    site = named_site(analytics='["name"]')
    text = site.config.read_text().replace("[purpose.analytics]\n", "[purpose.analytics]\nsearchable = true\n")
    site.config.write_text(text)
    site.settings = load(site.config)
    run(site)
    assert CALL[:12] not in greffier(site, "search", "Dupont", "--purpose", "analytics")
    assert CALL[:12] in greffier(site, "search", "Paris", "--purpose", "analytics")


def test_without_its_model_a_purpose_gets_neither_text_nor_sound_and_the_others_do(named_site, small, heard) -> None:
    site = named_site(model=None, training='["name"]', analytics="[]")
    scribe = run(site)
    made = set(site.outbox())
    assert {"evidence/transcript.json", "evidence/audio.flac", "analytics/transcript.json"} <= made
    assert not any(name.startswith(("training/audio", "training/transcript", "training/subtitles")) for name in made)
    assert "no model of names is installed as small" in state(site, "training")["detail"]
    assert any("installed as small" in line.fields["reason"] for line in lines(site, "deferred"))
    asked = len(heard)
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert len(heard) == asked, "nothing is heard again in vain"
    add(small, site.settings.models_dir, "small")
    look_again(scribe)
    assert text_of(site, "training") == ["ici [NOM] de Paris merci", "bonjour [NOM]"]
    assert state(site, "training")["state"] == "done" and "training/audio.opus" in site.outbox()


@pytest.mark.usefixtures("heard")
def test_names_that_cannot_be_found_in_time_withhold_text_and_sound_for_good(named_site) -> None:
    site = named_site(model=None, training='["name"]', limit_s=0)
    scribe = run(site)
    given_up(scribe)
    told = state(site, "training")
    assert told["state"] == "given-up" and "installed as small" in told["detail"] and "withheld" in told["detail"]
    assert not any(name.startswith(("training/audio", "training/transcript")) for name in site.outbox())


def test_a_changed_model_is_not_used(named_site, heard) -> None:
    site = named_site(training='["name"]')
    (file,) = (site.settings.models_dir / "small").rglob("*.jsonl")
    file.write_text("")
    run(site)
    assert "files differ" in state(site, "training")["detail"] and "training/transcript.json" not in site.outbox()


def test_a_language_without_a_model_gets_no_text_and_is_not_heard_in_vain(named_site, heard) -> None:
    site = named_site(language="en", training='["name"]', analytics="[]")
    scribe = run(site)
    assert "language en" in state(site, "training")["detail"] and "training/transcript.json" not in site.outbox()
    assert "analytics/transcript.json" in site.outbox()
    asked = len(heard)
    scribe._finisher._not_before.clear()
    settle(scribe)
    assert len(heard) == asked


@pytest.mark.usefixtures("heard")
def test_the_language_that_is_heard_counts(named_site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engineroom, "load", lambda *_: ScriptEngine(SAID, "it", 0.4))
    site = named_site(training='["name"]')
    run(site)
    assert "language it" in state(site, "training")["detail"] and "training/transcript.json" not in site.outbox()


@pytest.mark.usefixtures("heard")
def test_what_was_withheld_can_be_written_once_there_is_a_model(named_site, small) -> None:
    site = named_site(model=None, analytics='["name"]', limit_s=0)
    scribe = run(site)
    given_up(scribe)
    for number, model in ((1, None), (2, small)):
        if model is not None:
            add(model, site.settings.models_dir, "small")
            scribe._finisher._names._next_look = 0.0
        scribe.catalog.rewrites.ask(RewriteRow(CALL, "", "cli:ann", time.time_ns()))
        settle(scribe)
        row = scribe.catalog.rewrites.numbered(number)
        assert row.state == ("refused" if model is None else "done"), row.detail
    assert "installed as small" in scribe.catalog.rewrites.numbered(1).detail
    (written,) = [name for name in site.outbox() if name.startswith("analytics/transcript-")]
    assert b"[NOM]" in opened(site, written) and b"Dupont" not in opened(site, written)


@pytest.mark.usefixtures("heard")
def test_analytics_hides_names_once_there_is_a_model_for_it(named_site) -> None:
    site = named_site()
    assert {p.name for p in site.settings.purposes() if SecretKind.NAME in p.redaction.mask} == {"analytics"}
    assert {p.name for p in named_site(names="").settings.purposes() if p.redaction.hidden & NAMED} == set()


def test_a_model_is_only_as_good_as_it_is_new(named_site, heard) -> None:
    """What is saved without a restart changes nothing of what is hidden."""
    site = named_site(training='["name"]')
    scribe = Scribe(site.settings, threading.Event())
    site.config.write_text(site.config.read_text().replace(NAMES, "").replace('redact = ["name"]\n', ""))
    scribe.purposes.refresh()
    hidden = {p.name: p.redaction.hidden for p in scribe.purposes.known}
    assert SecretKind.NAME in hidden["analytics"]
    shutil.rmtree(site.settings.models_dir)


@pytest.mark.parametrize(
    ("names", "purpose", "wrong"),
    [
        ("", 'redact = ["name"]', "names.models says none"),
        (NAMES, 'live = true\nredact = ["place"]', "never in live text"),
        (NAMES, 'redact = ["names"]', 'did you mean "name"'),
        ('[names]\nmodels = ["a"]\nlabels = { name = ["PER", "LOC"] }\n', "", "LOC is given twice"),
    ],
)
def test_configurations_that_could_not_hide_names_are_refused(names: str, purpose: str, wrong: str) -> None:
    text = f'{names}[purpose.notes]\ntrigger = "all"\n{purpose}\n'
    with pytest.raises(ConfigError, match=wrong):
        parse(text, Path("/etc/greffier/greffier.toml"))


def test_a_live_purpose_that_must_hide_names_is_not_listened_to(named_site) -> None:
    site = named_site()
    (plain,) = [p for p in site.settings.purposes() if p.name == "analytics"]
    live = Live(site.settings, lambda: None, b"")
    live.follow([replace(plain, live=True)])
    assert not live._listens and live._stats()["purpose"] is None


def test_doctor_and_config_check_say_what_is_wrong_with_a_model(named_site, small, tmp_path) -> None:
    site = named_site(model=None, training='["name"]', analytics="[]")
    assert "names: no model of names is installed as small" in greffier(site, "config", "check", status=1)
    assert "✗ names: no model of names is installed as small" in greffier(site, "doctor", status=1)
    said = greffier(site, "model", "add", str(small))
    assert "✓ small" in said
    assert "is good" in greffier(site, "config", "check")
    said = greffier(site, "doctor", status=1)
    assert "✓ names: small finds name, organisation, place in fr" in said
    table = greffier(site, "model", "list")
    assert "names" in table and "small" in table
    site.config.write_text(site.config.read_text().replace('language = "fr"', 'language = "en"'))
    assert "✗ names: no model finds names in the language en" in greffier(site, "doctor", status=1)
