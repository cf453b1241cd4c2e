"""The clock that deadlines go by: never early, however it jumps; and right again as soon as somebody knows."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from agent.retain.clock import Anchor, Judged, Reading, Rules, Verdict, judge
from agent.retain.ntp import read_clocks, synchronised

S = 1_000_000_000
DAY = 86_400 * S
T0 = 1_790_000_000 * S
RULES = Rules(jump_ns=300 * S, doubt_ns=DAY)
FOR_EVER = Rules(jump_ns=300 * S, doubt_ns=1 << 62)


@dataclass
class Box:
    """A machine whose true time goes on while its clock is set as somebody pleases."""

    true_ns: int = T0
    wrong_ns: int = 0
    boot_ns: int = 500 * S
    boot_id: str = "a"
    anchor: Anchor | None = None
    rules: Rules = RULES

    def judge(self, synchronised: bool = False) -> Judged:
        reading = Reading(self.true_ns + self.wrong_ns, self.boot_ns, self.boot_id, synchronised)
        judged = judge(self.anchor, reading, 0, self.rules)
        self.anchor = judged.anchor
        assert judged.utc_ns <= reading.utc_ns, "never after what the clock says"
        return judged

    def wait(self, ns: int) -> None:
        self.true_ns += ns
        self.boot_ns += ns

    def restart(self, off_ns: int) -> None:
        self.true_ns += off_ns
        self.boot_ns, self.boot_id = 20 * S, self.boot_id + "x"


def test_a_clock_that_goes_as_it_should_is_believed() -> None:
    box = Box()
    for _ in range(100):
        judged = box.judge()
        assert judged.verdict is Verdict.GOOD and judged.utc_ns == box.true_ns
        box.wait(3600 * S)


def test_a_jump_forth_is_doubted_and_one_back_forgives_it() -> None:
    box = Box()
    box.judge()
    box.wait(60 * S)
    box.wrong_ns = 40 * DAY
    judged = box.judge()
    assert judged.verdict is Verdict.DOUBTED and judged.utc_ns == box.true_ns and judged.ahead_ns == 40 * DAY
    box.wait(3600 * S)
    assert box.judge().utc_ns == box.true_ns, "time goes on meanwhile"
    box.wrong_ns = 0
    judged = box.judge()
    assert judged.verdict is Verdict.GOOD and judged.anchor.doubt is None and judged.utc_ns == box.true_ns


def test_a_doubt_ends_by_ntp_or_by_its_time_when_the_clock_went_steadily() -> None:
    box = Box()
    box.judge()
    box.wrong_ns = 2 * DAY
    assert box.judge().verdict is Verdict.DOUBTED
    assert box.judge(synchronised=True).verdict is Verdict.ACCEPTED
    assert box.judge().verdict is Verdict.GOOD and box.judge().utc_ns == box.true_ns + 2 * DAY
    box.wrong_ns = 9 * DAY
    box.judge()
    box.wait(DAY - 1)
    assert box.judge().verdict is Verdict.DOUBTED
    box.wrong_ns = 10 * DAY
    box.wait(1)
    assert box.judge().verdict is Verdict.DOUBTED, "it jumped again: the doubt begins anew"
    box.wait(DAY)
    assert box.judge().verdict is Verdict.ACCEPTED and box.judge().utc_ns == box.true_ns + 10 * DAY


def test_a_jump_back_is_believed_and_the_way_forth_doubted() -> None:
    box = Box()
    box.judge()
    box.wrong_ns = -10 * DAY
    assert box.judge().verdict is Verdict.BACK and box.judge().utc_ns == box.true_ns - 10 * DAY
    box.wrong_ns = 0
    judged = box.judge()
    assert judged.verdict is Verdict.DOUBTED and judged.utc_ns == box.true_ns - 10 * DAY
    assert box.judge(synchronised=True).utc_ns == box.true_ns


def test_after_a_restart_a_clock_that_is_ahead_is_doubted_and_a_short_one_is_not() -> None:
    box = Box()
    box.judge()
    box.wait(100 * DAY)
    box.judge()
    box.restart(100 * S)
    assert box.judge().verdict is Verdict.GOOD
    last = box.true_ns
    box.restart(5 * DAY)
    judged = box.judge()
    assert judged.verdict is Verdict.DOUBTED and judged.utc_ns == last
    box.wait(DAY)
    assert box.judge().verdict is Verdict.ACCEPTED


def test_where_nothing_was_believed_the_newest_time_that_is_known_counts() -> None:
    reading = Reading(T0, 5, "a")
    assert judge(None, reading, 0, RULES).utc_ns == T0
    judged = judge(None, reading, T0 - DAY, RULES)
    assert judged.verdict is Verdict.DOUBTED and judged.utc_ns == T0 - DAY
    assert judge(None, replace(reading, synchronised=True), T0 - DAY, RULES).utc_ns == T0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 3 * DAY)),
        st.tuples(st.just("set"), st.integers(-50 * DAY, 50 * DAY)),
        st.tuples(st.just("creep"), st.integers(0, 299 * S)),
        st.tuples(st.just("restart"), st.integers(0, 9 * DAY)),
    ),
    max_size=40,
)


@given(steps)
def test_however_the_clock_jumps_it_is_never_believed_early(moves: list[tuple[str, int]]) -> None:
    box, restarts = Box(rules=FOR_EVER), 0
    box.judge()
    for what, ns in moves:
        if what == "wait":
            box.wait(ns)
        elif what == "restart":
            box.restart(ns)
            restarts += 1
        else:
            box.wrong_ns = ns if what == "set" else box.wrong_ns + ns
        judged = box.judge()
        assert judged.utc_ns <= box.true_ns + FOR_EVER.jump_ns * (1 + restarts)


@given(steps, st.integers(-50 * DAY, 50 * DAY))
def test_whatever_was_before_it_ends_believed(moves: list[tuple[str, int]], wrong_ns: int) -> None:
    box = Box()
    for what, ns in moves:
        box.judge()
        if what == "wait":
            box.wait(ns)
        elif what == "restart":
            box.restart(ns)
        else:
            box.wrong_ns = ns
    box.wrong_ns = wrong_ns
    for _ in range(3):
        box.judge()
        box.wait(RULES.doubt_ns)
    assert box.judge().utc_ns == box.true_ns + wrong_ns


def test_the_clocks_of_this_machine_are_read() -> None:
    first, second = read_clocks(), read_clocks()
    assert 0 < first.boot_ns <= second.boot_ns and first.boot_id == second.boot_id and first.boot_id
    assert synchronised() in (True, False)
