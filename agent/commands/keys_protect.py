"""`greffier keys protect`: keep the site's secrets by passphrase, by TPM 2.0, by systemd, or as plain files."""

from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, journalled, settings_of
from agent.vault import passphrase, tpm
from agent.vault.converting import keep, secret_files
from agent.vault.protect import Keeping, Kind
from agent.vault.sealed import Unsealable, in_use, kept

_NEXT = {
    Kind.FILE: "start the agent again",
    Kind.PASSPHRASE: "`greffier run` asks for it at each start; the units: systemd/keys/",
    Kind.TPM2: "start the agent again; the units need the TPM's device: systemd/keys/",
    Kind.SYSTEMD_CREDS: "put the drop-ins of systemd/keys/ in place and start the units again",
}


def protect(
    kind: Annotated[Kind, typer.Option("--with", help="How the keys are kept from now on.")],
    pcrs: Annotated[str, typer.Option(help="For tpm2: what of the machine's start must be the same.")] = tpm.PCRS,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep the site's secrets otherwise: signing key, working identities, keys of number hashes, lists and search.

    Stop the scribe first; the recorder goes on. Doing it again after it was interrupted is safe. A passphrase is asked
    for, or read with `greffier --passphrase-fd N keys protect`: the present one in the first line, a new one in the
    second.
    """
    settings = settings_of(config)
    keys_dir = settings.site.keys_dir
    try:
        with in_use(keys_dir, alone=True):
            before = kept(keys_dir)
            if before is Kind.PASSPHRASE:
                passphrase.passphrase()
            chosen = passphrase.new_passphrase() if kind is Kind.PASSPHRASE else ""
            journalled(settings, "keys.protected", kept=kind.value, before=before.value)
            paths = secret_files(keys_dir, settings.identities_dir, settings.searchkeys_dir)
            count = keep(keys_dir, paths, Keeping(kind, pcrs, chosen))
    except BlockingIOError:
        fail(
            "the scribe is running, and would go on as before: `systemctl stop greffier-scribe` (the recorder goes on, "
            "nothing is lost), or stop `greffier run`"
        )
    except (OSError, ValueError, Unsealable) as error:
        fail(f"the keys are not all kept by {kind.value}: {error}; nothing is lost, do it again")
    console.print(f"[green]✓[/] kept by {kind.value} (before: {before.value}); {count} files written", highlight=False)
    if kind is not Kind.FILE:
        console.print(
            "[yellow]![/] what was plain may lie in free blocks of the disk: `greffier keys rotate --site` and "
            "`greffier keys rotate --working` make new ones",
            soft_wrap=True,
        )
    console.print(f"Next: {_NEXT[kind]}.", highlight=False, soft_wrap=True)
