"""How each of the four processes begins: configuration, logs as JSON events, no core dumps, private files."""

import argparse
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from agent.config import ConfigError, Settings, load
from agent.vault import passphrase

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: the supervisor and systemd need not try again."""


def main(name: str, serve: Callable[[Settings], None]) -> None:
    """Run process `name` until `serve` returns; its exceptions are logged and end the process with status 1."""
    parser = argparse.ArgumentParser(prog=f"python -m agent.{name}", description=f"The {name} process of Greffier.")
    parser.add_argument("--config", type=Path, required=True, help="path of greffier.toml")
    parser.add_argument("--passphrase-fd", type=int, help="descriptor that the passphrase of the keys is read from")
    arguments = parser.parse_args()
    path = arguments.config
    passphrase.take_from(arguments.passphrase_fd)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # a socket a stream
    os.umask(0o027)
    log_events(name)
    log = structlog.get_logger()
    try:
        settings = load(path)
    except ConfigError as error:
        log.error("config.refused", problems=error.problems)
        sys.exit(EXIT_CONFIG)
    try:
        serve(settings)
    except Exception as error:
        log.critical("process.failed", error=str(error), kind=type(error).__name__)
        sys.exit(1)


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def log_events(name: str) -> None:
    """Send structlog events to standard error, one JSON object a line, `process` among the fields."""

    def named(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = name
        return event

    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line at once: four processes share a log
    )
