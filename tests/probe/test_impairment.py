"""Schedules: every packet is sent, lost or doubled exactly as counted, whatever the faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probe.impairment import Impairment, schedule

percent = st.floats(0, 100)
impairments = st.builds(
    Impairment,
    loss_percent=percent,
    reorder_percent=percent,
    reorder_depth=st.integers(0, 8),
    duplicate_percent=percent,
    seed=st.integers(0, 1000),
)


@given(st.integers(0, 200), impairments, st.integers(0, 3))
def test_counts_are_what_happened(count, impairment, stream):
    plan = schedule(count, impairment, stream)
    packets, ticks = plan.packet.tolist(), plan.tick.tolist()
    first = list(dict.fromkeys(packets))
    assert plan.done.sent == len(packets)
    assert plan.done.lost == count - len(first)
    assert plan.done.duplicates == len(packets) - len(first)
    assert plan.done.reordered == sum(any(m > n for m in first[:i]) for i, n in enumerate(first))
    assert ticks == sorted(ticks)
    for packet, tick in zip(packets, ticks, strict=True):
        assert packet <= tick <= packet + impairment.reorder_depth + 1
    if count:
        assert packets.count(0) == packets.count(count - 1) == 1
        assert packets[0] == 0 and packets[-1] == count - 1


@given(st.integers(1, 200))
def test_no_fault_means_in_order(count):
    plan = schedule(count, Impairment())
    assert plan.packet.tolist() == plan.tick.tolist() == list(range(count))


@given(st.integers(3, 200), impairments)
def test_no_packet_is_overtaken_by_more_than_the_depth(count, impairment):
    packets = list(dict.fromkeys(schedule(count, impairment).packet.tolist()))
    for place, packet in enumerate(packets):
        assert sum(other > packet for other in packets[:place]) <= impairment.reorder_depth


def test_same_seed_same_faults_and_each_stream_its_own():
    wanted = Impairment(loss_percent=20, seed=3)
    assert schedule(500, wanted).packet.tolist() == schedule(500, wanted).packet.tolist()
    assert schedule(500, wanted).packet.tolist() != schedule(500, wanted, 1).packet.tolist()


def test_percentages_are_met():
    done = schedule(10000, Impairment(loss_percent=2, duplicate_percent=1, reorder_depth=5, seed=9)).done
    assert 150 < done.lost < 250 and 60 < done.duplicates < 140 and 300 < done.reordered < 700


@pytest.mark.parametrize("bad", [{"loss_percent": -1}, {"duplicate_percent": 101}, {"reorder_depth": -1}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Impairment(**bad)
