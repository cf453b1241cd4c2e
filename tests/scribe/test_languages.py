"""The language of a call is that of its queue; asked to tell, an engine is asked once for each channel."""

import numpy as np

from agent.model.text import UNDETERMINED, Segment
from agent.scribe.hearing import transcribe
from agent.scribe.languages import language_of
from agent.transcribe.engine import Spoken


class Polyglot:
    """An engine that tells languages by loudness, hears nobody in what is quiet, and notes what it was asked."""

    name, model, digest, test_only = "polyglot", "none", "", True

    def __init__(self, only: str | None = None) -> None:
        self.only_language = only
        self.detected: list[int] = []
        self.asked: list[tuple[int, str]] = []

    def detect_language(self, pcm16k) -> Spoken | None:
        peak = int(np.abs(pcm16k).max() * 32768 + 0.5)
        self.detected.append(peak)
        return None if peak < 500 else Spoken("de" if peak > 2000 else "en", 0.9, len(pcm16k) / 16000)

    def transcribe(self, pcm16k, language: str, channel: int, offset_s: float) -> tuple[Segment, ...]:
        self.asked.append((channel, language))
        return (Segment(channel, offset_s, offset_s + len(pcm16k) / 16000, language),)


def test_the_first_pattern_that_fits_the_queue_counts() -> None:
    languages = {"support_en": "en", "support_*": "de", "*_auto": "auto"}
    asked = {"support_en": "en", "support_fr": "de", "sales_auto": "auto", "sales": "fr", None: "fr"}
    assert {queue: language_of(queue, languages, "fr") for queue in asked} == asked


def test_each_channel_is_detected_once_by_its_first_speech() -> None:
    pcm = np.zeros((3, 48000), np.int16)
    pcm[0, :16000], pcm[0, 16000:] = 100, 1000
    pcm[1], pcm[2] = 3000, 100
    engine = Polyglot()
    spans = ((0, 16000), (16500, 32500), (33000, 48000))
    made = transcribe(engine, pcm, 8000, spans, "auto")
    assert made.languages == ("en", "de", UNDETERMINED) and made.language == "en"
    assert set(engine.asked) == {(0, "en"), (1, "de")}, "and of who never speaks nothing is written"
    assert len(engine.detected) == 2 + 1 + 3
    assert [s.text for s in made.segments if s.channel == 1] == ["de"] * 3


def test_a_first_short_word_does_not_settle_the_language() -> None:
    pcm = np.full((1, 40000), 1000, np.int16)
    pcm[0, :4000] = 3000
    engine = Polyglot()
    assert transcribe(engine, pcm, 8000, ((0, 4000), (5000, 40000)), "auto").language == "en"
    alone = transcribe(engine, pcm[:, :4000], 8000, ((0, 4000),), "auto")
    assert alone.language == "de", "where nothing else was said, it is all there is to go by"


def test_a_language_that_is_known_is_not_detected() -> None:
    pcm = np.full((1, 8000), 1000, np.int16)
    told = Polyglot()
    assert transcribe(told, pcm, 8000, ((0, 8000),), "fr").language == "fr"
    english = Polyglot("en")
    made = transcribe(english, pcm, 8000, ((0, 8000),), "auto")
    assert (made.language, made.languages, english.asked) == ("en", (), [(0, "en")])
    assert told.detected == english.detected == []
