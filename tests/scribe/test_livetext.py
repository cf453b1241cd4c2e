"""On the way out: whoever is behind reads the newest guess only, and a call that nobody guards is told as such."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.model.call import Role
from agent.model.text import Word
from agent.scribe.guarding import Unguarded
from agent.scribe.livetext import newest_guesses
from agent.store.journal import Journal, read
from agent.transcribe.live.events import LiveEvent, LiveForgotten, LiveText


def text(call: str, channel: int, word: str, stable: bool) -> LiveText:
    words = (Word(word, 0.0, 1.0, 1.0),)
    return LiveText(call, channel, Role.CUSTOMER, 0, 0, 0, 8000, words, stable, "fr")


def test_a_guess_gives_way_to_what_comes_later_of_its_channel() -> None:
    old, other, decided, newest = (
        text("a", 0, "old", False),
        text("a", 1, "other", False),
        text("a", 0, "decided", True),
        text("a", 0, "newest", False),
    )
    forgotten = LiveForgotten("a", 8000)
    assert newest_guesses([old, other, forgotten, decided, newest]) == [other, forgotten, decided, newest]


EVENTS = st.one_of(
    st.builds(text, st.sampled_from("ab"), st.integers(0, 1), st.sampled_from("xyz"), st.booleans()),
    st.builds(LiveForgotten, st.sampled_from("ab"), st.integers(0, 9)),
)


@given(st.lists(EVENTS, max_size=30))
def test_nothing_but_guesses_is_left_out_and_of_each_channel_the_end_is_the_same(events: list[LiveEvent]) -> None:
    left = newest_guesses(events)
    assert [e for e in left if not _is_guess(e)] == [e for e in events if not _is_guess(e)]
    for call in "ab":
        for channel in (0, 1):
            mine = [e for e in events if isinstance(e, LiveText) and (e.call, e.channel) == (call, channel)]
            told = [e for e in left if isinstance(e, LiveText) and (e.call, e.channel) == (call, channel)]
            assert told[-1:] == mine[-1:] and not any(_is_guess(e) for e in told[:-1])


def _is_guess(event: LiveEvent) -> bool:
    return isinstance(event, LiveText) and not event.stable


def test_a_call_that_is_not_heard_any_more_is_told_and_journalled_as_unguarded(tmp_path: Path) -> None:
    unguarded = Unguarded(Journal(tmp_path, "scribe", lambda: 1))
    unguarded.hear("other", False, "overload")
    unguarded.guard("a")
    unguarded.hear("a", False, "overload")
    unguarded.hear("a", False, "overload")
    assert unguarded.calls == ["a"]
    unguarded.hear("a", True, "recovered")
    assert unguarded.calls == []
    unguarded.hear("late", False, "overload")
    unguarded.guard("late")
    assert unguarded.calls == ["late"]
    unguarded.end("late")
    assert unguarded.calls == []
    told = [(line.kind, line.call_id, line.fields["why"]) for line in read(tmp_path)]
    assert told == [
        ("guard.off", "a", "overload"), ("guard.on", "a", "recovered"), ("guard.off", "late", "overload")
    ]  # fmt: skip
