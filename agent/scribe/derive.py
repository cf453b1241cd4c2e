"""From one rebuilt call to each purpose's artifacts: derive, encrypt to its readers, file once, journal once.

Corrections (`agent.scribe.correct`) make a new revision of what a purpose has: derived anew without what was masked,
then what there was before is withdrawn, and the manifest of the new revision says so. See `agent.scribe.filing` for why
it is safe to be killed anywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from agent.model.artifact import Artifact
from agent.model.call import CLOCK_RATE
from agent.model.purpose import ABOUT, ArtifactKind, Purpose
from agent.model.redaction import SecretKind
from agent.model.spans import merge
from agent.model.text import Transcript
from agent.scribe import audio
from agent.scribe.absence import never_began, why_nothing
from agent.scribe.channels import Tape
from agent.scribe.correct import Corrected
from agent.scribe.filing import Filed, Filing, number_of, path_of
from agent.scribe.findable import Findable
from agent.scribe.hearing import Spans, outside, transcribe
from agent.scribe.jobs import Job, dropped, jobs
from agent.scribe.languages import AUTO
from agent.scribe.nameroom import NameRoom
from agent.scribe.paused import dressed
from agent.scribe.statement import TranscriptState, body, cuts_of, hand_spans
from agent.scribe.subtitles import AS
from agent.scribe.testimony import Testimony
from agent.scribe.text import Heading, Voice, to_json
from agent.scribe.vcon import MEDIA_TYPE as VCON
from agent.scribe.vcon import Contents, Recording, signed_vcon
from agent.scribe.voices import voices_of
from agent.scribe.withdrawal import Withdrawal
from agent.store.catalog import Catalog
from agent.store.rows import DeferredRow, WrittenRow
from agent.transcribe.engine import Engine, EngineError
from agent.transcribe.entities import NamesError
from agent.transcribe.redaction.apply import Redacted, pseudonym_key
from agent.transcribe.redaction.silence import hushed, silenced
from agent.vault.manifest import sign_manifest
from agent.vault.signing import SiteKey

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to derive with. `engine` None defers transcripts for `reason`; `give_up` ends the waiting;
    `progress` is told the share (0..1) of a transcription that is done."""

    engine: Engine | None
    reason: str
    language: str
    give_up: bool = False
    progress: Callable[[float], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Purposes whose transcript is deferred; `names`: for nothing but what finds names, with which the engine has
    nothing to do."""

    purposes: tuple[str, ...]
    names: bool


class Deriver:
    """Derives calls. `pseudonyms`: the key from which that of each purpose's pseudonyms comes. `going` is called
    between stretches of transcription and may raise to stop."""

    def __init__(
        self,
        site: str,
        catalog: Catalog,
        filing: Filing,
        withdrawal: Withdrawal,
        testimony: Testimony,
        site_key: SiteKey,
        pseudonyms: bytes,
        clock_ns: Callable[[], int],
        going: Callable[[], None],
        findable: Findable,
        names: NameRoom,
    ) -> None:
        self._site = site
        self._catalog = catalog
        self._filing = filing
        self._withdrawal = withdrawal
        self._testimony = testimony
        self._site_key = site_key
        self._pseudonyms = pseudonyms
        self._clock_ns = clock_ns
        self._going = going
        self._findable = findable
        self._names = names

    def derive(
        self, tape: Tape, purposes: Sequence[Purpose], means: Means, corrected: Mapping[str, Corrected]
    ) -> Waiting:
        """Everything that can be made now. Returns the purposes whose transcript is still deferred.

        Raises OutboxFull, or whatever the catalog raises; what was filed stays filed and the rest is made next time.
        """
        filed = self._filing.of_call(tape.call.call_id)
        waiting = {row.purpose: row for row in self._catalog.deferred() if row.call_id == tape.call.call_id}
        todo = jobs(tape, purposes, corrected)
        again = any(job.corrected.revision > 1 for job in todo)
        heard_by_some = tuple(merge(s for job in todo for s in job.spans))
        self._catalog.set_quality(tape.call.call_id, tape.quality(heard_by_some), again=again)
        self._say_nothing(tape, purposes, todo)
        todo = [job for job in todo if not self._is_made(tape, job, waiting, filed)]
        for job in todo:
            if ArtifactKind.AUDIO in job.kinds and not job.empty and not job.purpose.redaction.hidden:
                self._audio(tape, job, filed)
        heard: dict[Spans, Transcript] = {}
        deferred = []
        unnamed = True
        for job in todo:
            state = self._text(tape, job, means, filed, heard)
            before = waiting.get(job.purpose.name)
            again = before is not None and before.version > job.corrected.revision
            if state.state == "deferred":
                deferred.append(job.purpose.name)
                unnamed = unnamed and state.unnamed
                if not again:
                    self._defer(tape, job, state, before)
            replaced = self._replaced(job, filed)
            ends = before is not None and again and state.state != "deferred"
            version = before.version if before is not None and ends else job.corrected.revision
            self._manifest(tape, job, state, filed, version, replaced)
            self._withdrawal.destroy([a for a, _ in replaced], f"replaced by revision {job.corrected.revision}: masked")
            if before is not None and state.state != "deferred":
                if state.state == "given-up":
                    self._testimony.once("deferred", tape.call.call_id, job.purpose.name, "given-up", state=state.state)
                self._catalog.clear_deferred(tape.call.call_id, job.purpose.name)
        return Waiting(tuple(deferred), bool(deferred) and unnamed)

    def rewrite(
        self, tape: Tape, purposes: Sequence[Purpose], means: Means, corrected: Mapping[str, Corrected], number: int
    ) -> TranscriptState | None:
        """New versions, numbered so, of the texts that purposes have, beside those there are. Returns what wrote them.

        Audio stays as it was silenced first.

        None where no purpose has any. Raises EngineError, and as `derive`.
        """
        call_id, state = tape.call.call_id, None
        filed = self._filing.of_call(call_id)
        heard: dict[Spans, Transcript] = {}
        for job in jobs(tape, purposes, corrected):
            if ArtifactKind.TRANSCRIPT not in job.kinds or job.empty:
                continue
            if path_of(call_id, job.purpose, ArtifactKind.MANIFEST, job.corrected.revision, "json") not in filed:
                continue
            shown = replace(job, corrected=replace(job.corrected, revision=number))
            state = self._text(tape, shown, means, filed, heard, again=True)
            if state.state != "done":
                raise EngineError(state.detail)
            self._manifest(tape, job, state, filed, number, ())
        return state

    def lacking(self, tape: Tape, purposes: Sequence[Purpose], corrected: Mapping[str, Corrected]) -> set[str]:
        """Those of these purposes that are to have something of the call which is not made yet."""
        filed = self._filing.of_call(tape.call.call_id)
        waiting = {row.purpose: row for row in self._catalog.deferred() if row.call_id == tape.call.call_id}
        todo = jobs(tape, purposes, corrected)
        return {job.purpose.name for job in todo if not self._is_made(tape, job, waiting, filed)}

    def _say_nothing(self, tape: Tape, purposes: Sequence[Purpose], todo: Sequence[Job]) -> None:
        """Why a purpose that applies, or would with consent, has not one sample."""
        call_id = tape.call.call_id
        reasons = {job.purpose.name: why_nothing(job.spans, job.absent) for job in todo if job.empty}
        made = {job.purpose.name for job in todo} | dropped(tape)
        for purpose in purposes:
            meant = any(d.purpose == purpose.name and (d.applies or d.waits) for d in tape.decisions)
            if meant and purpose.artifacts and purpose.name not in made:
                reasons[purpose.name] = never_began(tape.marks, purpose)
        for name, reason in reasons.items():
            self._catalog.set_nothing(call_id, name, reason)
            self._testimony.once("nothing", call_id, name, "nothing", reason=reason)

    def _is_made(self, tape: Tape, job: Job, waiting: Mapping[str, DeferredRow], filed: Filed) -> bool:
        """Whether a call that is corrected for another purpose has all there is to have for this one."""
        last = path_of(tape.call.call_id, job.purpose, ArtifactKind.MANIFEST, job.corrected.revision, "json")
        older = [a for a in _before(job, filed) if self._catalog.is_local(a.artifact_id)]
        return last in filed and job.purpose.name not in waiting and not older

    def _audio(self, tape: Tape, job: Job, filed: Filed, without: Redacted | None = None) -> None:
        """The purpose's audio, silent where something of it is redacted."""
        audio_format = job.purpose.audio_format
        media_type = audio.media_type(audio_format)
        make = partial(_sound, tape, job, without)
        self._file(tape, job, ArtifactKind.AUDIO, audio_format.value, media_type, make, filed)

    def _vcon(self, tape: Tape, job: Job, filed: Filed, done: Redacted | None, transcript: Transcript | None) -> None:
        """The purpose's vCon, of the audio and the transcript that it has."""
        if ArtifactKind.VCON not in job.kinds:
            return
        call_id, purpose = tape.call.call_id, job.purpose
        path, audio_path = (
            path_of(call_id, purpose, kind, job.corrected.revision, ending)
            for kind, ending in ((ArtifactKind.VCON, "json"), (ArtifactKind.AUDIO, purpose.audio_format.value))
        )

        def make() -> bytes:
            recording = None
            if ArtifactKind.AUDIO in job.kinds:
                name = Path(audio_path).name.removesuffix(".age")
                channels = audio.channels_of(len(tape.lines), purpose.audio_format)
                media_type = audio.media_type(purpose.audio_format)
                recording = Recording(_sound(tape, job, done), media_type, name, channels)
            left_out = [
                *([] if recording else ["audio"]),
                *(["numbers and names"] if purpose.pseudonymise else []),
                *sorted(purpose.redaction.hidden),
            ]
            voices = _voices(tape, purpose)
            heading, now_ns = _heading(tape, self._site, job), self._clock_ns()
            contents = Contents(path, heading, voices, recording, transcript, left_out, now_ns)
            return signed_vcon(contents, self._site_key)

        self._file(tape, job, ArtifactKind.VCON, "json", VCON, make, filed)

    def _text(
        self, tape: Tape, job: Job, means: Means, filed: Filed, heard: dict[Spans, Transcript], *, again: bool = False
    ) -> TranscriptState:
        policy = job.purpose.redaction
        by_text = bool(policy.hidden) and ArtifactKind.AUDIO in job.kinds
        unnamed = self._names.why_not(policy.hidden, None if means.language == AUTO else means.language)
        why_not = _why_no_text(job, means, by_text, unnamed)
        if why_not is not None and ArtifactKind.AUDIO in job.kinds and not job.empty and not by_text:
            self._vcon(tape, job, filed, None, None)
        if why_not is not None or means.engine is None:
            return why_not or TranscriptState("deferred", means.reason)
        if job.spans not in heard:

            def listening(share: float) -> None:
                self._going()
                means.progress(share)

            try:
                heard[job.spans] = transcribe(
                    means.engine, tape.heard(job.spans).channels, tape.rate, job.spans, means.language, listening
                )
            except EngineError as error:
                log.error("transcript.failed", call=tape.call.call_id, purpose=job.purpose.name, error=str(error))
                return TranscriptState("deferred", "the engine failed")
        t = heard[job.spans]
        done, hidden = None, None
        if policy.hidden:
            try:
                done = self._names.redacted(t, policy, pseudonym_key(self._pseudonyms, job.purpose.name))
            except NamesError as error:
                log.error("names.failed", call=tape.call.call_id, purpose=job.purpose.name, error=str(error))
                return TranscriptState("deferred", str(error), unnamed=True)
            t, hidden = done.transcript, dict(Counter(s.kind.value for s in done.secrets))
            if by_text and not again:
                self._audio(tape, job, filed, done)
        may_have_text = ArtifactKind.TRANSCRIPT in job.kinds
        if not again:
            self._vcon(tape, job, filed, done, t if may_have_text else None)
        if not may_have_text:
            return TranscriptState("not-permitted", hidden=hidden)
        heading = _heading(tape, self._site, job)
        voices = _voices(tape, job.purpose)
        subtitles = job.purpose.subtitles
        by = (tape.call.call_id, t.engine, t.model, t.model_digest, t.language, t.test_only)
        for kind, ending, media_type, make in (
            (ArtifactKind.TRANSCRIPT, "json", "application/json", to_json),
            (ArtifactKind.SUBTITLES, subtitles.value, subtitles.media_type, AS[subtitles]),
        ):
            path = path_of(tape.call.call_id, job.purpose, kind, job.corrected.revision, ending)
            if path not in filed:
                self._catalog.rewrites.note_written(WrittenRow(path, *by))
            self._file(tape, job, kind, ending, media_type, partial(make, heading, voices, t), filed)
        made = path_of(tape.call.call_id, job.purpose, ArtifactKind.TRANSCRIPT, job.corrected.revision, "json")
        self._findable.put(filed[made], job.purpose, voices, t)
        return TranscriptState("done", "", t.engine, t.model, t.model_digest, t.test_only, hidden)

    def _defer(self, tape: Tape, job: Job, state: TranscriptState, before: DeferredRow | None) -> None:
        since_ns = self._clock_ns() if before is None else before.at_ns
        row = DeferredRow(
            tape.call.call_id, job.purpose.name, state.detail, since_ns, version=job.corrected.revision + 1
        )
        self._catalog.defer(row)
        self._testimony.once("deferred", tape.call.call_id, job.purpose.name, "waits", reason=state.detail)

    def _replaced(self, job: Job, filed: Filed) -> list[tuple[Artifact, bool]]:
        """What this revision takes the place of, and whether each may have left: nothing of it is sent from now on."""
        older = _before(job, filed)
        left = self._withdrawal.stop(older)
        if job.corrected.row is not None:
            self._withdrawal.entomb(left, job.purpose, job.corrected.row, job.corrected.revision, filed)
        return [(a, a in left) for a in older]

    def _manifest(
        self,
        tape: Tape,
        job: Job,
        state: TranscriptState,
        filed: Filed,
        version: int,
        replaced: Sequence[tuple[Artifact, bool]],
    ) -> None:
        mine = [
            a
            for a in filed.values()
            if a.purpose == job.purpose.name and a.kind not in ABOUT and number_of(a) >= job.corrected.revision
        ]
        voices = voices_of(tape, pseudonymise=True)

        def make() -> bytes:
            told = body(
                *(tape, self._site, job.purpose, job.spans, voices, mine, state, self._clock_ns(), version),
                absent=job.absent,
                replaces=replaced,
                written=self._catalog.rewrites.written(tape.call.call_id),
                position=self._testimony.position,
            )
            return sign_manifest(told, self._site_key)

        shown = replace(job, corrected=replace(job.corrected, revision=version))
        self._file(tape, shown, ArtifactKind.MANIFEST, "json", "application/json", make, filed)

    def _file(
        self,
        tape: Tape,
        job: Job,
        kind: ArtifactKind,
        ending: str,
        media_type: str,
        make: Callable[[], bytes],
        filed: Filed,
    ) -> None:
        number = job.corrected.revision
        self._filing.file(tape.call.call_id, job.purpose, kind, number, ending, media_type, make, filed)


def _why_no_text(job: Job, means: Means, by_text: bool, unnamed: str) -> TranscriptState | None:
    """Why nothing is transcribed for a purpose; `by_text`: its audio is silenced by what its transcript says;
    `unnamed`: why names cannot be found in it, if it may have none."""
    if ArtifactKind.TRANSCRIPT not in job.kinds and not by_text:
        return TranscriptState("not-permitted")
    if job.empty:
        return TranscriptState("nothing-captured", why_nothing(job.spans, job.absent))
    withheld = "; the audio is withheld, for nobody knows what to silence" if by_text else ""
    if means.give_up:
        return TranscriptState("given-up", (means.reason or unnamed) + withheld)
    return TranscriptState("deferred", unnamed, unnamed=True) if unnamed and means.engine else None


def _before(job: Job, filed: Filed) -> list[Artifact]:
    """Artifacts of earlier revisions of the job's purpose."""
    return [
        a
        for a in filed.values()
        if a.purpose == job.purpose.name
        and a.kind is not ArtifactKind.TOMBSTONE
        and number_of(a) < job.corrected.revision
    ]


def _heading(tape: Tape, site: str, job: Job) -> Heading:
    absent, cuts = (
        tuple((a / CLOCK_RATE, b / CLOCK_RATE) for a, b in spans)
        for spans in (outside(job.spans, tape.samples), cuts_of(job.purpose, job.absent))
    )
    duration_s = tape.samples / CLOCK_RATE
    return Heading(tape.call.call_id, site, job.purpose.name, tape.call.started_ns, duration_s, absent, cuts)


def _voices(tape: Tape, purpose: Purpose) -> list[Voice]:
    """The parties as a purpose may know them: what it may not hear said stands in no heading either."""
    voices = voices_of(tape, pseudonymise=purpose.pseudonymise)
    hidden = purpose.redaction.hidden
    return [
        replace(
            voice,
            name=None if SecretKind.NAME in hidden else voice.name,
            number=None if SecretKind.PHONE in hidden else voice.number,
        )
        for voice in voices
    ]


def _sound(tape: Tape, job: Job, without: Redacted | None) -> bytes:
    pcm = tape.heard(job.spans).channels
    if without is not None:
        pcm = hushed(pcm, tape.rate, without.said, without.secrets)
        for out in without.transcript.left_out:  # nobody knows what was said there
            pcm = silenced(pcm, tape.rate, {out.channel: [(out.start_s, out.end_s)]})
    pcm = dressed(pcm, tape.rate, hand_spans(job.absent), job.purpose.paused_sound)
    return audio.encode(pcm, tape.rate, job.purpose.audio_format)
