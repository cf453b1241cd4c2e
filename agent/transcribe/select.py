"""Which engine the configuration means, given what is installed now, and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.transcribe.device import Device, Wanted, pick
from agent.transcribe.engine import Engine
from agent.transcribe.models import Kind, Model, ModelError, check, installed
from agent.transcribe.sphinx import SphinxEngine
from agent.transcribe.whisper import WhisperEngine


@dataclass(frozen=True, slots=True)
class Choice:
    """What would be loaded and, for people, why. `engine` is empty where nothing would be."""

    engine: Literal["", "faster-whisper", "pocketsphinx"]
    why: str
    model: Model | None = None
    device: Device | None = None
    grammar: Path | None = None


def choose(
    settings_engine: str, models_dir: Path, model_name: str | None, device: Wanted = "auto", workers: int | None = None
) -> Choice:
    """What `[scribe] engine`, `model`, `device` and `workers` mean now; nothing is loaded.

    `auto` and `faster-whisper` mean faster-whisper with the model named, else the one added last. PocketSphinx is
    never chosen unless it is named; its model is a grammar, a file. Raises EngineError when a device that was asked
    for is not there.
    """
    if settings_engine == "none":
        return Choice("", "transcription is switched off (scribe.engine)")
    if settings_engine == "pocketsphinx":
        why = "pocketsphinx, a test engine, is named by scribe.engine"
        return Choice("pocketsphinx", why, grammar=Path(model_name) if model_name else None)
    models = installed(models_dir, Kind.SPEECH)
    found = [m for m in models if model_name in (None, m.name)]
    if not found:
        missing = f"no model named {model_name} (scribe.model)" if model_name else "no speech model"
        return Choice("", f"{missing} is installed")
    model = found[-1]
    if model_name:
        reason = "named by scribe.model"
    else:
        reason = "the only one" if len(models) == 1 else f"the one added last of {len(models)}"
    on = pick(device, workers)
    why = f"{model.name}, {reason}; {on.name} {on.compute}, {on.workers} at once: {on.why}"
    return Choice("faster-whisper", why, model, on)


def load(choice: Choice) -> Engine | None:
    """The engine chosen; None = no engine for now, transcripts are deferred.

    Raises ModelError when the model's files are not those that were added, and EngineError when an engine that was
    asked for cannot be loaded.
    """
    if choice.engine == "pocketsphinx":
        return SphinxEngine(choice.grammar)
    if choice.model is None or choice.device is None:
        return None
    if not check(choice.model):
        raise ModelError(
            f"{choice.model.path}: files differ from the sha256 recorded when the model was added; "
            f"run `greffier model remove {choice.model.name}` and add it again"
        )
    return WhisperEngine(choice.model, choice.device)
