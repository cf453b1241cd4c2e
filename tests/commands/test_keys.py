"""`greffier keys` from outside: readers, rotation, protection and the ceremony, and what each leaves in the journal."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from running_site import GREFFIER, RunningSite
from tpm import soft_tpm
from typer.testing import CliRunner

from agent.cli import app
from agent.retain.identities import ensure_current
from agent.store.catalog import Catalog
from agent.store.journal import Journal, read
from agent.vault.age import Identity, decrypt, encrypt, new_identity
from agent.vault.sealed import is_sealed

SSH = (
    Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
).decode()
WORDS = "correct horse battery staple"


@pytest.fixture
def site(tmp_path: Path) -> RunningSite:
    """A configured site of which nothing runs."""
    return RunningSite(tmp_path)


def said(site: RunningSite, kind: str) -> list[dict[str, object]]:
    """Fields of the journal's lines of a kind."""
    return [{"purpose": line.purpose, **line.fields} for line in read(site.settings.journal_dir) if line.kind == kind]


def recipients(site: RunningSite, purpose: str) -> tuple[str, ...]:
    """As the agent reads them."""
    return next(p.recipients for p in site.settings.purposes() if p.name == purpose)


def with_passphrase(site: RunningSite, *arguments: object, words: str = WORDS, status: int = 0) -> str:
    """Output of a command that reads its passphrase from a descriptor."""
    reading, writing = os.pipe()
    os.write(writing, words.encode())
    os.close(writing)
    environment = {**os.environ, "GREFFIER_CONFIG": str(site.config), "COLUMNS": "200", "NO_COLOR": "1"}
    command = [*GREFFIER, "--passphrase-fd", str(reading), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        pass_fds=[reading],
        stdin=subprocess.DEVNULL,
    )
    os.close(reading)
    assert done.returncode == status, done.stdout + done.stderr
    assert words not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_readers_come_and_go_and_the_journal_says_so(site: RunningSite) -> None:
    file = site.etc / "recipients" / "evidence.txt"
    file.chmod(0o640)
    (first,) = recipients(site, "evidence")
    made = new_identity().recipient
    site.greffier("keys", "add-recipient", "evidence", made, "--label", "the safe")
    site.greffier("keys", "add-recipient", "evidence", f"{SSH} marie@pc")
    assert recipients(site, "evidence") == (first, made, SSH) and file.stat().st_mode & 0o777 == 0o640
    assert "may read already" in site.greffier("keys", "add-recipient", "evidence", made, status=1)

    revoked = site.greffier("keys", "revoke", "evidence", first[:12])
    assert "stays readable" in revoked
    site.greffier("keys", "revoke", "evidence", "marie@pc")
    assert recipients(site, "evidence") == (made,) and recipients(site, "training")
    assert "no reader left" in site.greffier("keys", "revoke", "evidence", "the safe", status=1)
    assert "revoked before" in site.greffier("keys", "add-recipient", "evidence", first, status=1)
    assert [line["recipient"] for line in said(site, "reader.added")] == [made, SSH]
    assert [(line["purpose"], line["recipient"]) for line in said(site, "reader.revoked")] == [
        ("evidence", first),
        ("evidence", SSH),
    ]

    listed = json.loads(site.greffier("keys", "list", "--json"))["purposes"]["evidence"]
    assert [(r["label"], bool(r["added"]), bool(r["revoked"])) for r in listed] == [
        ("", False, True),
        ("the safe", True, False),
        ("marie@pc", True, True),
    ]
    shown = site.greffier("keys", "list")
    assert listed[1]["fingerprint"] in shown and "AGE-SECRET-KEY" not in shown


@pytest.mark.slow
def test_a_rotation_puts_the_new_key_in_place_of_the_old_or_beside_it(site: RunningSite) -> None:
    (old,) = recipients(site, "training")
    beside, instead = new_identity().recipient, new_identity().recipient
    site.greffier("keys", "rotate", "training", beside, "--beside")
    assert recipients(site, "training") == (old, beside)
    assert "stays readable" in site.greffier("keys", "rotate", "training", instead, "--label", "2027")
    assert recipients(site, "training") == (instead,)
    assert site.greffier("doctor").count("training 1") == 1


def test_what_makes_no_sense_is_refused(site: RunningSite) -> None:
    for arguments, why in (
        (["add-recipient", "evidence", "age1nonsense"], "not a public key"),
        (["add-recipient", "evidence", "ssh-ed25519 AAAA"], "not a public key"),
        (["add-recipient", "nothing", "age1nonsense"], "no purpose nothing"),
        (["add-recipient", "assistance", "age1nonsense"], "keeps nothing"),
        (["revoke", "evidence", "age1"], "no reader is called so"),
        (["rotate", "evidence"], "keys ceremony"),
        (["rotate"], "say which key"),
        (["rotate", "evidence", "--site"], "say which key"),
    ):
        done = CliRunner().invoke(app, ["keys", *arguments], env={"GREFFIER_CONFIG": str(site.config)})
        assert done.exit_code == 2 and why in done.output, arguments
    assert said(site, "reader.added") == []


