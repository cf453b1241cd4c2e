"""Every target on its seeds, on seeds that hypothesis has spoilt and on noise; slowly, a short run of the fuzzer."""

import importlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.run import TARGETS, fuzz, main

MODULES = {name: importlib.import_module(f"fuzz.targets.{name}") for name in TARGETS}

PLANTED = """
SEEDS = (b"seed",)
def target(data):
    if data[:1] == b"!":
        raise ValueError("planted")
"""


@st.composite
def spoilt(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with some stretches replaced by noise, by zeros, by a stretch of another seed, or by nothing."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        at, other = draw(st.integers(0, len(data))), draw(st.sampled_from(seeds))
        begin = draw(st.integers(0, len(other)))
        piece = draw(st.binary(max_size=8) | st.just(bytes(4)) | st.just(other[begin : begin + 40]))
        data = data[:at] + piece + data[at + draw(st.integers(0, 12)) :]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for seed in MODULES[name].SEEDS:
        MODULES[name].target(seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_invariants_hold(name: str, data: st.DataObject) -> None:
    MODULES[name].target(data.draw(spoilt(MODULES[name].SEEDS) | st.binary(max_size=300)))


@pytest.mark.slow
def test_the_runner_finds_what_is_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = fuzz("planted", 60, tmp_path / "corpus", tmp_path / "findings")
    assert not run.clean and run.executions > 0 and "planted" in run.told
    assert run.found is not None and run.found.read_bytes()[:1] == b"!"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s43_a_short_run_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["all", "--seconds", "3", "--findings", str(tmp_path)])
    told = capsys.readouterr()
    assert status == 0, told.out + told.err
    assert told.out.count("clean") == len(TARGETS) and " 0 executions" not in told.out
