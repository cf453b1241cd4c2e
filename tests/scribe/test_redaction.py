"""Redaction of a whole call: hidden in text, silent in sound, counted in the manifest, for each purpose by itself."""

import io
import json
import time
from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError
from scripted_engine import ScriptEngine
from working import CALL, channels, manifest, opened, run, settle, tones

from agent.config.purposes import PurposeSection, Sensitive
from agent.model.purpose import Trigger
from agent.model.redaction import Policy, SecretKind, Treatment
from agent.model.text import Segment
from agent.scribe import engineroom, rewrite
from agent.scribe.purposes import Purposes
from agent.store.rows import RewriteRow
from agent.transcribe.engine import Engine

CUSTOMER, AGENT = 0, 1
SAID = {
    CUSTOMER: [(1.0, "my"), (1.4, "card"), (2.0, "4532"), (2.5, "0151"), (3.0, "1283"), (3.5, "0366"), (7.0, "thanks")],
    AGENT: [(5.0, "call"), (5.4, "me"), (5.8, "on"), (6.2, "07700"), (6.6, "900123")],
}


@pytest.fixture
def has_engine(monkeypatch: pytest.MonkeyPatch) -> list[Engine | None]:
    """What engine the site finds: a scripted one, until a test says otherwise."""
    found: list[Engine | None] = [ScriptEngine(SAID, "en")]
    monkeypatch.setattr(engineroom, "load", lambda *_: found[0])
    return found


def text_of(site, purpose: str) -> list[str]:
    """What each party says."""
    said = [(s["channel"], s["text"]) for s in json.loads(opened(site, f"{purpose}/transcript.json"))["segments"]]
    return [" ".join(text for number, text in said if number == channel) for channel in (0, 1)]


@pytest.mark.usefixtures("has_engine")
def test_each_purpose_hides_what_it_must_and_nothing_else(make_site) -> None:
    site = make_site("auto")
    taped = site.tape(CALL, tones(9), keep_at=8000)
    run(site)
    assert text_of(site, "evidence") == ["my card 4532 0151 1283 0366 thanks", "call me on 07700 900123"]
    assert text_of(site, "training") == ["my card [CARD] thanks", "call me on 07700 900123"]
    assert text_of(site, "analytics") == ["my card [CARD] thanks", "call me on [PHONE]"]
    for purpose in ("training", "analytics"):
        assert "4532" not in opened(site, f"{purpose}/subtitles.vtt").decode()
    whole = channels(opened(site, "evidence/audio.flac"))
    assert np.array_equal(whole, np.stack([taped.sent(0), taped.sent(1)]))


def loudness(site) -> Callable[[int, float, float], float]:
    """How loud training's audio is: by channel, from second to second."""
    with av.open(io.BytesIO(opened(site, "training/audio.opus"))) as container:
        rate = container.streams.audio[0].rate
        frames = [f.to_ndarray() for f in container.decode(audio=0)]
        planes = frames[0].shape[0]
        heard = np.concatenate([f if planes == 2 else f.reshape(-1, 2).T for f in frames], axis=1)
    return lambda channel, a, b: float(np.abs(heard[channel, int(a * rate) : int(b * rate)]).max())


@pytest.mark.usefixtures("has_engine")
def test_audio_is_silent_where_the_card_is_said_on_the_channel_that_says_it(make_site) -> None:
    site = make_site("auto")
    pcm = tones(9)
    pcm[0][int(4.0 * 8000) : int(6.8 * 8000)] = 0
    site.tape(CALL, pcm, keep_at=8000)
    run(site)
    loud = loudness(site)
    full = loud(1, 1.0, 8.0)
    assert loud(0, 1.8, 3.9) < 0.02 * full
    assert loud(0, 0.5, 1.4) > 0.5 * full and loud(0, 7.0, 8.5) > 0.5 * full
    assert loud(1, 1.8, 3.9) > 0.5 * full


@pytest.mark.usefixtures("has_engine")
def test_the_manifest_counts_and_says_no_more(make_site) -> None:
    site = make_site("auto")
    site.tape(CALL, tones(9), keep_at=8000)
    run(site)
    told = {p: manifest(site, f"{p}/manifest.json")["redaction"] for p in ("evidence", "training", "analytics")}
    assert told["evidence"] == {"mask": [], "pseudonymise": [], "hidden": None}
    assert told["training"] == {"mask": ["card", "cvv", "expiry", "iban"], "pseudonymise": [], "hidden": {"card": 1}}
    assert told["analytics"]["hidden"] == {"card": 1, "phone": 1}
    for purpose in told:
        assert "4532" not in json.dumps(manifest(site, f"{purpose}/manifest.json"))


