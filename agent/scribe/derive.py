"""From one rebuilt call to each purpose's artifacts: derive, encrypt to its readers, file once, journal once.

The order makes it safe to be killed anywhere: file in place, then catalog row, then journal line. What has a row is
never made again; what has none is made again under the same name; a missing line is found missing and written.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.model.artifact import Artifact, Delivery
from agent.model.call import CLOCK_RATE, Party
from agent.model.purpose import ArtifactKind, Purpose
from agent.model.text import Transcript
from agent.policy.permit import central_deadline_ns, local_deadline_ns, permitted, recorded_spans
from agent.scribe import audio, outbox
from agent.scribe.channels import Tape, merge
from agent.scribe.hearing import Spans, outside, transcribe
from agent.scribe.statement import TranscriptState, body
from agent.scribe.testimony import Testimony
from agent.scribe.text import Heading, Voice, to_json, to_webvtt
from agent.store.catalog import Catalog
from agent.transcribe.engine import Engine, EngineError
from agent.vault import age
from agent.vault.manifest import sign_manifest
from agent.vault.signing import SiteKey

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """What one purpose gets of one call: permitted kinds, and the spans it may see. `empty`: nothing was captured."""

    purpose: Purpose
    kinds: tuple[ArtifactKind, ...]
    spans: Spans
    empty: bool


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to derive with. `engine` None defers transcripts for `reason`; `give_up` ends the waiting."""

    engine: Engine | None
    reason: str
    language: str
    give_up: bool = False


class Deriver:
    """Derives calls into `outbox_dir`. `going` is called between stretches of transcription and may raise to stop."""

    def __init__(
        self,
        site: str,
        outbox_dir: Path,
        catalog: Catalog,
        testimony: Testimony,
        site_key: SiteKey,
        clock_ns: Callable[[], int],
        going: Callable[[], None],
    ) -> None:
        self._site = site
        self._outbox_dir = outbox_dir
        self._catalog = catalog
        self._testimony = testimony
        self._site_key = site_key
        self._clock_ns = clock_ns
        self._going = going

    def derive(self, tape: Tape, purposes: Sequence[Purpose], means: Means) -> tuple[str, ...]:
        """Everything that can be made now. Returns the purposes whose transcript is still deferred.

        Raises OutboxFull, or whatever the catalog raises; what was filed stays filed and the rest is made next time.
        """
        filed = {a.path: a for a in self._catalog.artifacts(call_id=tape.call.call_id)}
        for artifact in filed.values():  # a kill may have come between row and line
            self._told(artifact)
        waiting = {row.purpose for row in self._catalog.deferred() if row.call_id == tape.call.call_id}
        todo = jobs(tape, purposes)
        self._catalog.set_quality(tape.call.call_id, tape.quality(merge([s for job in todo for s in job.spans])))
        for job in todo:
            if ArtifactKind.AUDIO in job.kinds and not job.empty:
                self._audio(tape, job, filed)
        heard: dict[Spans, Transcript] = {}
        deferred = []
        for job in todo:
            state = self._text(tape, job, means, filed, heard)
            again = job.purpose.name in waiting
            if state.state == "deferred":
                deferred.append(job.purpose.name)
                self._defer(tape, job, state, again)
            self._manifest(tape, job, state, filed, 2 if again and state.state != "deferred" else 1)
            if again and state.state != "deferred":
                if state.state == "given-up":
                    self._testimony.once("deferred", tape.call.call_id, job.purpose.name, "given-up", state=state.state)
                self._catalog.clear_deferred(tape.call.call_id, job.purpose.name)
        return tuple(deferred)

    def _audio(self, tape: Tape, job: Job, filed: dict[str, Artifact]) -> None:
        audio_format = job.purpose.audio_format
        self._file(
            tape,
            job,
            ArtifactKind.AUDIO,
            f"audio.{audio_format.value}",
            audio.media_type(audio_format),
            lambda: audio.encode(tape.heard(job.spans).channels, tape.rate, audio_format),
            filed,
        )

    def _text(
        self, tape: Tape, job: Job, means: Means, filed: dict[str, Artifact], heard: dict[Spans, Transcript]
    ) -> TranscriptState:
        if ArtifactKind.TRANSCRIPT not in job.kinds:
            return TranscriptState("not-permitted")
        if job.empty:
            return TranscriptState("nothing-captured")
        if means.give_up:
            return TranscriptState("given-up", means.reason)
        if means.engine is None:
            return TranscriptState("deferred", means.reason)
        if job.spans not in heard:
            try:
                heard[job.spans] = transcribe(
                    means.engine, tape.heard(job.spans).channels, tape.rate, job.spans, means.language, self._going
                )
            except EngineError as error:
                log.error("transcript.failed", call=tape.call.call_id, purpose=job.purpose.name, error=str(error))
                return TranscriptState("deferred", "the engine failed")
        transcript = heard[job.spans]
        heading = _heading(tape, self._site, job)
        voices = voices_of(tape, pseudonymise=job.purpose.pseudonymise)
        self._file(
            tape,
            job,
            ArtifactKind.TRANSCRIPT,
            "transcript.json",
            "application/json",
            lambda: to_json(heading, voices, transcript),
            filed,
        )
        self._file(
            tape,
            job,
            ArtifactKind.SUBTITLES,
            "subtitles.vtt",
            "text/vtt",
            lambda: to_webvtt(heading, voices, transcript),
            filed,
        )
        t = transcript
        return TranscriptState("done", "", t.engine, t.model, t.model_digest, t.test_only)

    def _defer(self, tape: Tape, job: Job, state: TranscriptState, again: bool) -> None:
        if not again:
            self._catalog.defer(tape.call.call_id, job.purpose.name, state.detail, self._clock_ns())
        self._testimony.once("deferred", tape.call.call_id, job.purpose.name, "waits", reason=state.detail)

    def _manifest(self, tape: Tape, job: Job, state: TranscriptState, filed: dict[str, Artifact], version: int) -> None:
        made_ns = self._clock_ns()
        mine = [a for a in filed.values() if a.purpose == job.purpose.name and a.kind is not ArtifactKind.MANIFEST]
        voices = voices_of(tape, pseudonymise=True)
        self._file(
            tape,
            job,
            ArtifactKind.MANIFEST,
            "manifest.json" if version == 1 else f"manifest-{version}.json",
            "application/json",
            lambda: sign_manifest(
                body(tape, self._site, job.purpose, job.spans, voices, mine, state, made_ns, version), self._site_key
            ),
            filed,
        )

    def _file(
        self,
        tape: Tape,
        job: Job,
        kind: ArtifactKind,
        ending: str,
        media_type: str,
        make: Callable[[], bytes],
        filed: dict[str, Artifact],
    ) -> None:
        call_id, purpose = tape.call.call_id, job.purpose
        path = f"{purpose.name}/{call_id}.{ending}.age"
        artifact = filed.get(path)
        if artifact is None:
            plain = make()
            cipher = age.encrypt(plain, purpose.recipients)
            outbox.write(self._outbox_dir, path, cipher)
            made_ns = self._clock_ns()
            artifact = Artifact(
                artifact_id=hashlib.sha256(path.encode()).hexdigest()[:32],
                call_id=call_id,
                purpose=purpose.name,
                kind=kind,
                path=path,
                media_type=media_type,
                size_bytes=len(cipher),
                plain_sha256=hashlib.sha256(plain).hexdigest(),
                cipher_sha256=hashlib.sha256(cipher).hexdigest(),
                created_ns=made_ns,
                local_deadline_ns=local_deadline_ns(purpose, made_ns),
                central_deadline_ns=central_deadline_ns(purpose, made_ns),
                destination=purpose.destination,
                delivery=Delivery.WAITING if purpose.destination else Delivery.LOCAL_ONLY,
            )
            self._catalog.add_artifact(artifact)
            filed[path] = artifact
        self._told(artifact)

    def _told(self, artifact: Artifact) -> None:
        self._testimony.once(
            "derived",
            artifact.call_id,
            artifact.purpose,
            artifact.path,
            path=artifact.path,
            cipher_sha256=artifact.cipher_sha256,
            size=artifact.size_bytes,
        )


