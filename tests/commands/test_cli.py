"""The command line without a running agent: what it teaches, and what it says when something is wrong."""

import re
from pathlib import Path

import pytest
from certificates import Authority
from running_site import RunningSite
from twins import why_no_core

from agent.commands.demo_site import free_ports
from agent.commands.doctor_taps import media_core
from agent.commands.finding import BAD, GOOD, NOTE
from agent.config import Settings
from agent.media import core

COMMANDS = ["init", "config", "run", "calls", "show", "pause", "resume", "keep", "export", "verify", "doctor", "probe",
            "model", "agents", "token", "hold", "person", "ingest", "policy", "demo",
            "transcribe", "search", "retention", "sync", "compliance"]  # fmt: skip
GROUPS = ("config", "model", "policy", "agents", "token", "hold", "person", "retention", "sync", "compliance")


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


def test_help_names_every_command(site: RunningSite) -> None:
    said = site.greffier("--help")
    assert [c for c in COMMANDS if f" {c} " not in said] == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in GROUPS])
def test_every_command_explains_itself(site: RunningSite, command: str) -> None:
    said = site.greffier(command, "--help")
    assert "Usage:" in said and len(said.splitlines()) > 6


def test_init_never_overwrites(site: RunningSite) -> None:
    before = site.config.read_text()
    assert "exists already" in site.greffier("init", site.etc, status=1)
    assert site.config.read_text() == before


def test_keys_are_private(site: RunningSite) -> None:
    secrets = [
        *(site.etc / "keys").glob("*.key"),
        site.etc / "keys" / "site.pem",
        *(site.etc / "purpose-keys").iterdir(),
    ]
    assert len(secrets) == 7
    for path in [*secrets, site.settings.directory_path]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_typo_is_found_with_its_line_and_what_was_meant(site: RunningSite) -> None:
    text = site.config.read_text()
    line = text.splitlines().index("[capture]") + 2
    site.config.write_text(text.replace("holdback_s =", "holdbak_s ="))
    said = site.greffier("config", "check", status=2)
    assert f"line {line}:" in said and "holdback_s" in said
    assert "holdback_s" in site.greffier("run", status=2)


def test_before_the_first_call_it_says_what_to_do(site: RunningSite) -> None:
    assert "`greffier run`" in site.greffier("show", "abcd", status=1)
    assert "is it running?" in site.greffier("pause", "--agent", "201", status=1)
    assert "CALL" in site.greffier("pause", status=2)


def test_probe_refuses_what_it_cannot_do(site: RunningSite) -> None:
    assert "en, fr" in site.greffier("probe", "-l", "de", status=2)
    assert "udp:HOST:PORT" in site.greffier("probe", "--to", "nowhere", status=2)
    assert "nothing listens" in site.greffier("probe", "-l", "en", status=1)


def test_a_model_is_only_downloaded_when_somebody_agrees(site: RunningSite, monkeypatch) -> None:
    assert "Aborted" in site.greffier("model", "add", "tiny", status=1), "there is nobody to ask"
    (closed,) = free_ports(1)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed}")
    said = site.greffier("model", "add", "tiny", "--yes", status=1)
    assert "could not be fetched from huggingface.co" in said and "add it by its path" in said
    assert "No model yet" in site.greffier("model", "list")
    assert list(site.settings.models_dir.iterdir()) == []


def test_which_model_transcribes_and_why_is_said(site: RunningSite, tiny_whisper: Path) -> None:
    assert "audio of training waits too" in site.greffier("doctor"), "there is no model yet"
    for name in ("one", "two"):
        site.greffier("model", "add", str(tiny_whisper), "--name", name)
    wanted = "two, the one added last of 2; cpu int8, 1 at once: as configured"
    text = site.config.read_text()
    site.config.write_text(text.replace("[scribe]", '[scribe]\ndevice = "cpu"\nworkers = 1'))
    assert f"In use: {wanted}." in site.greffier("model", "list")
    assert f"transcription: {wanted}" in site.greffier("doctor")


