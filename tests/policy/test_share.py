"""Stratified `percent`: exact for each agent, not to be foreseen without the key, repeatable with it."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.call import Call, Party, Role
from agent.model.condition import Condition
from agent.model.purpose import Purpose, Stratify, Trigger
from agent.policy.decide import Policy
from agent.policy.share import MOST_STRATA, OTHERS, Block, Strata, place_in_block, stratum_name

KEY = bytes(range(32))
BY_AGENT = Purpose("training", Trigger.PERCENT, (), (), None, percent=20.0, stratify=Stratify.AGENT)


def of(agent: str | None, number: int = 0, queue: str | None = None) -> Call:
    parties = () if agent is None else (Party("a", agent, role=Role.AGENT),)
    return Call(f"{number:032x}", f"r{number}", "siprec", "sbc", 0, parties=parties, queue=queue)


def taken(policy: Policy, calls: list[Call], seed: str = "start") -> list[bool]:
    strata = Strata(seed)
    return [policy.decide(call, 0, strata)[0].applies for call in calls]


def test_one_in_five_is_exact_within_the_run_of_calls_of_each_agent():
    policy = Policy((BY_AGENT,), KEY)
    agents = [str(2000 + n) for n in range(7)]
    calls = [of(agents[n * n % 7], n) for n in range(7 * 400)]
    applies = taken(policy, calls)
    for agent in agents:
        mine = [a for a, call in zip(applies, calls, strict=True) if call.parties[0].number == agent]
        whole = [mine[n : n + 20] for n in range(0, len(mine) - 19, 20)]
        assert all(sum(block) == 4 for block in whole), agent


def test_which_of_the_block_differs_by_key_start_agent_and_block():
    def run(key: bytes, seed: str, agent: str) -> list[bool]:
        return taken(Policy((BY_AGENT,), key), [of(agent, n) for n in range(200)], seed)

    first = run(KEY, "start", "2001")
    assert first == run(KEY, "start", "2001")
    assert first != run(bytes(32), "start", "2001")
    assert first != run(KEY, "again", "2001")
    assert first != run(KEY, "start", "2002")
    blocks = [first[n : n + 20] for n in range(0, 200, 20)]
    assert any(a != b for a, b in pairwise(blocks))


def test_the_rule_says_all_that_is_needed_to_do_it_again_and_no_number():
    strata = Strata("5f3a")
    for ordinal in range(45):
        (decision,) = Policy((BY_AGENT,), KEY).decide(of("2001", ordinal), 0, strata)
        name = stratum_name("training", "2001", KEY)
        place = place_in_block("training", "5f3a", name, ordinal, 20, KEY)
        sign = "<" if place < 4 else ">="
        told = f"agent {name}, call {ordinal + 1} since start 5f3a: place {place} of 20 {sign} 4"
        assert decision.rule == f"trigger percent: {told}" and decision.applies == (place < 4)
        assert "2001" not in decision.rule.replace(name, "")


def test_a_call_is_counted_once_and_only_when_it_was_eligible():
    strata, policy = Strata("s"), Policy((replace(BY_AGENT, when=Condition(tags=("vip",))),), KEY)
    plain, vip = of("2001"), replace(of("2001"), tags=("vip",))
    (no,) = policy.decide(plain, 0, strata)
    assert no.draw is None, "not eligible, not counted"
    (drawn,) = policy.decide(vip, 0, strata, (no,))
    assert drawn.draw is not None and "call 1 " in drawn.draw.how
    for again in (vip, plain, vip):
        (drawn,) = policy.decide(again, 0, strata, (drawn,))
    assert "call 1 " in drawn.draw.how
    (other,) = policy.decide(vip, 0, strata)
    assert "call 2 " in other.draw.how


def test_queues_are_strata_of_their_own_and_so_are_calls_without_one():
    policy = Policy((replace(BY_AGENT, stratify=Stratify.QUEUE),), KEY)
    calls = [of("2001", n, queue) for n in range(60) for queue in ("sales", None)]
    applies = taken(policy, calls)
    assert sum(applies[0::2]) == sum(applies[1::2]) == 12


def test_a_flood_of_strata_takes_no_more_memory_than_allowed():
    strata = Strata("s")
    names = {strata.next("p", str(n))[0] for n in range(MOST_STRATA + 100)}
    assert len(names) == MOST_STRATA + 1 and OTHERS in names
    assert strata.next("p", "7") == ("7", 1), "those that are known are counted still"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000).map(lambda n: n / 10))
def test_a_block_holds_the_share_exactly(percent):
    block = Block.of(percent)
    assert 20 <= block.size <= 1000
    assert round(block.size * percent * 10) == block.taken * 1000
    places = [place_in_block("p", "s", "t", n, block.size, KEY) for n in range(block.size, 2 * block.size)]
    assert sorted(places) == list(range(block.size))
