"""Making the library of `core.c`: when the package is built (hatch_build.py), or by `python -m agent.media.compiling`.

Needs a C compiler and nothing else; without it the recorder works, in numpy. Imports nothing that would have to be
installed before the package is built.
"""

import hashlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("core.c")
LIBRARY = Path(__file__).with_name("libcore.so")
FLAGS = (
    "-std=c11",
    "-O2",
    "-fwrapv",  # numbers wrap and are rounded as those of numpy are
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
)


def digest() -> bytes:
    """What a library made of the source as it is now carries in it."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest().encode()


def compile_core(library: Path, more: Sequence[str] = ()) -> None:
    """Make the library with $CC or `cc`; one that is there is replaced, or removed when that fails.

    Raises OSError when there is no compiler, and subprocess.CalledProcessError with what it said.
    """
    library.unlink(missing_ok=True)
    made = library.with_suffix(f".{os.getpid()}")
    command = [*shlex.split(os.environ.get("CC") or "cc"), *FLAGS, *more, f'-DSOURCE="{digest().decode()}"']
    try:
        subprocess.run([*command, "-o", made, SOURCE], check=True, capture_output=True, text=True)
        made.replace(library)
    finally:
        made.unlink(missing_ok=True)


def try_to_compile() -> str:
    """Make the library; why there is none, in one line, or nothing."""
    try:
        compile_core(LIBRARY)
    except OSError as error:
        return f"no C compiler ({error}): the recorder will take in packets with numpy, at twice the CPU"
    except subprocess.CalledProcessError as error:
        return f"core.c does not compile, the recorder will use numpy: {error.stderr.strip().splitlines()[:1]}"
    return ""


if __name__ == "__main__":
    print(try_to_compile() or f"made {LIBRARY.name}")
