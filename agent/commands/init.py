"""`greffier init`: write a commented configuration and all keys."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.common import console, fail
from agent.vault.age import new_identity
from agent.vault.secretfile import create_secret, write_private
from agent.vault.signing import SiteKey

PURPOSES = ("evidence", "training", "analytics")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the configuration.")] = Path("/etc/greffier"),
    state: Annotated[Path, typer.Option(help="Folder of recordings on their way.")] = Path("/var/lib/greffier"),
    run: Annotated[Path, typer.Option(help="Folder of sockets, in RAM.")] = Path("/run/greffier"),
    name: Annotated[str, typer.Option(help="Name of this site.")] = "site",
    listen: Annotated[str, typer.Option(help="Address to listen on for SIPREC.")] = "0.0.0.0",  # noqa: S104
    sip_port: Annotated[int, typer.Option(help="SIP port.")] = 5060,
    media_address: Annotated[str, typer.Option(help='Address for media, or "auto".')] = "auto",
    media_ports: Annotated[str, typer.Option(help="First and last media port.")] = "20000, 29998",
    desk_port: Annotated[int, typer.Option(help="Port of the REST interface.")] = 8470,
) -> None:
    """Write a commented greffier.toml and all keys. Nothing that exists is overwritten."""
    path = folder / "greffier.toml"
    if path.exists():
        fail(f"{path} exists already; remove it first if you mean to begin anew")
    keys = folder / "keys"
    for made in (folder, keys, keys / "desk", folder / "recipients", folder / "purpose-keys"):
        made.mkdir(mode=0o750, parents=True, exist_ok=True)
    template = files("agent.commands").joinpath("template.toml").read_text(encoding="utf-8")
    values = {
        "NAME": name,
        "STATE": state,
        "RUN": run,
        "LISTEN": listen,
        "SIP": sip_port,
        "MEDIA": media_address,
        "PORTS": media_ports,
        "DESK": desk_port,
        "CENTRE": state / "centre",
    }
    for mark, value in values.items():
        template = template.replace(f"@{mark}@", str(value))
    if not (keys / "site.pem").exists():
        SiteKey.create(keys / "site.pem")
    for secret in ("numbers.key", "percent.key", "lists.key"):
        if not (keys / secret).exists():
            create_secret(keys / secret)
    for purpose in PURPOSES:
        _purpose_key(folder, purpose)
    path.write_text(template, encoding="utf-8")
    console.print(f"[green]✓[/] {path}: read it, every line is explained")
    console.print(f"[green]✓[/] {keys}: the site's own keys, which stay here")
    console.print(
        f"[yellow]![/] {folder / 'purpose-keys'}: the keys that OPEN recordings, one a purpose. Move each to those who "
        "may read that purpose\n  and delete it here: this box needs only recipients/*.txt to encrypt."
    )
    console.print("Next: `greffier config check`, `greffier doctor`, `greffier run`.", highlight=False)


def _purpose_key(folder: Path, purpose: str) -> None:
    recipients = folder / "recipients" / f"{purpose}.txt"
    if recipients.exists():
        return
    identity = new_identity()
    secret = f"# Opens what was recorded for {purpose}: age -d -i THIS-FILE …\n{identity.secret}\n"
    write_private(folder / "purpose-keys" / f"{purpose}.key.txt", secret.encode())
    recipients.write_text(f"# May read {purpose}. One age public key a line.\n{identity.recipient}\n", encoding="utf-8")
