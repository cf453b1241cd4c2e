"""What a purpose may not have, told span by span, and what its audio has there."""

import numpy as np
import pytest

from agent.model.gate import GateMark, GateState
from agent.model.purpose import ArtifactKind, KeepFrom, PausedSound, Purpose, Trigger
from agent.scribe.absence import Mask, absences, never_began, why_nothing, without
from agent.scribe.paused import PEAK, dressed, shifted, tone

CALL = "0192" + "0" * 28
R, P, A, AP = GateState.RECORDING, GateState.PAUSED, GateState.ARMED, GateState.ARMED_PAUSED
END = 80000


def mark(verb: str, state: GateState, since: int, actor: str = "policy", reason: str = "", cause: str = "") -> GateMark:
    return GateMark(CALL, since, "evidence", verb, state, since, actor, reason, cause)


def purpose(keep_from: KeepFrom = KeepFrom.START) -> Purpose:
    return Purpose("evidence", Trigger.ON_DEMAND, (ArtifactKind.AUDIO,), (), None, keep_from=keep_from)


def told(marks: list[GateMark], spans: tuple[tuple[int, int], ...], masks: tuple[Mask, ...] = (), **of: KeepFrom):
    return [(a.start, a.end, a.verb, a.actor, a.until) for a in absences(marks, purpose(**of), spans, masks, END)]


def test_a_pause_says_who_began_it_what_held_it_and_what_ended_it() -> None:
    marks = [
        mark("select", R, 0),
        mark("pause", P, 8000, "agent:201", "card", "agent"),
        mark("pause", P, 9000, "context:201", "page", "context:payment"),
        mark("limit", R, 40000),
        GateMark(CALL, 0, "training", "pause", P, 50000, "agent:202"),
    ]
    (pause,) = absences(marks, purpose(), ((0, 8000), (40000, END)), (), END)
    assert (pause.actor, pause.reason, pause.until) == ("agent:201", "card", "limit")
    assert pause.causes == ("agent", "context:payment")


def test_what_was_not_asked_for_is_no_pause_and_a_pause_before_keep_is_one_only_where_it_would_be_kept() -> None:
    marks = [mark("arm", A, 0), mark("pause", AP, 8000, "agent:201"), mark("resume", A, 16000), mark("keep", R, 24000)]
    assert told(marks, ((0, 8000), (16000, END))) == [(8000, 16000, "pause", "agent:201", "resume")]
    (asked,) = told(marks, ((24000, END),), keep_from=KeepFrom.PRESS)
    assert asked == (0, 24000, "arm", "", "")


def test_masks_lie_beside_and_under_pauses_and_are_told_apart() -> None:
    masks = (Mask(4000, 12000, "cli:root", "slipped", 5), Mask(70000, 90000, "cli:root", "too", 5))
    marks = [mark("select", R, 0), mark("pause", P, 8000, "agent:201"), mark("resume", R, 16000)]
    spans = without(((0, 8000), (16000, END)), masks)
    assert spans == ((0, 4000), (16000, 70000))
    assert told(marks, spans, masks) == [
        (4000, 8000, "mask", "cli:root", ""),
        (8000, 16000, "pause", "agent:201", "resume"),
        (70000, END, "mask", "cli:root", ""),
    ]


def test_a_pause_to_the_end_and_what_comes_after_the_end() -> None:
    marks = [mark("select", R, 0), mark("pause", P, 8000, "agent:201"), mark("end", GateState.ENDED, 60000)]
    assert told(marks, ((0, 8000),)) == [(8000, 60000, "pause", "agent:201", "end"), (60000, END, "end", "", "")]


@pytest.mark.parametrize(
    ("marks", "why"),
    [
        ([mark("arm", A, 0)], "keep was never pressed"),
        ([mark("wait", GateState.WAITING, 0)], "consent was never given"),
        ([], "recording never began"),
    ],
)
def test_what_never_began_says_why(marks: list[GateMark], why: str) -> None:
    assert never_began(marks, purpose()) == why


def test_what_has_nothing_says_why() -> None:
    pause = absences([mark("pause", P, 0, "agent:201")], purpose(), (), (), END)
    assert why_nothing((), pause) == "it was paused all through"
    masked = absences([mark("select", R, 0)], purpose(), (), (Mask(0, END, "cli:root", "", 0),), END)
    assert why_nothing((), masked) == "all of it was masked"
    assert why_nothing(((0, END),), ()) == "no media came"


def test_a_pause_while_waiting_is_one_once_consent_was_given_for_that_time() -> None:
    waiting = [
        mark("wait", GateState.WAITING, 0),
        mark("pause", GateState.WAITING_PAUSED, 8000, "agent:201"),
        mark("resume", GateState.WAITING, 16000),
    ]
    spans = ((0, 8000), (16000, END))
    assert told([*waiting, mark("select", R, 0)], spans) == [(8000, 16000, "pause", "agent:201", "resume")]
    late = told([*waiting, mark("select", R, 24000)], ((24000, END),))
    assert [(a, b, verb) for a, b, verb, *_ in late] == [(0, 24000, "wait")]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_tone_fills_what_was_paused_and_touches_nothing_else(rate: int) -> None:
    scale = rate // 8000
    pcm = np.random.default_rng(1).integers(-9000, 9000, (2, 6 * rate)).astype(np.int16)
    pcm[:, rate : 4 * rate] = 0
    before = pcm.copy()
    heard = dressed(pcm, rate, ((8000, 32000),), PausedSound.TONE)
    assert np.array_equal(pcm, before), "what was given is left alone"
    inside = heard[:, 8000 * scale : 32000 * scale]
    assert np.array_equal(inside[0], tone(24000 * scale, rate)) and np.array_equal(inside[0], inside[1])
    assert np.array_equal(heard[:, :rate], pcm[:, :rate]) and np.array_equal(heard[:, 4 * rate :], pcm[:, 4 * rate :])
    assert PEAK * 0.95 < np.abs(inside).max() <= PEAK, "soft"
    loudest = int(np.argmax(np.abs(np.fft.rfft(inside[0].astype(float))))) / 3
    assert abs(loudest - 425) < 8
    loud = [bool(np.abs(inside[0, n : n + rate // 20]).max() > 100) for n in range(0, 2 * rate, rate // 20)]
    assert loud == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 31, "two beeps every two seconds"


def test_cut_takes_the_time_out_and_silence_leaves_all_as_it_is() -> None:
    pcm = np.arange(40000, dtype=np.int16)[None]
    cut = dressed(pcm, 8000, ((8000, 16000), (32000, 48000)), PausedSound.CUT)
    assert np.array_equal(cut, np.concatenate([pcm[:, :8000], pcm[:, 16000:32000]], axis=1))
    assert dressed(pcm, 8000, ((8000, 16000),), PausedSound.SILENCE) is pcm
    assert dressed(pcm, 8000, (), PausedSound.TONE) is pcm
    cuts = ((1.0, 2.0), (4.0, 6.0))
    assert [shifted(s, cuts) for s in (0.5, 1.5, 3.0, 7.0)] == [0.5, 1.0, 2.0, 4.0]
