"""What was announced in a conversation, and what its numbers were found to be."""

from dataclasses import dataclass

from agent.model.redaction import SecretKind
from agent.transcribe.redaction.chunks import Run
from agent.transcribe.redaction.phrases import Topic

ANNOUNCED_WORDS, ANNOUNCED_S = 60, 60.0
"""How far back an announcement counts."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An announcement in the conversation: its words, and when it began and ended."""

    topic: Topic
    channel: int
    first_word: int
    last_word: int
    end_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A number and what it is. `harmless`: it was announced as one that is no secret."""

    run: Run
    kind: SecretKind | None
    harmless: bool = False
