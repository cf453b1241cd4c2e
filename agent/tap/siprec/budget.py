"""A limit on what costs us something each time a peer misbehaves: answers to garbage and strangers, log lines."""

from agent.tap.siprec.contract import Clock


class Budget:
    """`take()` is true at most `per_second` times in any second of `clock`."""

    def __init__(self, per_second: int, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._second = 0
        self._left = per_second

    def take(self) -> bool:
        """Use one, if there is one left."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._left = second, self._per_second
        if not self._left:
            return False
        self._left -= 1
        return True
