"""What headers of a request say of a call: the customer's consent, and tags.

Which headers and words these are is the site's choice. A tag is printable ASCII without spaces or commas at its ends;
what does not fit is left out rather than cut, so that no tag means something else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiosipua.message import SipRequest

from agent.model.call import Consent
from agent.sip.message import header

MAX_TAGS = 16
MAX_TAG_CHARS = 64
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Said:
    """`tags` are words or `name=value`; `named` the names of those whose value a header sets: it has no other."""

    consent: Consent | None = None
    tags: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()

    def tags_of(self, before: Sequence[str]) -> tuple[str, ...]:
        """The tags of a call that had those `before`, in order of alphabet, at most MAX_TAGS: known ones come first."""
        kept = [tag for tag in before if tag.partition("=")[0] not in self.named or "=" not in tag]
        return tuple(sorted(list(dict.fromkeys([*kept, *self.tags]))[:MAX_TAGS]))


def said(
    request: SipRequest, consent_headers: Sequence[str], words: Mapping[str, Consent], tag_headers: Sequence[str]
) -> Said:
    """Consent by the first of the headers that has one of `words` (in lower case); tags of all of `tag_headers`, where
    `Header=name` makes the whole value one tag. Never raises."""
    answers = (words.get(header(request, name).strip().lower()) for name in consent_headers)
    tags: list[str] = []
    named = set()
    for written in tag_headers:
        name, _, tag = written.partition("=")
        value = header(request, name)
        if tag and value.strip():
            named.add(tag)
        tags += [f"{tag}={value.strip()}"] if tag and value.strip() else [] if tag else value.split(",")
    good = [t.strip() for t in tags if len(t.strip()) <= MAX_TAG_CHARS and _PRINTABLE.fullmatch(t.strip())]
    return Said(next((a for a in answers if a), None), tuple(dict.fromkeys(good))[:MAX_TAGS], frozenset(named))
