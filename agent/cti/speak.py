"""Which protocol a `[cti.NAME]` section is spoken in."""

from agent.config.cti import Cti
from agent.cti.ami import AmiDialogue
from agent.cti.dialogue import Credentials, Dialogue
from agent.cti.words import Words


def dialogue_of(section: Cti, credentials: Credentials) -> Dialogue:
    """A fresh connection's side of the conversation."""
    words = Words(section)
    return AmiDialogue(words, credentials, section.over_tls)
