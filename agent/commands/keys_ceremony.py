"""`greffier keys ceremony` and `from-paper`: make a purpose's key before witnesses, and read one that was written down.

The secret is in memory, on the screen or in the file that was asked for, and nowhere else: no log, no journal, no
configuration has it. A box of the site needs nothing but the public key that is shown at the end.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import console, fail
from agent.commands.plain import plain
from agent.vault import paper
from agent.vault.age import (
    Identity,
    WrongKey,
    decrypt,
    decrypt_with_passphrase,
    encrypt,
    encrypt_with_passphrase,
    fingerprint,
    new_identity,
)
from agent.vault.passphrase import new_passphrase, passphrase
from agent.vault.secretfile import write_private

TRIES = 5
TRIAL = b"trial of a ceremony"
CLEAR = "\x1b[2J\x1b[3J\x1b[H"
"""Screen and what was scrolled out of it (ECMA-48 ED 2; xterm ED 3)."""


def ceremony(
    purpose: Annotated[str, typer.Argument(help="The purpose whose recordings the key is to open.")],
    file: Annotated[
        Path | None, typer.Option(help="Not on paper: into this age file, which a passphrase opens (a USB stick).")
    ] = None,
    witness: Annotated[list[str] | None, typer.Option(help="Who is there; may be given again.")] = None,
) -> None:
    """Make the key that opens a purpose, with what to do, what to write down, and a sheet to sign.

    On a machine that you trust and that is offline; it needs no configuration. The key is tried before it is believed.
    """
    _say(
        1, "Be two, on a machine without a network, camera or screen sharing. Have paper, a pen and a sealed envelope."
    )
    made = new_identity()
    if file is None:
        _on_paper(made)
        kept = "on paper, in the blocks that were shown"
    else:
        _in_a_file(made, file)
        kept = f"in the file {file.name}, under a passphrase"
    console.print("[green]✓[/] the key as it is kept opens a trial file")
    _say(5, "Put the key where it belongs (a safe, two places), and nothing of it on the recorder.")
    _sheet(purpose, made.recipient, kept, witness or [])
    _say(6, f"On the recorder: greffier keys rotate {purpose} {made.recipient} --label LABEL --beside")


def _on_paper(made: Identity) -> None:
    _say(2, f"Write this down, after AGE-SECRET-KEY-1: {paper.LINES} lines. The last two letters check each line.")
    for number, line in enumerate(paper.written(made.secret), 1):
        console.print(f"      {number}   {line}", highlight=False)
    _say(3, "Read it aloud to each other, line by line, from the paper. Then press Enter: the screen is cleared.")
    _ask("")
    if sys.stdout.isatty():
        sys.stdout.write(CLEAR)
    _say(4, "Type it from the paper; spaces and case do not matter.")
    try:
        _tried(_typed(), made.recipient)
    except WrongKey:
        fail("that is a good key, but another one: the key was not written down, and is gone now. Begin anew")


def _in_a_file(made: Identity, file: Path) -> None:
    if file.exists():
        fail(f"{file} exists already")
    _say(2, "Choose a passphrase: six words by dice, say. Write it down, and keep it apart from the file.")
    try:
        text = f"# public key: {made.recipient}\n{made.secret}\n"
        write_private(file, encrypt_with_passphrase(text.encode(), new_passphrase()))
        _say(3, f"{file} is written: `age -d` opens it.")
        _say(4, "The passphrase once more, from the paper: the file is read back and tried.")
        lines = decrypt_with_passphrase(file.read_bytes(), passphrase()).decode().splitlines()
        _tried(lines[-1], made.recipient)
    except (OSError, WrongKey) as error:
        file.unlink(missing_ok=True)
        fail(f"{error}; {file} is gone, begin anew")


def from_paper(
    into: Annotated[Path, typer.Argument(help="Where to write the age identity file; keep it off the recorder.")],
) -> None:
    """Type in a key that was written down at a ceremony, and write it as an age identity file (mode 0600)."""
    if into.exists():
        fail(f"{into} exists already")
    secret = _typed()
    try:
        write_private(into, f"{secret}\n".encode())
    except OSError as error:
        fail(f"{into} cannot be written: {error}")
    console.print(f"[green]✓[/] {into}: opens with `age -d -i`; destroy it when you have read what you had to")


def _typed() -> str:
    """The key, line by line, each asked again until its check fits; or the command ends."""
    lines: list[str] = []
    for number in range(1, paper.LINES + 1):
        for _ in range(TRIES):
            text = _ask(f"      {number}   ")
            try:
                paper.typed_line(number, text)
            except paper.WrongLine as error:
                console.print(f"[red]✗[/] {error}; look at the paper again", highlight=False)
                continue
            lines.append(text)
            break
        else:
            fail(f"line {number} does not fit its check: it was written down wrongly. Begin anew")
    secret = paper.typed(lines)
    try:
        _tried(secret, Identity.of(secret).recipient)
    except WrongKey:
        fail("these lines are no key: two mistakes that hide each other?")
    return secret


def _tried(secret: str, recipient: str) -> None:
    """Raises WrongKey unless the secret opens what is encrypted to the recipient."""
    if decrypt(encrypt(TRIAL, [recipient]), secret) != TRIAL:
        raise WrongKey("the key does not open what was encrypted to it")


def _sheet(purpose: str, recipient: str, kept: str, witnesses: list[str]) -> None:
    rule = "─" * 72
    day = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    signatures = [f"{name}: ______________________" for name in [*witnesses, "", ""][: max(2, len(witnesses))]]
    lines = [
        rule,
        f"Key of purpose       {purpose}",
        f"Made                 {day}, at ______________________",
        f"Public key           {recipient}",
        f"Fingerprint          {fingerprint(recipient)}",
        f"Kept                 {kept}",
        "Copies lie at        ______________________   ______________________",
        "We were present, the key was tried, and it was stored nowhere else:",
        *(f"    {line}" for line in signatures),
        rule,
    ]
    for line in lines:
        console.print(plain(line), highlight=False, soft_wrap=True)


def _say(step: int, text: str) -> None:
    console.print(f"[bold]{step}.[/] {text}", highlight=False, soft_wrap=True)


def _ask(prompt: str) -> str:
    try:
        return console.input(prompt)
    except EOFError:
        fail("nobody typed the key back: it is gone, and nothing was made")
