"""`greffier verify`: is everything as it was written? Offline, with public keys only."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, catalog_of, console, fail, settings_of
from agent.commands.export import read_identity
from agent.store.verify import verify_folder, verify_site
from agent.vault.signing import load_public
from agent.vault.sitekeys import trusted


def verify(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Also check delivered artifacts in this folder.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option("--key", "-k", help="Open manifests with this key; repeatable.")
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            help="A public key of the site (site.pem.pub) that you have from elsewhere: all keys must follow from it."
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Check every journal line, checkpoint and artifact; with --key also every manifest's signature and digests."""
    settings = settings_of(config)
    try:
        public = trusted(settings.site.keys_dir, load_public(trust) if trust is not None else None)
    except (OSError, ValueError) as error:
        fail(f"the site's public keys: {error}")
    identities = [read_identity(path) for path in key or ()]
    reports = [verify_site(settings.journal_dir, settings.outbox_dir, catalog_of(settings), public, identities)]
    if folder is not None:
        reports.append(verify_folder(folder, public, identities))
    bad = False
    for report in reports:
        for problem in report.problems:
            console.print(f"[red]✗[/] {problem.where}: {problem.what}", highlight=False, soft_wrap=True)
            bad = True
        checked = ", ".join(f"{count} {what}" for what, count in report.counts.items())
        console.print(f"{'[yellow]![/]' if report.problems else '[green]✓[/]'} checked {checked}", highlight=False)
    if bad:
        raise typer.Exit(1)
    console.print("[green]✓[/] everything is as it was written")
