"""The configuration followed while a process runs: by inotify and without, good changes and bad ones."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import Settings, load, parse
from agent.config.watching import Watch, needs_restart

TEXT = """
[site]
state_dir = "state"
[purpose.training]
trigger = "percent"
percent = 10
artifacts = ["audio"]
recipients_file = "recipients.txt"
"""
PATIENCE_S = 30


class Told:
    """What a watch said."""

    def __init__(self) -> None:
        self.accepted: list[Settings] = []
        self.refused: list[list[str]] = []
        self.news = threading.Condition()
        self.unusable = ""

    def accept(self, settings: Settings) -> None:
        if self.unusable:
            raise ValueError(self.unusable)
        with self.news:
            self.accepted.append(settings)
            self.news.notify()

    def refuse(self, problems: list[str]) -> None:
        with self.news:
            self.refused.append(problems)
            self.news.notify()

    def wait(self, until: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(until, PATIENCE_S)


@pytest.fixture(params=[True, False], ids=["inotify", "looking"])
def watching(request, tmp_path) -> Iterator[tuple[Path, Told]]:
    path = tmp_path / "greffier.toml"
    path.write_text(TEXT)
    (tmp_path / "recipients.txt").write_text("age1a\n")
    (tmp_path / "state" / "lists").mkdir(parents=True)
    told = Told()
    watch = Watch(path, load(path), told.accept, told.refuse, inotify=request.param)
    watch.start()
    yield path, told
    watch.stop()


def test_good_changes_are_handed_over_bad_ones_refused_with_their_line(watching):
    path, told = watching
    path.write_text(TEXT.replace("10", "20"))
    told.wait(lambda: bool(told.accepted))
    assert told.accepted[-1].purpose["training"].percent == 20
    path.write_text(TEXT.replace("10", "200"))
    told.wait(lambda: bool(told.refused))
    assert "line 6: purpose.training.percent" in told.refused[0][0]
    fresh = path.with_name("#greffier.toml.new")
    fresh.write_text(TEXT.replace("10", "30"))
    fresh.replace(path)  # as editors do
    told.wait(lambda: len(told.accepted) > 1)
    assert told.accepted[-1].purpose["training"].percent == 30
    path.unlink()
    told.wait(lambda: len(told.refused) > 1)
    assert "cannot be read" in told.refused[-1][0]


def test_recipients_and_lists_are_part_of_it(watching):
    path, told = watching
    for number, changed in enumerate(
        (path.with_name("recipients.txt"), path.with_name("state") / "lists" / "opt-out.txt"), 1
    ):
        changed.write_text("age1b\n" * (number + 1))
        told.wait(lambda number=number: len(told.accepted) >= number)
    told.unusable = "recipients: none"
    path.with_name("recipients.txt").write_text("")
    told.wait(lambda: bool(told.refused))
    assert told.refused[0] == ["recipients: none"]
    before = len(told.accepted)
    told.unusable = ""
    path.with_name("recipients.txt").write_text("age1c\n")
    told.wait(lambda: len(told.accepted) > before)


def test_what_is_written_in_strokes_is_taken_when_it_is_whole(watching):
    path, told = watching
    with path.open("w") as file:
        for line in TEXT.replace("10", "40").splitlines(keepends=True):
            file.write(line)
            file.flush()
    told.wait(lambda: bool(told.accepted) and told.accepted[-1].purpose["training"].percent == 40)


def test_a_change_of_files_that_are_no_part_of_it_is_none(watching):
    path, told = watching
    path.with_name("other.toml").write_text("x")
    path.write_text(TEXT.replace("10", "50"))
    told.wait(lambda: bool(told.accepted))
    assert not told.refused and told.accepted[0].purpose["training"].percent == 50


def test_a_file_without_purposes_is_taken_for_one_that_was_cut_short(watching):
    path, told = watching
    path.write_text(TEXT[: TEXT.index("[purpose")])
    told.wait(lambda: bool(told.refused))
    assert "cut short" in told.refused[0][0] and not told.accepted


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("percent = 10", "percent = 20", ()),
        ("[site]\n", '[site]\ntimezone = "Europe/Berlin"\nholidays = "DE"\n', ()),
        ('"state"', '"elsewhere"', ("site.state_dir",)),
        ("[site]", "[pause]\nlimit_s = 9\n[capture]\nholdback_s = 1\n[site]", ("capture.holdback_s", "pause.limit_s")),
        ("[site]", '[destination.centre]\nkind = "folder"\npath = "x"\n[site]', ("destination.centre",)),
    ],
)
def test_what_takes_effect_only_after_a_restart_is_named(old, new, names):
    source = Path("/etc/greffier/greffier.toml")
    assert needs_restart(parse(TEXT, source), parse(TEXT.replace(old, new), source)) == names
