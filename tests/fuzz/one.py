"""Runs one target under atheris in this process, until it is done or something is found: `python -m fuzz.one MODULE …`.

Instrumented are the modules of the agent, of its SIP and WebSocket codecs, and the targets with their plain readers:
columnar code has few branches, the reader it is held against has them all. `run` gives the arguments, which are
libFuzzer's.
"""

import importlib
import logging
import sys

import atheris
import structlog


def main() -> None:
    """Fuzz; does not return."""
    module, *arguments = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with atheris.instrument_imports(include=["agent", "aiosipua", "fuzz", "packets", "wsproto"]):
        target = importlib.import_module(module).target
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
