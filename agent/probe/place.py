"""The whole test call in one step: invite, speak, hang up."""

from dataclasses import dataclass
from typing import Any

from agent.config import Endpoint
from agent.model.call import Codec
from agent.probe.call import ProbeCall
from agent.probe.dialogue import Dialogue
from agent.probe.impairment import NO_IMPAIRMENT, Done, Impairment


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """What became of it: its names, and what was sent in total."""

    call_id: str
    session_id: str
    sent: Done


async def place(
    target: Endpoint,
    spoken: Dialogue,
    *,
    codec: Codec | str = Codec.PCMA,
    impairment: Impairment = NO_IMPAIRMENT,
    **arguments: Any,
) -> PlacedCall:
    """Place a call and speak the whole dialogue; further `arguments` are those of `ProbeCall`. Raises ProbeRefused."""
    async with ProbeCall(target, codec=codec, **arguments) as call:
        await call.invite()
        await call.speak(spoken, impairment=impairment)
        await call.bye()
        total = sum((stream.done for stream in call.sent.values()), Done())
    return PlacedCall(call.call_id, call.session_id, total)
