"""`[cti.NAME]`: what is refused, with the words of what is expected."""

import pytest

from agent.config import ConfigError, parse

GOOD = {"kind": '"ami"', "address": '"10.0.0.5:5039"', "agents": '["2*"]', "credentials_file": '"hall.toml"'}


def read(tmp_path, **changed: str):
    lines = [f"{name} = {value}" for name, value in {**GOOD, **changed}.items() if value]
    return parse("\n".join(["[cti.hall]", *lines]), tmp_path / "greffier.toml").cti["hall"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": '"10.0.0.5"'}, "HOST:PORT"),
        ({"address": '"10.0.0.5:0"'}, "address"),
        ({"agents": "[]"}, "agents"),
        ({"agents": ""}, "agents"),
        ({"kind": '"sip"'}, "kind"),
        ({"feature_codes": '{ "x1" = "pause" }'}, "keys of a telephone"),
        ({"kind": '"esl"', "feature_codes": '{ "*1" = "pause" }'}, "only kind"),
        ({"presses": '{ Stop = "puase" }'}, "pause"),
        ({"tags": '{ CAMPAIGN = "a b" }'}, "without spaces"),
        ({"secret": '"s3cret"'}, "unknown setting"),
    ],
)
def test_a_mistake_is_named(tmp_path, changed, words) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        read(tmp_path, **changed)
    assert "cti.hall" in str(error.value) and "s3cret" not in str(error.value)


def test_tls_is_on_except_here_and_paths_are_of_the_file_s_folder(tmp_path) -> None:
    assert read(tmp_path).over_tls and not read(tmp_path, tls="false").over_tls
    assert not read(tmp_path, address='"[::1]:5038"').over_tls and read(tmp_path, address='"pbx:5038"').over_tls
    some = read(tmp_path, tls_ca='"ca.pem"')
    assert (some.credentials_file, some.tls_ca) == (tmp_path / "hall.toml", tmp_path / "ca.pem")
