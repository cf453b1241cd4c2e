"""Which engine the configuration means, given what is installed now."""

from pathlib import Path

from agent.transcribe.engine import Engine
from agent.transcribe.models import ModelError, check, installed
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.whisper import WhisperEngine


def select(settings_engine: str, models_dir: Path, model_name: str | None) -> Engine | None:
    """The engine for `[scribe] engine` and `model`; None = no engine for now, transcripts are deferred.

    `auto` and `faster-whisper` mean faster-whisper with the model named, else the one added last. PocketSphinx is
    never chosen unless it is named. Raises ModelError when the model's files are not those that were added, and
    EngineError when an engine that was asked for cannot be loaded.
    """
    if settings_engine == "none":
        return None
    if settings_engine == "pocketsphinx":
        return SphinxEngine()
    found = [m for m in installed(models_dir) if model_name in (None, m.name)]
    if not found:
        return None
    model = found[-1]
    if not check(model):
        raise ModelError(
            f"{model.path}: files differ from the sha256 recorded when the model was added; "
            f"run `greffier model remove {model.name}` and add it again"
        )
    return WhisperEngine(model)