def jobs(tape: Tape, purposes: Sequence[Purpose]) -> list[Job]:
    """What each purpose that was kept may have, in the order of the configuration."""
    found = []
    for purpose in purposes:
        kept = any(m.purpose == purpose.name and m.verb in ("select", "keep") for m in tape.marks)
        kinds = permitted(purpose, kept)
        if kinds:
            spans = recorded_spans(list(tape.marks), purpose, tape.samples)
            found.append(Job(purpose, kinds, spans, not _overlap(tape.captured, spans)))
    return found


def voices_of(tape: Tape, *, pseudonymise: bool) -> list[Voice]:
    """The parties by channel and in order of coming, without numbers and names where `pseudonymise` demands it."""
    known = list(tape.call.parties)
    named = {p.channel for p in known}
    start_ns = tape.call.started_ns
    known += [Party("", "", joined_ns=start_ns, channel=c) for c in range(len(tape.lines)) if c not in named]
    known.sort(key=lambda p: (p.channel is None, p.channel or 0, p.joined_ns))
    voices = [
        Voice(
            f"p{n}",
            p.role.value,
            p.channel,
            p.number or None,
            p.name or None,
            max(0, p.joined_ns - start_ns) / 1e9,
            None if p.left_ns is None else max(0, p.left_ns - start_ns) / 1e9,
        )
        for n, p in enumerate(known, 1)
    ]
    return [v.anonymous() for v in voices] if pseudonymise else voices


def _heading(tape: Tape, site: str, job: Job) -> Heading:
    absent = tuple((a / CLOCK_RATE, b / CLOCK_RATE) for a, b in outside(job.spans, tape.samples))
    return Heading(tape.call.call_id, site, job.purpose.name, tape.call.started_ns, tape.samples / CLOCK_RATE, absent)


def _overlap(captured: Sequence[Spans], spans: Spans) -> bool:
    return any(max(a, c) < min(b, d) for channel in captured for c, d in channel for a, b in spans)
