"""Sealing to a real TPM 2.0 (swtpm): opens on this machine, started as it was; not elsewhere, nor otherwise."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tpm import SoftTpm, soft_tpm

from agent.vault import protect, tpm
from agent.vault.protect import Keeping, Kind, read_root, write_root
from agent.vault.tpm import TpmRefused

SECRET = bytes(range(32))
PCRS = "sha256:7,16"


@pytest.fixture
def machine(
    tmp_path: Path, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SoftTpm]:
    with soft_tpm(tmp_path / "tpm", free_ports) as running:
        monkeypatch.setenv("TPM2TOOLS_TCTI", running.tcti)
        protect._opened.clear()
        yield running


def test_it_opens_on_this_machine_as_often_as_asked_and_not_once_it_was_started_otherwise(
    machine: SoftTpm, tmp_path: Path, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "box.key"
    write_root(path, SECRET, Keeping(Kind.TPM2, pcrs=PCRS))
    assert SECRET not in path.read_bytes() and SECRET.hex().encode() not in path.read_bytes()
    for _ in range(4):  # more than a TPM without a resource manager has room for, if anything were left in it
        protect._opened.clear()
        assert read_root(path) == SECRET
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["box.key"]

    machine.restart()
    protect._opened.clear()
    assert read_root(path) == SECRET, "after a reboot too"

    with soft_tpm(tmp_path / "other", free_ports) as stolen_to:
        monkeypatch.setenv("TPM2TOOLS_TCTI", stolen_to.tcti)
        protect._opened.clear()
        with pytest.raises(TpmRefused):
            read_root(path)

    monkeypatch.setenv("TPM2TOOLS_TCTI", machine.tcti)
    subprocess.run(["tpm2_pcrextend", f"16:sha256={'ab' * 32}"], check=True)
    with pytest.raises(TpmRefused, match="unseal"):
        read_root(path)


def test_without_a_tpm_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2TOOLS_TCTI", "swtpm:host=127.0.0.1,port=1")
    with pytest.raises(TpmRefused, match="tpm2_createprimary"):
        write_root(tmp_path / "box.key", SECRET, Keeping(Kind.TPM2))
    assert not (tmp_path / "box.key").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TpmRefused, match="apt install tpm2-tools"):
        tpm.seal(SECRET)
