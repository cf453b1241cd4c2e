"""The models that find names, loaded when a purpose first needs them; looked for again while they cannot be had.

Without them a purpose that must hide names gets no text, nor the audio that its text would silence: both wait.
"""

from collections.abc import Callable, Set

import structlog

from agent.config import Settings
from agent.model.redaction import NAMED, Policy, SecretKind
from agent.model.text import Transcript
from agent.transcribe.entities import Names, NamesError, load_names
from agent.transcribe.redaction.apply import Redacted, redact, spoken_in

log = structlog.get_logger()

LOOK_AGAIN_S = 60.0
"""A model is read as a whole before it is found to be broken: not too often."""


class NameRoom:
    """Holds the models; `monotonic` is the clock of its patience. Not for several threads."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._names: Names | None = None
        self._next_look = 0.0
        self.reason = ""
        """Why there are none, for the manifest and the journal."""

    def names(self) -> Names | None:
        """All models that are configured, or None while one of them cannot be had (logged once for each reason)."""
        if self._names is None and self._monotonic() >= self._next_look:
            self._next_look = self._monotonic() + LOOK_AGAIN_S
            self._look()
        return self._names

    def why_not(self, hidden: Set[SecretKind], language: str | None = None) -> str:
        """Why what a purpose hides cannot be found, in a language if that is known; empty where it can, or where no
        model is needed."""
        if not (kinds := hidden & NAMED):
            return ""
        names = self.names()
        if names is None:
            return self.reason
        return names.why_not(language, kinds) if language else ""

    def redacted(self, transcript: Transcript, policy: Policy, key: bytes) -> Redacted:
        """A transcript as the policy permits it (`redact`). Raises NamesError where names cannot be found in a language
        that is spoken, or a model breaks."""
        for language in spoken_in(transcript):
            if why := self.why_not(policy.hidden, language):
                raise NamesError(why)
        return redact(transcript, policy, key, self.names() if policy.hidden & NAMED else None)

    def _look(self) -> None:
        section = self._settings.names
        reason = ""
        try:
            if not section.models:
                raise NamesError("no model of names is configured ([names] models)")
            self._names = load_names(section.models, self._settings.models_dir, section.kinds)
            for model in self._names.models:
                finds = sorted(kind.value for kind in model.kinds)
                used = {"model": model.name, "sha256": model.sha256, "language": model.language, "finds": finds}
                log.info("names.ready", **used, remarks=list(model.remarks))
        except (NamesError, OSError) as error:
            reason = str(error)
        if reason and reason != self.reason:
            log.error("names.absent", reason=reason, advice="purposes that hide names get no text until this is mended")
        self.reason = reason