def test_a_secret_key_given_by_mistake_is_refused_and_not_repeated(site: RunningSite) -> None:
    secret = new_identity().secret
    refused = site.greffier("keys", "add-recipient", "evidence", secret, status=2)
    assert "SECRET" in refused and secret[20:] not in refused
    assert secret not in (site.etc / "recipients" / "evidence.txt").read_text()


@pytest.mark.slow
def test_the_site_gets_a_new_key_and_everything_verifies(site: RunningSite) -> None:
    pinned = site.folder / "pinned.pub"
    pinned.write_bytes((site.etc / "keys" / "site.pem.pub").read_bytes())
    site.greffier("keys", "rotate", "--site")
    site.greffier("keys", "rotate", "--site")
    listed = json.loads(site.greffier("keys", "list", "--json"))["site"]
    (first, second) = said(site, "site_key.rotated")
    assert [key["public"] for key in listed] == [first["previous"], second["previous"], second["public"]]
    site.settings.catalog_path.parent.mkdir(parents=True, exist_ok=True)
    site.catalog()
    assert "no checkpoint" in site.greffier("verify", "--trust", pinned, status=1)
    other = site.folder / "other"
    site.greffier("init", other)
    assert "none of the keys" in site.greffier("verify", "--trust", other / "keys" / "site.pem.pub", status=1)


@pytest.mark.slow
def test_the_working_identity_is_rotated_now(site: RunningSite) -> None:
    assert "the scribe makes the first" in site.greffier("keys", "rotate", "--working", status=1)
    s = site.settings
    ensure_current(s.identities_dir, s.recipient_file, 86400, 1, Journal(s.journal_dir, "scribe", lambda: 1))
    Catalog(s.catalog_path)
    before = s.recipient_file.read_text()
    site.greffier("keys", "rotate", "--working")
    assert s.recipient_file.read_text() != before and len(list(s.identities_dir.iterdir())) == 2
    assert len(said(site, "identity.asked")) == 1 and len(said(site, "identity.rotated")) == 2
    assert json.loads(site.greffier("keys", "list", "--json"))["working_identities"]["count"] == 2


@pytest.mark.slow
def test_keys_are_kept_by_passphrase_and_every_command_asks_for_it(site: RunningSite) -> None:
    keys = site.etc / "keys"
    assert "whoever takes the disk" in site.greffier("doctor")
    with_passphrase(site, "keys", "protect", "--with", "passphrase")
    assert is_sealed(keys / "site.pem") and is_sealed(keys / "numbers.key")
    (line,) = said(site, "keys.protected")
    assert (line["kept"], line["before"]) == ("passphrase", "file")
    listed = json.loads(site.greffier("keys", "list", "--json"))
    assert listed["kept"] == "passphrase" and listed["unsealed"] == []
    kept = {file["name"]: file["kept"] for file in listed["files"]}
    assert (kept["lists.key"], kept["site.pem"], kept["site.pem.pub"]) == ("passphrase", "sealed", "public")

    assert "does not open" in with_passphrase(site, "keys", "rotate", "--site", words="other", status=1)
    with_passphrase(site, "keys", "rotate", "--site")
    assert is_sealed(keys / "site.pem")
    assert "not looked into" in site.greffier("doctor") and "✓ key site.pem" in with_passphrase(site, "doctor")
    with_passphrase(site, "keys", "protect", "--with", "passphrase", words=f"{WORDS}\nnew words")
    with_passphrase(site, "keys", "protect", "--with", "file", words="new words")
    assert not is_sealed(keys / "site.pem") and site.greffier("doctor")


@pytest.mark.slow
def test_keys_are_kept_by_a_tpm(
    site: RunningSite, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with soft_tpm(site.folder / "tpm", free_ports) as tpm:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tpm.tcti)
        site.greffier("keys", "protect", "--with", "tpm2", "--pcrs", "sha256:7,14")
        assert "TPM 2.0 as it was started (PCRs sha256:7,14)" in site.greffier("doctor")
        site.greffier("keys", "rotate", "--site")
        tpm.stop()
        assert "tpm2" in site.greffier("keys", "rotate", "--site", status=1)
        assert "the scribe does not start so" in site.greffier("doctor", status=1)


