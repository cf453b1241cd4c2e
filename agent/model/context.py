"""What somebody says of a call in passing: queue, tags, consent; whatever is None or empty stays as it is."""

from dataclasses import dataclass

from agent.model.call import Consent


@dataclass(frozen=True, slots=True)
class ContextNote:
    """`actor` is who says it (`kind:name`), `source` by which way: api, header, dtmf, info, ami, ari, esl.

    `queue` "" takes the call out of its queue. What it makes of the call is a `CallContext`.
    """

    call_id: str
    actor: str
    source: str
    queue: str | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    consent: Consent | None = None
