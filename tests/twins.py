"""Two engines that are told the same, one of the compiled core and one of numpy: all they say and hold is the same. And
two rings of the same memory."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

from agent.media import ring
from agent.media.block import PacketBlock
from agent.media.core import Choice, CoreMissing, load, open_walker
from agent.media.engine import Engine


def why_no_core() -> str:
    """Why there is no compiled core here, or nothing. Raises CoreMissing in CI, where there must be one."""
    try:
        load()
    except CoreMissing as missing:
        if os.environ.get("GREFFIER_REQUIRE_SHARED"):
            raise
        return str(missing)
    return ""


class Twins:
    """To be used as an Engine; an AssertionError when both are not the same. Without the compiled core there is one."""

    def __init__(self, **arguments: Any) -> None:
        cores: tuple[Choice, ...] = ("numpy",) if why_no_core() else ("numpy", "c")
        self.engines = [Engine(**arguments, core=core) for core in cores]
        for engine in self.engines:
            engine._columns.buffer[:] = 0  # what it holds before a stream is begun is not defined

    def __getattr__(self, name: str) -> Any:
        if not callable(getattr(Engine, name, None)):
            return self._same([getattr(engine, name) for engine in self.engines])
        return lambda *args, **kwargs: self._ask(lambda engine: getattr(engine, name)(*args, **kwargs))

    def _ask(self, question: Callable[[Engine], Any]) -> Any:
        answers = [question(engine) for engine in self.engines]
        answer = self._same([[plain(each) for each in one] if isinstance(one, Iterator) else one for one in answers])
        states = [held(engine) for engine in self.engines]
        for name, array in states[0].items():
            for other in states[1:]:
                assert np.array_equal(array, other[name]), f"{name}: {array} {other[name]}"
        return answer

    def _same(self, answers: list[Any]) -> Any:
        assert all(plain(one) == plain(answers[0]) for one in answers)
        return answers[0]


def read_by_either(memory: np.ndarray, clocks: tuple[int, int], next_block: int = 0) -> tuple[PacketBlock | None, bool]:
    """What is read of a ring's memory, which is the same by either core, and whether the compiled one read all of it.

    Raises what reading it raises, which is the same too.
    """
    answers, whole = [], False
    with patch.object(ring, "_clocks", lambda: clocks):
        for core in ("numpy", "c"):
            one = object.__new__(ring.PacketRing)
            one._memory, one._blocks = memory, memory.view(np.uint32).reshape(-1, ring.BLOCK_BYTES // 4)
            one._walker = open_walker(core, 4096)
            one._next, one._held, one.fragments, one.malformed = next_block, [], 0, 0
            error, block = None, None
            with patch.object(ring, "parse", wraps=ring.parse) as parse:
                try:
                    block = one.read()
                except (IndexError, ValueError) as raised:
                    error = raised
            whole = block is not None and not parse.called
            answers.append((block, error, (plain(block), type(error), one.fragments, one.malformed, one._held)))
    assert answers[0][2] == answers[1][2]
    if answers[0][1] is not None:
        raise answers[0][1]
    return answers[1][0], whole


def held(engine: Engine) -> dict[str, np.ndarray]:
    """All columns of an engine."""
    parts = {"": engine._columns, "timing.": engine._placer.timing}
    return {
        prefix + name: value
        for prefix, part in parts.items()
        for name, value in vars(part).items()
        if isinstance(value, np.ndarray)
    }


def plain(value: Any) -> Any:
    """The same without arrays, so that it can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return value
