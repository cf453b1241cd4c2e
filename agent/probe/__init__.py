"""A test-call generator: a small SIPREC client that speaks a two-party dialogue over real sockets."""

from agent.probe.call import ProbeCall
from agent.probe.dialogue import Channels, Dialogue, Turn, dialogue, languages
from agent.probe.impairment import Done, Impairment
from agent.probe.pacer import Pacer
from agent.probe.place import PlacedCall, place
from agent.probe.refusal import ProbeRefused
from agent.probe.sent import SentPacket, SentStream

__all__ = [
    "Channels",
    "Dialogue",
    "Done",
    "Impairment",
    "Pacer",
    "PlacedCall",
    "ProbeCall",
    "ProbeRefused",
    "SentPacket",
    "SentStream",
    "Turn",
    "dialogue",
    "languages",
    "place",
]
