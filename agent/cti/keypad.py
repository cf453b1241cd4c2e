"""What has to be remembered of channels: keys pressed, what is muted, whose they are. Of the newest ones only."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, TypeVar

from agent.model.gate import GateVerb

MOST_CHANNELS = 4096
BETWEEN_KEYS_S = 4.0
_BOTH = frozenset({"read", "write"})

T = TypeVar("T")


class Newest(Generic[T]):
    """Something for each channel; the one not heard of for longest makes room."""

    def __init__(self, most: int = MOST_CHANNELS) -> None:
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, channel: str) -> T | None:
        """What is kept of a channel."""
        return self._kept.get(channel)

    def put(self, channel: str, value: T) -> None:
        """Keep it; it is now the newest."""
        self._kept[channel] = value
        self._kept.move_to_end(channel)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def drop(self, channel: str) -> None:
        """Forget it."""
        self._kept.pop(channel, None)


class Keypads:
    """Keys by channel. A code counts when its keys come one after the other, at most `BETWEEN_KEYS_S` apart."""

    def __init__(self, codes: Mapping[str, GateVerb]) -> None:
        self._codes = sorted(codes.items(), key=lambda item: -len(item[0]))
        self._longest = max((len(code) for code in codes), default=0)
        self._pressed: Newest[tuple[str, float]] = Newest()

    def press(self, channel: str, key: str, now_s: float) -> GateVerb | None:
        """One key. Returns what the keys mean now, if anything; they then begin anew."""
        before, at_s = self._pressed.get(channel) or ("", now_s)
        keys = ((before if now_s - at_s <= BETWEEN_KEYS_S else "") + key[:1].upper())[-self._longest :]
        for code, verb in self._codes:
            if keys.endswith(code):
                self._pressed.drop(channel)
                return verb
        self._pressed.put(channel, (keys, now_s))
        return None


class Mutes:
    """Which directions of a channel are muted: what was said to be muted twice must be unmuted twice."""

    def __init__(self) -> None:
        self._muted: Newest[frozenset[str]] = Newest()

    def told(self, channel: str, direction: str, muted: bool) -> bool:
        """`direction` is read, write or both. Returns whether any direction is muted now."""
        meant = _BOTH & {direction.lower()} or _BOTH
        now = self._muted.get(channel) or frozenset()
        now = now | meant if muted else now - meant
        if now:
            self._muted.put(channel, now)
        else:
            self._muted.drop(channel)
        return bool(now)
