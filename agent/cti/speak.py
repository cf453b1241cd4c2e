"""Which protocol a `[cti.NAME]` section is spoken in."""

from agent.config.cti import Cti
from agent.cti.ami import AmiDialogue
from agent.cti.ari import AriDialogue
from agent.cti.dialogue import Credentials, Dialogue
from agent.cti.esl import EslDialogue
from agent.cti.words import Words


def dialogue_of(section: Cti, credentials: Credentials) -> Dialogue:
    """A fresh connection's side of the conversation."""
    words = Words(section)
    if section.kind == "ari":
        return AriDialogue(words, credentials)
    if section.kind == "esl":
        return EslDialogue(words, credentials)
    return AmiDialogue(words, credentials, section.over_tls)
