"""`greffier probe`: place a test call that speaks a built-in dialogue, as a gateway would."""

import asyncio
import ssl
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from agent.commands.common import DEFAULT_CONFIG, ConfigOption, console, fail, settings_of
from agent.config import Endpoint
from agent.model.srtp import SrtpSuite
from agent.probe import Dialogue, Pacer, PlacedCall, ProbeRefused, dialogue, place

Target = Annotated[str | None, typer.Option("--to", help="udp:, tcp: or tls:HOST:PORT; this box's own by default.")]

Certificate = Annotated[Path | None, typer.Option(help="For tls: our certificate in PEM, its key inside or in --key.")]
Key = Annotated[Path | None, typer.Option(help="For tls: the key of our certificate, in PEM.")]
Authority = Annotated[Path | None, typer.Option("--ca", help="For tls: who signed the recorder's certificate.")]


def probe(
    language: Annotated[str, typer.Option("--language", "-l", help="fr or en.")] = "fr",
    to: Target = None,
    count: Annotated[int, typer.Option("--calls", "-n", min=1, max=500, help="How many calls at once.")] = 1,
    codec: Annotated[str, typer.Option(help="PCMA or PCMU.")] = "PCMA",
    certificate: Certificate = None,
    key: Key = None,
    authority: Authority = None,
    srtp: Annotated[SrtpSuite | None, typer.Option(help="Send secure RTP of this suite.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Place test calls: a small SIPREC client that speaks a two-party dialogue in real time over real sockets."""
    if codec.upper() not in ("PCMA", "PCMU"):
        fail(f"--codec is PCMA or PCMU, not {codec}", 2)
    target = _target(to, config)
    try:
        spoken = dialogue(language)
    except LookupError as error:
        fail(str(error.args[0]), 2)
    try:
        tls = _tls(certificate, key, authority) if target.transport == "tls" else None
        placed = asyncio.run(_place(target, spoken, count, codec=codec.upper(), tls=tls, srtp=srtp))
    except (ProbeRefused, OSError) as error:
        fail(f"{target.transport}:{target.host}:{target.port}: {error}")
    packets = sum(call.sent.sent for call in placed)
    console.print(
        f"[green]✓[/] {count} call{'s' * (count > 1)} of {spoken.seconds:.0f} s placed, {packets} packets sent; "
        "see `greffier calls`",
        highlight=False,
    )


def _target(to: str | None, config: ConfigOption) -> Endpoint:
    if to is None:
        first = settings_of(config).siprec.listen[0]
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(first.host, first.host)  # noqa: S104 - compared, not bound
        return Endpoint(transport=first.transport, host=local, port=first.port)
    transport, _, rest = to.partition(":")
    host, _, port = rest.rpartition(":")
    if transport not in ("udp", "tcp", "tls") or not host or not port.isdigit() or not 0 < int(port) < 65536:
        fail("--to is written udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT", 2)
    return Endpoint.model_validate({"transport": transport, "host": host.strip("[]"), "port": int(port)})


def _tls(certificate: Path | None, key: Path | None, authority: Path | None) -> ssl.SSLContext:
    """A recorder is called by its address, which certificates seldom name: its own authority has to be enough."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = authority is None
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


async def _place(target: Endpoint, spoken: Dialogue, count: int, **arguments: Any) -> list[PlacedCall]:
    columns = (TextColumn("speaking {task.fields[what]}"), BarColumn(), TimeElapsedColumn())
    with Pacer() as pacer, Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=spoken.seconds, what=spoken.name)
        calls = asyncio.gather(*(place(target, spoken, pacer=pacer, **arguments) for _ in range(count)))
        while not calls.done():
            await asyncio.wait([calls], timeout=0.2)
            progress.advance(bar, 0.2)
        return await calls