def test_audio_that_cannot_be_redacted_waits_and_is_never_handed_out_as_it_is(make_site, has_engine) -> None:
    site = make_site("auto", deferred_limit_s=3600)
    site.tape(CALL, tones(9), keep_at=8000)
    has_engine[0] = None
    scribe = run(site)
    assert "evidence/audio.flac" in site.outbox() and "training/audio.opus" not in site.outbox()
    has_engine[0] = ScriptEngine(SAID, "en")
    scribe._finisher._room._next_look = 0.0
    settle(scribe)
    assert "training/audio.opus" in site.outbox()
    assert "[CARD]" in text_of(site, "training")[0]


def test_audio_that_never_can_be_redacted_is_withheld_and_said_to_be(make_site, has_engine) -> None:
    site = make_site("auto", deferred_limit_s=0)
    site.tape(CALL, tones(9), keep_at=8000)
    has_engine[0] = None
    run(site)
    assert "evidence/audio.flac" in site.outbox() and "training/audio.opus" not in site.outbox()
    told = [manifest(site, name) for name in site.outbox() if name.startswith("training/manifest")]
    assert any("withheld" in one["transcript"]["detail"] for one in told)
    assert all(one["redaction"]["hidden"] is None for one in told)


def test_what_is_hidden_by_default_goes_by_the_name() -> None:
    def hidden(name: str, **said: object) -> Policy:
        return PurposeSection(trigger=Trigger.ALL, **said).redaction(name, has_names=False)

    assert hidden("evidence") == hidden("other") == Policy()
    assert hidden("training").mask == {SecretKind.CARD, SecretKind.CVV, SecretKind.EXPIRY, SecretKind.IBAN}
    assert SecretKind.PHONE in hidden("analytics").mask
    assert hidden("training", redact=[]) == Policy()
    chosen = hidden("other", redact={"phone": "pseudonymise", "card": "mask", "email": "keep"})
    assert chosen.pseudonymise == {SecretKind.PHONE} and SecretKind.CARD in chosen.mask
    assert SecretKind.EMAIL not in chosen.hidden
    with pytest.raises(ValidationError):
        hidden("other", redact=["names"])


def test_redacted_audio_needs_an_engine(make_site) -> None:
    site = make_site("none")
    settings = site.settings
    section = settings.purpose["training"].model_copy(update={"redact": {Sensitive.CARD: Treatment.MASK}})
    with pytest.raises(ValidationError, match=r"scribe\.engine"):
        type(settings).model_validate(
            settings.model_dump() | {"purpose": {"training": section.model_dump(mode="json")}}
        )


def test_sound_whose_text_is_not_believed_is_silent_as_well(make_site, has_engine) -> None:
    """Nobody knows what was said there: it may have been the number."""

    class Doubts(ScriptEngine):
        def transcribe(
            self, pcm16k: npt.NDArray[np.float32], language: str, channel: int, offset_s: float
        ) -> tuple[Segment, ...]:
            said = super().transcribe(pcm16k, language, channel, offset_s)
            return tuple(replace(segment, doubt=channel == CUSTOMER) for segment in said)

    has_engine[0] = Doubts(SAID, "en")
    site = make_site("auto")
    site.tape(CALL, tones(9), keep_at=8000)
    run(site)
    loud = loudness(site)
    full = loud(AGENT, 1.0, 8.0)
    assert loud(CUSTOMER, 1.2, 7.0) < 0.02 * full and loud(CUSTOMER, 0.1, 0.8) > 0.5 * full


def test_a_text_written_again_makes_no_other_audio(make_site, has_engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that hears worse would let the number through."""
    site = make_site("auto", window="1 h")
    site.tape(CALL, tones(9), keep_at=8000)
    scribe = run(site)
    monkeypatch.setattr(rewrite, "load", lambda *_: has_engine[0])
    scribe.catalog.rewrites.ask(RewriteRow(CALL, "other", "cli:ann", time.time_ns()))
    settle(scribe)
    assert "training/transcript-2.json" in site.outbox()
    assert [name for name in site.outbox() if name.startswith("training/audio")] == ["training/audio.opus"]


def test_what_is_redacted_goes_by_the_engine_that_runs(make_site) -> None:
    site = make_site("auto")
    purposes = Purposes(site.settings)
    text = site.config.read_text().replace('engine = "auto"', 'engine = "none"')
    site.config.write_text(text + "\n# saved, and not restarted\n")
    purposes.refresh()
    hidden = {p.name: bool(p.redaction.hidden) for p in purposes.known}
    assert hidden["training"] and hidden["analytics"]
