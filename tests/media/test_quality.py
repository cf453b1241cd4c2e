"""Numbers of quality against worked examples, and what is said of them in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.media.quality import complaints, measure, mos_of, one_way, rate_stream, rating
from agent.model.call import Codec
from agent.model.media import StreamCounts

SECOND = 8000


def test_mean_opinion_scores_are_those_of_g107_annex_b() -> None:
    """Table B.1 of ITU-T G.107: the lower limit of each category of users' satisfaction."""
    assert [mos_of(r) for r in (90, 80, 70, 60, 50)] == pytest.approx([4.34, 4.03, 3.60, 3.10, 2.58], abs=0.01)
    assert (mos_of(-1), mos_of(0), mos_of(100), mos_of(120)) == (1.0, 1.0, 4.5, 4.5)


def test_a_rating_falls_with_loss_by_the_robustness_of_its_codec() -> None:
    assert rating(Codec.PCMA, 0.0) == pytest.approx(90.8)  # 93.2 - 0.024 * 100
    assert rating(Codec.PCMA, 5.0) == pytest.approx(90.8 - 95 * 5 / 30.1)
    assert rating(Codec.G729, 2.0) == pytest.approx(90.8 - 11 - 84 * 2 / 21)
    assert rating(Codec.PCMU, 0.0, delay_ms=277.3) == pytest.approx(93.2 - 0.024 * 277.3 - 11)
    assert rating(Codec.OPUS, 0.0) is None and rating(Codec.OTHER, 0.0) is None


@given(st.integers(0, 100), st.integers(0, 100))
def test_more_loss_never_sounds_better(one: int, other: int) -> None:
    low, high = sorted((one, other))
    for codec in (Codec.PCMA, Codec.G729, Codec.AMR):
        better, worse = rating(codec, low), rating(codec, high)
        assert better is not None and worse is not None and better >= worse >= 0
        assert 1 <= mos_of(worse) <= mos_of(better) <= 4.5


def test_loss_is_of_what_was_sent_in_time_or_not() -> None:
    counts = StreamCounts(
        received=105, lost=10, late=5, duplicates=10
    )  # 100 were sent: 90 placed, 5 late, 5 never came
    assert rate_stream(Codec.PCMA, counts).loss_percent == 10.0
    assert rate_stream(Codec.PCMA, StreamCounts()).mos is None
    assert rate_stream(Codec.PCMA, StreamCounts(received=9, formats=("PCMA", "OPUS"))).mos is None
    assert rate_stream(Codec.OPUS, StreamCounts(received=9, formats=("PCMU",))).mos == 4.36


def test_levels_and_gaps_are_those_of_the_spans_alone() -> None:
    pcm = np.zeros(10 * SECOND, np.int16)
    pcm[: 2 * SECOND : 100] = 9000
    pcm[2 * SECOND : 4 * SECOND] = 20
    pcm[6 * SECOND :] = 32256
    seen = measure(1, pcm, SECOND, ((0, 6 * SECOND),), ((0, 3 * SECOND), (5 * SECOND, 10 * SECOND)), 0, ())
    assert (seen.heard_s, seen.longest_gap_s, seen.clipped_share) == (4.0, 2.0, 0.0)
    assert (seen.silent_share, seen.digital_share) == (round(4 / 6, 4), round(2 / 6, 4))
    whole = measure(1, pcm, SECOND, ((0, 10 * SECOND),), ((0, 10 * SECOND),), 0, ())
    assert whole.clipped_share == 0.4 and whole.longest_gap_s == 0.0
    assert measure(0, pcm, SECOND, (), (), 0, ()).heard_s == 0


def channel(number: int, level: int, heard: bool = True, raw: tuple[str, ...] = ()):
    pcm = np.full(10 * SECOND, level, np.int16)
    whole = ((0, 10 * SECOND),)
    return measure(number, pcm, SECOND, whole, whole if heard else (), 0, raw)


def test_a_person_is_told_in_words() -> None:
    who = {0: "customer", 1: "agent"}
    both = (channel(0, 0, heard=False), channel(1, 5000))
    assert one_way(both) == (0,)
    assert complaints(both, [], who) == ["one-way: nothing was heard of the customer"]
    assert one_way((channel(0, 0, heard=False), channel(1, 0, heard=False))) == ()
    assert complaints((channel(0, 8), channel(1, 40)), [], who) == [
        "silent: digital silence from the customer for 100% of the time",
        "silent: no more than faint noise from the agent for 100% of the time",
    ]
    assert complaints((channel(0, 32124), channel(2, 0, raw=("SPEEX",))), [], who) == [
        "clipping: 100.0% of what the customer said is at full scale",
        "not decoded: channel 2 sent SPEEX, which was kept as it came but nothing here decodes it",
    ]
    assert complaints((channel(0, 5000), channel(1, 5000)), [(0, Codec.PCMA, StreamCounts(received=9))], who) == []
    lossy = StreamCounts(received=80, lost=20, undecryptable=3)
    assert complaints((), [(1, Codec.PCMA, lossy)], who) == [
        "loss: 20.0 % of the packets of the agent never came in time",
        "poor line: the agent would have been heard at MOS 2.5",
        "SRTP: 3 packets of the agent could not be decrypted",
    ]
