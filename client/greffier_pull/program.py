"""`greffier-pull`: options, signals, progress, exit status (0 done, 1 could not, 2 options make no sense)."""

import argparse
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from greffier_pull.depot import Depot
from greffier_pull.feed import Feed, Item, PullError, TryAgain, tls_context
from greffier_pull.pull import Puller

TOKEN_VARIABLE = "GREFFIER_PULL_TOKEN"  # noqa: S105 - its name
SHOWN_FROM = 1 << 20
"""Smaller files are here before a bar would be seen."""
EPILOG = f"""The token is made on the box by `greffier token add feed:PURPOSE NAME` and shown once. Put it into a file
of mode 0600 (--token-file), or into {TOKEN_VARIABLE}; it is never an argument, which other programs can see. What is
fetched are age files: whoever holds the purpose's key opens them with `age -d`. No key is needed here, not even for
tombstones."""


def options(name: str) -> argparse.ArgumentParser:
    """What may be asked for."""
    parser = argparse.ArgumentParser(
        prog=name,
        description="Fetch what one purpose of a Greffier box keeps for us: whole, checked, durable, acknowledged, "
        "with a signed receipt beside each file; and destroy what the box calls back.",
        epilog=EPILOG,
    )
    parser.add_argument("--url", required=True, help="the box's desk, such as https://box.example:8470")
    parser.add_argument("--purpose", required=True, help="such as evidence")
    parser.add_argument("--into", required=True, type=Path, metavar="DIR", help="folder to keep files in")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file of mode 0600 that holds the token")
    parser.add_argument("--ca", metavar="FILE", help="authority of the box's certificate, or that certificate (PEM)")
    parser.add_argument("--cert", metavar="FILE", help="client certificate (PEM), instead of a token")
    parser.add_argument("--cert-key", metavar="FILE", help="its key, if in another file")
    parser.add_argument("--follow", action="store_true", help="stay, and fetch what is new the moment it is there")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return parser


def read_token(path: Path | None) -> str | None:
    """From the file, or the environment; None without either. Raises PullError, which never holds it."""
    token = os.environ.get(TOKEN_VARIABLE)
    if path is not None:
        try:
            mode = path.stat().st_mode
            token = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise PullError(f"the token file {path} cannot be read: {type(error).__name__}") from None
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise PullError(f"the token file {path} can be read by others: chmod 600 it")
    if token is None:
        return None
    if not re.fullmatch(r"[!-~]{8,512}", token := token.strip()):
        raise PullError("the token is not one: expected 8 to 512 characters without spaces")
    return token


class Screen:
    """What is told, on standard error: lines, and on a terminal a bar for what takes longer."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._has_bar = sys.stderr.isatty() and not quiet

    def tell(self, words: str) -> None:
        """One line."""
        if not self._quiet:
            print(words, file=sys.stderr, flush=True)

    def show(self, item: Item, here: int) -> None:
        """How much of an item is here."""
        if not self._has_bar or item.size < SHOWN_FROM:
            return
        filled = 30 * here // item.size
        bar = f"[{'#' * filled}{'.' * (30 - filled)}] {here >> 20}/{item.size >> 20} MiB {item.path.name[:60]}"
        print(f"\r\x1b[K{bar}", end="\r\x1b[K" if here >= item.size else "", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None, name: str = "greffier-pull") -> int:
    """The command."""
    asked = options(name).parse_args(arguments)
    screen, stop = Screen(asked.quiet), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(stop))
    try:
        token = read_token(asked.token_file)
        if (token is None) == (asked.cert is None):
            raise PullError("say who asks: --token-file (or the variable), or --cert; one of them")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", asked.purpose):
            raise PullError(f"{asked.purpose}: no name of a purpose")
        context = tls_context(asked.ca, asked.cert, asked.cert_key) if asked.url.startswith("https:") else None
        feed = Feed(asked.url.rstrip("/"), asked.purpose, token, context)
    except PullError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    depot = Depot(asked.into, asked.purpose)
    puller = Puller(feed, depot, stop, screen.tell, screen.show)
    status = 0
    try:
        with depot.taken():
            puller.run(asked.follow)
    except (PullError, TryAgain) as error:
        print(f"{name}: {error}", file=sys.stderr)
        status = 1
    except OSError as error:
        print(f"{name}: {error.filename or asked.into}: {error.strerror}; what is here already stays", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 0 if asked.follow else 1
    done = puller.counts
    screen.tell(
        f"{done.fetched} fetched ({done.bytes / 1e6:.1f} MB), {done.acknowledged} acknowledged, "
        f"{done.destroyed} destroyed, {done.skipped} taken back or held back"
    )
    return status


def _stop(stop: threading.Event) -> None:
    """At the next step, or, while the box is waited for, now."""
    stop.set()
    raise KeyboardInterrupt
