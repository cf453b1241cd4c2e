"""The configuration explains its errors: the line, what was expected, the nearest word."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ConfigError, load, parse
from agent.config.section import seconds
from agent.config.when import When

SOURCE = Path("/etc/greffier/greffier.toml")
DEFAULTS = {
    "NAME": "lyon",
    "STATE": "/s",
    "RUN": "/r",
    "LISTEN": "0.0.0.0",
    "SIP": "5060",
    "MEDIA": "auto",
    "PORTS": "20000, 29998",
    "DESK": "8470",
    "CENTRE": "/c",
}


def template() -> str:
    text = files("agent.commands").joinpath("template.toml").read_text(encoding="utf-8")
    for mark, value in DEFAULTS.items():
        text = text.replace(f"@{mark}@", value)
    return text


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, SOURCE)
    return caught.value.problems


def test_the_template_is_good_and_means_what_it_says():
    settings = parse(template(), SOURCE)
    assert settings.pause.limit_s == 300
    assert settings.purpose["training"].percent == 10
    assert settings.purpose["evidence"].central_retention == 5 * 31557600
    assert settings.site.keys_dir == Path("/etc/greffier/keys")
    assert settings.siprec.listen[0].port == 5060


def test_a_typo_names_its_line_and_the_word_that_was_meant():
    text = template().replace("holdback_s = 3.0", "holdbak_s = 3.0")
    line = next(n for n, t in enumerate(text.splitlines(), 1) if "holdbak_s" in t)
    assert problems(text) == [f'line {line}: capture.holdbak_s: unknown setting; did you mean "holdback_s"?']


def test_a_wrong_choice_lists_the_choices_and_the_nearest():
    found = problems('[purpose.a]\ntrigger = "al"\n')
    assert found[0].startswith("line 2: purpose.a.trigger") and '"all"' in found[0]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[purpose.a]\ntrigger = "all"\nartifacts = ["audio"]\n', "line 1", "recipients_file is missing"),
        ('[purpose.a]\ntrigger = "all"\ndestination = "x"\n', "line 3", "no [destination.x]"),
        ('[purpose.a]\ntrigger = "all"\npercent = 10\n', "line 1", "percent is only for"),
        ('[purpose.a]\ntrigger = "all"\nlive = true\nartifacts = ["audio"]\n', "line 1", "a purpose of their own"),
        ('[destination.a]\nkind = "folder"\n', "line 1", "needs path"),
        ('[destination.a]\nkind = "folder"\nbuckt = "b"\npath = "p"\n', "line 3", "known here: expires, hours"),
        ('[destination.a]\nkind = "folder"\npath = "p"\nexpires = "lifecycle"\n', "line 1", "for s3 with tags"),
        ('[destination.a]\nkind = "ftp"\n', "line 1", "'folder', 's3', 'sftp', 'put'"),
        ('[pause]\nlimit_s = "soon"\n', "line 2", "expected a duration"),
        ('[siprec]\nlisten = ["sip:1"]\n', "line 2", "udp:ADDRESS:PORT"),
        ("[capture]\nholdback_s = 99\n", "line 2", "less than or equal to 30"),
        ("[capture\n", "not TOML", "line 1"),
    ],
)
def test_each_kind_of_mistake_is_located_and_explained(text, line, says):
    found = problems(text)
    assert len(found) == 1 and line in found[0] and says in found[0]


def test_all_problems_are_told_at_once():
    assert len(problems("[site]\nnam = 1\n[capture]\nholdback = 1\n")) == 2


def test_an_absent_file_says_what_makes_one(tmp_path):
    with pytest.raises(ConfigError, match="greffier init"):
        load(tmp_path / "none.toml")


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text):
    try:
        parse(text, SOURCE)
    except ConfigError as error:
        assert error.problems


def test_durations():
    assert [seconds(t) for t in ("90 s", "2 min", "1.5 h", "7 days", "6 months", "5 years", 12)] == [
        90,
        120,
        5400,
        604800,
        15778800,
        157788000,
        12,
    ]


def test_feature_codes_are_off_until_they_are_configured() -> None:
    assert parse("", SOURCE).keys.codes() == ()
    codes = parse('[keys]\npause = "*71"\nconsent_given = "1"\ncodes_from = "any"\n', SOURCE).keys.codes()
    told = [(code.keys, code.does.value, sorted(code.roles)) for code in codes]
    assert told == [("*71", "pause", []), ("1", "given", ["customer"])]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[keys]\npause = "*7"\nresume = "*71"\n', "begin alike"),
        ('[keys]\npause = "12"\nconsent_given = "1"\nconsent_from = "any"\n', "begin alike"),
        ('[keys]\npause = "7e"\n', "match pattern"),
        ('[siprec]\nconsent_headers = ["X Consent"]\n', "names of headers"),
        ('[siprec]\ntag_headers = ["X-Tag=Not a name"]\n', "X-Campaign=campaign"),
    ],
)
def test_presses_that_cannot_be_told_apart_are_refused(text: str, what: str) -> None:
    assert what in problems(text)[0]


def test_the_same_keys_may_mean_one_thing_to_agents_and_another_to_customers() -> None:
    assert len(parse('[keys]\npause = "12"\nconsent_given = "1"\n', SOURCE).keys.codes()) == 2


@pytest.mark.parametrize("block", range(3))
def test_what_the_policy_guide_shows_is_good_and_names_every_condition(block):
    guide = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert len(shown) == 3
    assert parse(shown[block], SOURCE).purpose
    assert [name for name in When.model_fields if f"`{name}`" not in guide] == []
