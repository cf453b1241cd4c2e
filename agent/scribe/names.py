"""How a call is named outside the encrypted artifacts: numbers only as keyed hashes, in catalog and journal alike."""

import hashlib
import hmac

from agent.model.call import Call
from agent.store.rows import CallRow, PartyRow
from agent.vault.numbers import number_hash

Fields = dict[str, str | int | bool | None]
"""Fields of one journal line."""


class Names:
    """Rows and journal fields of calls under the site's number key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def call_row(self, call: Call) -> CallRow:
        """The catalog's row of a call that started."""
        return CallRow(
            call_id=call.call_id,
            reference_hash=self._reference(call.reference),
            tap=call.tap,
            gateway=call.gateway,
            direction=call.direction.value,
            queue=call.queue,
            did_hash=number_hash(self._key, call.did) if call.did else None,
            started_ns=call.started_ns,
            ended_ns=None,
            cause=None,
            state="live",
            duration_samples=0,
        )

    def party_rows(self, call: Call) -> tuple[PartyRow, ...]:
        """The catalog's rows of its parties."""
        return tuple(
            PartyRow(
                call_id=call.call_id,
                participant_id=p.participant_id,
                role=p.role.value,
                number_hash=number_hash(self._key, p.number),
                joined_ns=p.joined_ns,
                left_ns=p.left_ns,
                channel=p.channel,
            )
            for p in call.parties
        )

    def started(self, call: Call) -> Fields:
        """Journal fields of the start of a call."""
        parties = " ".join(f"{p.role.value}:{number_hash(self._key, p.number)}" for p in call.parties)
        return {
            "tap": call.tap,
            "gateway": call.gateway,
            "direction": call.direction.value,
            "reference_hash": self._reference(call.reference),
            "parties": parties,
        }

    def _reference(self, reference: str) -> str:
        return hmac.digest(self._key, b"reference\0" + reference.encode(), hashlib.sha256).hex()[:32]
