"""Transcribing finalised calls again, with another model: a new version of the text beside the old.

It is done when nothing else is, one call at a time. A row is *working*, with the number of the version, before anything
is filed, and *done* after all of it is: killed in between, it is taken up under the same number and each file is made
once. What was masked or dropped meanwhile is heard no more than by the revision it made.
"""

import time
from collections.abc import Callable

import structlog

from agent.config import Settings
from agent.model.purpose import ArtifactKind, Purpose
from agent.scribe.channels import Tape
from agent.scribe.correct import Corrector
from agent.scribe.derive import Deriver, Means
from agent.scribe.filing import number_of
from agent.scribe.testimony import Testimony
from agent.store.catalog import Catalog
from agent.store.rows import RewriteRow
from agent.transcribe.engine import Engine, EngineError
from agent.transcribe.models import ModelError
from agent.transcribe.select import choose, load

log = structlog.get_logger()

FORGOTTEN = "the call was forgotten: its key is gone, and nothing can be heard any more"
SAY_EVERY_S = 0.5
"""Progress is written down no more often."""


class Rewriter:
    """Works off what was asked for. `usual` is the engine of the process, used where no model is named."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        deriver: Deriver,
        corrector: Corrector,
        testimony: Testimony,
        usual: Callable[[], Engine | None],
        clock_ns: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._deriver = deriver
        self._corrector = corrector
        self._testimony = testimony
        self._usual = usual
        self._clock_ns = clock_ns

    def due(self) -> list[RewriteRow]:
        """What was asked for and is not done, in that order."""
        return list(self._catalog.rewrites.open_rows())

    def work(self, row: RewriteRow, tape: Tape, purposes: tuple[Purpose, ...], language: str) -> None:
        """Transcribe the call again and file what was written; refused, with the reason, where no engine can."""
        corrected = self._corrector.standing(row.call_id)
        newest = max([c.revision for c in corrected.values()], default=0)
        number = row.revision if row.revision > newest else self._corrector.fresh(row.call_id)
        row = self._catalog.rewrites.turn(row, "working", self._clock_ns(), revision=number)
        try:
            means = Means(self._engine(row.model), "", language, progress=self._progress(row))
            written = self._deriver.rewrite(tape, purposes, means, corrected, number)
        except (EngineError, ModelError) as error:
            self.refuse(row, str(error) + self._so_far(row))
            return
        if written is None:
            self.refuse(row, "no purpose has a transcript of this call")
            return
        what = {"engine": written.engine, "model": written.model, "model_sha256": written.model_sha256}
        self._say("transcribed", row, revision=number, **what)
        self._catalog.rewrites.progress(row.number, 1.0)
        self._catalog.rewrites.turn(row, "done", self._clock_ns())
        self._testimony.forget(row.call_id)
        log.info("transcribed", call=row.call_id, revision=number, model=written.model)

    def refuse(self, row: RewriteRow, why: str) -> None:
        """It cannot be done."""
        self._say("transcribe.refused", row, why=why)
        self._catalog.rewrites.turn(row, "refused", self._clock_ns(), detail=why)
        self._testimony.forget(row.call_id)
        log.warning("transcribe.refused", call=row.call_id, why=why)

    def _so_far(self, row: RewriteRow) -> str:
        """Which purposes have the new version though it was not made for all."""
        made = self._catalog.artifacts(call_id=row.call_id)
        purposes = {a.purpose for a in made if a.kind is ArtifactKind.TRANSCRIPT and number_of(a) == row.revision}
        return f"; version {row.revision} was made all the same for {', '.join(sorted(purposes))}" if purposes else ""

    def _engine(self, model: str) -> Engine:
        scribe = self._settings.scribe
        if scribe.engine == "none":
            raise EngineError("transcription is switched off (scribe.engine), and with it what redaction goes by")
        models_dir = self._settings.models_dir
        engine = load(choose("auto", models_dir, model, scribe.device, scribe.workers)) if model else self._usual()
        if engine is None:
            raise EngineError(f"no model named {model} is installed" if model else "no speech model is installed")
        return engine

    def _progress(self, row: RewriteRow) -> Callable[[float], None]:
        said_s = 0.0

        def say(share: float) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= SAY_EVERY_S:
                said_s = time.monotonic()
                self._catalog.rewrites.progress(row.number, share)

        return say

    def _say(self, kind: str, row: RewriteRow, **fields: str | int) -> None:
        self._testimony.once(kind, row.call_id, None, f"rewrite {row.number}", actor=row.actor, **fields)
