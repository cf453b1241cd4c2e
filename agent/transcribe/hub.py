"""Fetches a speech model from huggingface.co when somebody asks for it by hand: the only download there is."""

import re
from pathlib import Path

from agent.transcribe.models import WANTED, ModelError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def names() -> list[str]:
    """Short names of known models."""
    from faster_whisper import available_models  # noqa: PLC0415 - it takes a second, and only this command needs it

    return list(available_models())


def is_name(source: str) -> bool:
    """Whether it names a model there: a known short name, or OWNER/NAME."""
    return _REPOSITORY.fullmatch(source) is not None or source in names()


def fetch(name: str, into: Path) -> None:
    """Download the files of a model to a folder, with a progress bar. Raises ModelError in words."""
    from faster_whisper.utils import _MODELS  # noqa: PLC0415 - its own download shows no progress
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        snapshot_download(_MODELS.get(name, name), local_dir=into, allow_patterns=sorted(WANTED))
    except Exception as error:  # the libraries below raise many kinds, some of them with whole pages of text
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise ModelError(
            f"{name} could not be fetched from huggingface.co: {type(error).__name__}: {first}; on a box without that "
            "network, copy the folder of a model here and add it by its path"
        ) from None
