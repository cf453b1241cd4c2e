"""What is said to the agent, in French and in English."""

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass

from greffier_desk.state import Light, Note, Reason, State, Verb, call_light, shown_light


@dataclass(frozen=True, slots=True)
class Words:
    """One language."""

    lights: Mapping[Light, str]
    failed: Mapping[Verb, str]
    reasons: Mapping[Reason, str]
    notes: Mapping[Note, str]
    held_by: str
    key: str
    again: str
    seen: str
    paused_for: str
    quit: str
    press: str


ENGLISH = Words(
    lights={
        Light.OFFLINE: "OFFLINE",
        Light.NO_CALL: "NO CALL",
        Light.NOT_RECORDING: "NOT RECORDED",
        Light.RECORDING: "RECORDING",
        Light.PAUSED: "PAUSED",
        Light.WARNING: "STILL PAUSED",
        Light.FAILED: "FAILED",
    },
    failed={Verb.PAUSE: "NOT PAUSED", Verb.RESUME: "NOT RESUMED", Verb.KEEP: "NOT KEPT"},
    reasons={
        Reason.STARTING: "connecting",
        Reason.UNREACHABLE: "the recorder cannot be reached",
        Reason.SILENT: "the recorder does not answer",
        Reason.TOKEN: "the token is not accepted: tell IT",
        Reason.FORBIDDEN: "the token is another agent's: tell IT",
        Reason.PIN: "the recorder shows another certificate than expected: tell IT",
        Reason.CERTIFICATE: "the recorder's certificate is not trusted: tell IT",
        Reason.NO_CALL: "the recorder knows no call of yours",
        Reason.RECORDER: "the recorder cannot do it now",
        Reason.ANSWER: "the recorder's answer is not understood: tell IT",
        Reason.STILL_RECORDING: "the call is still recorded",
        Reason.SLEPT: "this computer was asleep",
    },
    notes={
        Note.KEPT: "this call is kept",
        Note.HELD_BY_OTHER: "paused by something else: ends with it",
        Note.RESUMED_BY_LIMIT: "pause too long: recording again",
        Note.PEDAL_GONE: "the pedal is unplugged: use the key",
    },
    held_by="also paused by: {}",
    key="{}: pause / resume",
    again="press again",
    seen="Seen",
    paused_for="for {}",
    quit="Quit",
    press="Pause / resume",
)

FRENCH = Words(
    lights={
        Light.OFFLINE: "HORS LIGNE",
        Light.NO_CALL: "PAS D’APPEL",
        Light.NOT_RECORDING: "NON ENREGISTRÉ",
        Light.RECORDING: "ENREGISTREMENT",
        Light.PAUSED: "EN PAUSE",
        Light.WARNING: "TOUJOURS EN PAUSE",
        Light.FAILED: "ÉCHEC",
    },
    failed={Verb.PAUSE: "PAS EN PAUSE", Verb.RESUME: "PAS REPRIS", Verb.KEEP: "PAS CONSERVÉ"},
    reasons={
        Reason.STARTING: "connexion en cours",
        Reason.UNREACHABLE: "l’enregistreur est injoignable",
        Reason.SILENT: "l’enregistreur ne répond pas",
        Reason.TOKEN: "jeton refusé : prévenez l’informatique",
        Reason.FORBIDDEN: "jeton d’un autre agent : prévenez l’informatique",
        Reason.PIN: "certificat inattendu de l’enregistreur : prévenez l’informatique",
        Reason.CERTIFICATE: "certificat de l’enregistreur non reconnu : prévenez l’informatique",
        Reason.NO_CALL: "l’enregistreur ne voit aucun appel de vous",
        Reason.RECORDER: "l’enregistreur ne peut pas le faire",
        Reason.ANSWER: "réponse incomprise : prévenez l’informatique",
        Reason.STILL_RECORDING: "l’appel est toujours enregistré",
        Reason.SLEPT: "cet ordinateur était en veille",
    },
    notes={
        Note.KEPT: "cet appel est conservé",
        Note.HELD_BY_OTHER: "en pause pour une autre cause : finit avec elle",
        Note.RESUMED_BY_LIMIT: "pause trop longue : l’enregistrement reprend",
        Note.PEDAL_GONE: "pédale débranchée : utilisez la touche",
    },
    held_by="aussi en pause : {}",
    key="{} : pause / reprise",
    again="appuyez encore",
    seen="Vu",
    paused_for="depuis {}",
    quit="Quitter",
    press="Pause / reprise",
)


def words_of(lang: str) -> Words:
    """The words of `fr` or `en`; `auto`: those of this desktop."""
    if lang == "auto":
        named = next((v for n in ("LC_ALL", "LC_MESSAGES", "LANG") if (v := os.environ.get(n))), None)
        lang = named or locale.getlocale()[0] or "en"
    return FRENCH if lang.lower().startswith("fr") else ENGLISH


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: the light, its word, a line below it, and what the button says when something must be seen."""

    light: Light
    title: str
    detail: str
    button: str = ""


def view_of(state: State, words: Words, key: str, now: float) -> View:
    """What the agent sees of a state. `key`: the name of the key to press."""
    light = shown_light(state)
    if state.failure is None:
        return View(light, words.lights[light], _detail(state, words, key, now))
    below = call_light(state)
    detail = f"{words.reasons[state.failure.reason]}; {words.again}"
    if below is Light.OFFLINE:
        detail = f"{words.lights[below]}: {words.reasons[state.why]}; {words.again}"
    return View(light, words.failed[state.failure.verb], detail, words.seen)


def _detail(state: State, words: Words, key: str, now: float) -> str:
    light = call_light(state)
    if state.note:
        return words.notes[state.note]
    if light is Light.OFFLINE:
        return words.reasons[state.why]
    known = state.known
    if known is None or not light.is_closed:
        return words.key.format(key) if light is Light.RECORDING and key else ""
    others = sorted(name.partition(":")[2] or name for name in known.causes if name != "agent")
    if others:
        return words.held_by.format(", ".join(others)[:40])
    if known.paused_s is None:
        return ""
    minutes, seconds = divmod(int(known.paused_s + now - state.known_at), 60)
    return words.paused_for.format(f"{minutes}:{seconds:02}")
