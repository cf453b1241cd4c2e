"""The gate table: total, never writing while paused, and ended for good."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.model.gate import GateMark, GateState
from agent.model.purpose import ArtifactKind, Decision, KeepFrom, Purpose, Trigger
from agent.policy.gate import TABLE, step, verb_of, writes
from agent.policy.permit import central_deadline_ns, local_deadline_ns, permitted, recorded_spans

VERBS = ("select", "arm", "keep", "pause", "resume", "limit", "end")
EVIDENCE = Purpose(
    "evidence",
    Trigger.ON_DEMAND,
    (ArtifactKind.AUDIO, ArtifactKind.TRANSCRIPT),
    ("age1x",),
    "c",
    local_retention_s=10,
    central_retention_s=100,
)


def marks(*steps):
    state, found = GateState.IDLE, []
    for verb, at in steps:
        state = step(state, verb)
        found.append(GateMark("c", 0, "evidence", verb, state, at, "x"))
    return found


@given(st.lists(st.sampled_from(VERBS)))
def test_after_a_pause_nothing_writes_until_resume_or_limit(verbs):
    state, paused = GateState.IDLE, False
    for verb in verbs:
        before = state
        state = step(state, verb)
        if verb == "pause" and before in (GateState.RECORDING, GateState.ARMED):
            paused = True
        if verb in ("resume", "limit", "end"):
            paused = False
        if paused:
            assert not writes(state, EVIDENCE)


def test_every_pair_outside_the_table_leaves_the_state():
    for state in GateState:
        for verb in VERBS:
            assert step(state, verb) is TABLE.get((state, verb), state)
    assert all(step(GateState.ENDED, verb) is GateState.ENDED for verb in VERBS)


def test_armed_writes_only_when_it_keeps_from_the_start_and_nothing_permits_nothing():
    assert writes(GateState.ARMED, EVIDENCE)
    assert not writes(GateState.ARMED, replace(EVIDENCE, keep_from=KeepFrom.PRESS))
    assert not writes(GateState.RECORDING, replace(EVIDENCE, artifacts=()))


def test_verb_ofs():
    assert verb_of(Decision("p", False, Trigger.ALL, "")) == "exclude"
    assert verb_of(Decision("p", True, Trigger.PERCENT, "")) == "select"
    assert verb_of(Decision("p", True, Trigger.ON_DEMAND, "")) == "arm"


def test_s15_keep_shows_the_call_from_its_start_or_from_the_press():
    pressed = marks(("arm", 0), ("keep", 400), ("end", 1000))
    assert recorded_spans(pressed, EVIDENCE, 1000) == ((0, 1000),)
    assert recorded_spans(pressed, replace(EVIDENCE, keep_from=KeepFrom.PRESS), 1000) == ((400, 1000),)


def test_never_kept_shows_nothing():
    assert recorded_spans(marks(("arm", 0), ("end", 1000)), EVIDENCE, 1000) == ()


def test_pauses_before_and_after_keep_are_absent():
    pressed = marks(
        ("arm", 0), ("pause", 100), ("resume", 200), ("keep", 400), ("pause", 500), ("limit", 600), ("end", 900)
    )
    assert recorded_spans(pressed, EVIDENCE, 900) == ((0, 100), (200, 500), (600, 900))


def test_kept_while_paused_and_never_resumed_shows_what_came_before_the_pause():
    pressed = marks(("arm", 0), ("pause", 100), ("keep", 400), ("end", 900))
    assert recorded_spans(pressed, EVIDENCE, 900) == ((0, 100),)


def test_a_log_that_breaks_off_is_open_to_its_end():
    assert recorded_spans(marks(("select", 0)), EVIDENCE, 500) == ((0, 500),)


def test_permitted_artifacts_and_deadlines():
    made = {ArtifactKind.AUDIO, ArtifactKind.TRANSCRIPT, ArtifactKind.SUBTITLES, ArtifactKind.MANIFEST}
    assert set(permitted(EVIDENCE, kept=True)) == made
    assert permitted(EVIDENCE, kept=False) == ()
    assert permitted(replace(EVIDENCE, artifacts=()), kept=True) == ()
    assert ArtifactKind.AUDIO not in permitted(replace(EVIDENCE, artifacts=(ArtifactKind.TRANSCRIPT,)), kept=True)
    assert local_deadline_ns(EVIDENCE, 5) == 10_000_000_005
    assert central_deadline_ns(EVIDENCE, 5) == 100_000_000_005
    assert central_deadline_ns(replace(EVIDENCE, central_retention_s=0), 5) == 0