def test_an_engine_is_tried_on_speech_whose_text_is_known(site: RunningSite, speech, tmp_path: Path) -> None:
    assert "nothing to try: no speech model is installed" in site.greffier("model", "try", tmp_path, status=1)
    (tmp_path / "jfk.flac").symlink_to(Path(__file__).parents[3] / "shared" / "speech" / "jfk.flac")
    said = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    (tmp_path / "manifest.csv").write_text(f"file,language,reference\njfk.flac,en,{said}\n")
    text = site.config.read_text()
    site.config.write_text(re.sub(r'(\[scribe\][^\[]*?)engine = "\w+"', r'\1engine = "pocketsphinx"', text))
    table = site.greffier("model", "try", tmp_path)
    assert "pocketsphinx, en-us (test engine) (a test engine)" in table
    row = re.search(r"en .*?1 .*?22 .*?([\d.]+)% .*?([\d.]+)%", table)
    assert row and 0 < float(row[1]) < float(row[2]) <= 120, table


def with_tls(site: RunningSite, **settings: object) -> None:
    """The site listens on TLS alone, with these settings."""
    lines = [
        f'listen = ["tls:127.0.0.1:{site.sip_port}"]',
        *(f'{name} = "{value}"' for name, value in settings.items()),
    ]
    text = site.config.read_text()
    old = next(line for line in text.splitlines() if line.startswith("listen = "))
    site.config.write_text(text.replace(old, "\n".join(lines)))


def test_tls_that_cannot_work_is_explained_before_the_start(site: RunningSite, tmp_path: Path) -> None:
    with_tls(site)
    assert "tls needs tls_certificate and tls_key" in site.greffier("config", "check", status=2)
    with_tls(site, tls_certificate="tls/none.pem", tls_key="tls/none.key")
    wanted = f"siprec.tls_certificate: {site.etc / 'tls/none.pem'}"
    assert wanted in site.greffier("config", "check", status=1).replace("\n", "")
    assert wanted in site.greffier("doctor", status=1)


def test_doctor_says_how_long_the_certificate_is_good_and_that_peers_need_none(
    site: RunningSite, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "site")
    for days, said_of_it in ((90, "good for 90 days"), (10, "expires in 10 days"), (-3, "expired")):
        made = authority.issue("recorder.test", days=days)
        text = site.config.read_text()
        with_tls(site, tls_certificate=made.certificate, tls_key=made.key)
        said = site.greffier("doctor", status=int(days < 0))
        assert said_of_it in said and "peers need no certificate" in said
        site.config.write_text(text)
    with_tls(site, tls_certificate=made.certificate, tls_key=made.key, tls_client_ca=authority.file)
    assert "peers need a certificate of site.ca.pem" in site.greffier("doctor", status=1)


def test_doctor_says_how_to_mend_each_thing(site: RunningSite) -> None:
    (site.etc / "recipients" / "training.txt").write_text("# nobody\n")
    (site.etc / "keys" / "percent.key").unlink()
    said = site.greffier("doctor", status=1)
    assert "percent.key" in said and "`greffier init` makes the keys" in said
    assert "training.txt: expected age public keys" in said
    assert "no speech model" in said and "`greffier model add PATH`" in said
    assert f"SIP udp 127.0.0.1:{site.sip_port}: free" in said


def test_doctor_says_which_core_takes_in_packets(site: RunningSite) -> None:
    if missing := why_no_core():
        pytest.skip(missing)
    assert "media core: compiled" in site.greffier("doctor")
    text = site.config.read_text()
    site.config.write_text(text.replace("[media]", '[media]\ncore = "numpy"'))
    assert "media core: numpy, as configured" in site.greffier("doctor")


def test_doctor_says_how_a_core_is_got(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.media.compiling.SOURCE", Path(__file__))
    core.load.cache_clear()
    said = {wanted: next(media_core(Settings(media={"core": wanted}))) for wanted in ("auto", "c", "numpy")}
    core.load.cache_clear()
    assert [said[wanted].sign for wanted in ("auto", "c", "numpy")] == [NOTE, BAD, GOOD]
    assert "gcc" in said["auto"].mend and "does not start" in said["c"].what