@pytest.mark.slow
def test_a_conversion_that_stopped_half_way_is_said(site: RunningSite) -> None:
    with_passphrase(site, "keys", "protect", "--with", "passphrase")
    (site.etc / "keys" / "numbers.key").write_bytes(bytes(32))
    assert "1 are plain" in with_passphrase(site, "doctor", status=1)


# ---- the ceremony


def at_a_terminal(site: RunningSite, arguments: list[str], answer: Callable[[str], str | None]) -> str:
    """Everything a command showed at a terminal where somebody answers what it shows."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200", "NO_COLOR": "1", "GREFFIER_CONFIG": str(site.config)}
    process = subprocess.Popen(
        [*GREFFIER, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        start_new_session=True,
    )
    os.close(follower)
    shown = ""
    while True:
        try:
            piece = os.read(leader, 4096).decode(errors="replace")
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if (typed := answer(shown)) is not None:
            os.write(leader, f"{typed}\n".encode())
    os.close(leader)
    assert process.wait(30) in (0, 1)
    return shown


class Scribbler:
    """Writes down the lines that are shown, and types them back, with a slip of the pen first where told."""

    def __init__(self, slip: bool = False, another: bool = False) -> None:
        self.paper: list[str] = []
        self._answered = 0
        self._slip = slip
        self._another = another

    def __call__(self, shown: str) -> str | None:
        self.paper = re.findall(r"^ {6}\d   ((?:[A-Z0-9]{2,4} ?)+ [A-Z0-9]{2})\r?$", shown, re.MULTILINE)[:5]
        if "press Enter" in shown and "Then press Enter: the screen is cleared." in shown and self._answered == 0:
            self._answered = 1
            return ""
        back = shown.split("Type it from the paper", 1)
        if len(back) < 2 or not re.search(r" {6}\d   $", back[1]):
            return None
        number = int(re.search(r"(\d)   $", back[1])[1])
        prompts = len(re.findall(r"^ {6}\d   ", back[1], re.MULTILINE))
        if prompts < self._answered:
            return None
        self._answered = prompts + 1
        if self._slip:
            self._slip = False
            return "QQQQ QQQQ QQQQ QQ"
        return self.paper[number - 1].lower()


@pytest.mark.slow
def test_a_ceremony_on_paper_makes_a_key_that_opens_and_leaves_nothing_here(site: RunningSite) -> None:
    hand = Scribbler(slip=True)
    before = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
    shown = at_a_terminal(site, ["keys", "ceremony", "evidence", "--witness", "Marie", "--witness", "Paul"], hand)
    assert "look at the paper again" in shown and "opens a trial file" in shown
    assert "Marie: ____" in shown and "Paul: ____" in shown
    after = {path: path.read_bytes() for path in site.folder.rglob("*") if path.is_file()}
    assert before == after, "nothing is written"
    recipient = re.search(r"Public key +(age1\w+)", shown)[1]

    into = site.folder / "evidence.key.txt"
    lines = iter(hand.paper)
    asked: list[int] = []

    def type_in(shown: str) -> str | None:
        prompts = len(re.findall(r"^ {6}\d   ", shown, re.MULTILINE))
        if prompts == len(asked) or not re.search(r"\d   $", shown):
            return None
        asked.append(prompts)
        return next(lines)

    at_a_terminal(site, ["keys", "from-paper", str(into)], type_in)
    assert into.stat().st_mode & 0o777 == 0o600
    secret = into.read_text().strip()
    assert Identity.of(secret).recipient == recipient
    assert decrypt(encrypt(b"said", [recipient]), secret) == b"said"


def test_a_ceremony_where_nobody_types_makes_nothing(site: RunningSite) -> None:
    shown = site.greffier("keys", "ceremony", "evidence", status=1)
    assert "nobody typed" in shown and "Public key" not in shown


@pytest.mark.slow
def test_a_ceremony_into_a_file_makes_what_the_age_program_opens(site: RunningSite, tmp_path: Path) -> None:
    file = tmp_path / "evidence.key.age"
    shown = with_passphrase(site, "keys", "ceremony", "evidence", "--file", file)
    recipient = re.search(r"Public key +(age1\w+)", shown)[1]
    assert "AGE-SECRET-KEY" not in shown and b"AGE-SECRET-KEY" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "exists already" in with_passphrase(site, "keys", "ceremony", "evidence", "--file", file, status=1)
    script = (
        f"import pty, sys; sys.exit(pty.spawn(['age', '-d', '-o', {str(tmp_path / 'opened')!r}, {str(file)!r}]) >> 8)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=f"{WORDS}\n".encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert Identity.of((tmp_path / "opened").read_text().splitlines()[-1]).recipient == recipient
