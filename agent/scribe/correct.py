"""Corrections of a call: what was asked to be masked or dropped, as the catalog remembers it, begun and settled.

Each may be taken up again after a kill: a row is *working*, with its revision, before anything is done, and *done*
after everything is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agent.model.gate import GateState
from agent.model.purpose import ArtifactKind, Purpose
from agent.scribe.absence import Mask
from agent.scribe.channels import Tape
from agent.scribe.filing import Filed, Filing, number_of
from agent.scribe.purposes import Purposes
from agent.scribe.testimony import Testimony
from agent.scribe.withdrawal import Withdrawal
from agent.store.catalog import Catalog
from agent.store.rows import CorrectionRow

log = structlog.get_logger()

NO_KEY = "its key is gone, nothing can be made without the span any more; the artifacts can be dropped"
HELD = "the call is under a legal hold"


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was asked for one purpose of a call, and the revision of the artifacts that are made so. `row` is the last
    mask."""

    revision: int = 1
    masks: tuple[Mask, ...] = ()
    dropped: bool = False
    row: CorrectionRow | None = None


NOTHING = Corrected()


class Corrector:
    """Works off the corrections of one call at a time."""

    def __init__(
        self,
        purposes: Purposes,
        catalog: Catalog,
        filing: Filing,
        withdrawal: Withdrawal,
        testimony: Testimony,
        clock_ns: Callable[[], int],
    ) -> None:
        self._purposes = purposes
        self._catalog = catalog
        self._filing = filing
        self._withdrawal = withdrawal
        self._testimony = testimony
        self._clock_ns = clock_ns
        self._waiting: set[int] = set()
        """Numbers of drops that wait for the end of a legal hold."""

    def due(self) -> set[str]:
        """Calls that are over and have something to be done now."""
        open_rows = self._catalog.corrections.open_rows()
        held = {r.number for r in open_rows if r.number in self._waiting and self._held(r.call_id, r.purpose)}
        self._waiting &= held
        return {row.call_id for row in open_rows if row.number not in held}

    def begin(self, call_id: str, *, can_mask: bool) -> dict[str, Corrected]:
        """Drop what is to be dropped, begin what is to be masked, refuse what cannot be. Returns what holds for each
        purpose from now on."""
        filed = self._filing.of_call(call_id)
        rows = self._catalog.corrections.of_call(call_id)
        fresh = self.fresh(call_id)
        for row in rows:
            if row.verb == "drop" and row.is_open:
                self._drop(row, filed, fresh, held=self._held(call_id, row.purpose))
        gone = {r.purpose for r in self._catalog.corrections.of_call(call_id) if _drops(r)}
        with self._catalog.transaction():
            for row in rows:
                if row.verb == "mask" and row.is_open:
                    held = self._held(call_id, row.purpose)
                    self._begin_mask(row, fresh, self._why_not(row, gone, can_mask=can_mask, held=held))
        return self.standing(call_id)

    def settle(self, call_id: str) -> None:
        """What was begun is done: say so."""
        for row in self._catalog.corrections.of_call(call_id):
            if row.verb == "mask" and row.state == "working":
                self._say(
                    "masked", row, revision=row.revision, from_samples=row.from_samples, to_samples=row.to_samples
                )
                self._catalog.corrections.turn(row, "done", self._clock_ns())
                log.info("masked", call=call_id, purpose=row.purpose, revision=row.revision)

    def say_dropped(self, tape: Tape) -> None:
        """Of a call in which somebody withdrew: what came of it for each purpose."""
        for mark in tape.marks:
            purpose = self._named(mark.purpose)
            if mark.verb != "drop" or purpose is None:
                continue
            who = {"actor": mark.actor, "reason": mark.reason[:200]}
            if mark.state is GateState.DROPPED:
                self._testimony.once("dropped", tape.call.call_id, purpose.name, "gate", **who)
            else:
                self._testimony.once("drop.kept", tape.call.call_id, purpose.name, "gate", basis=purpose.basis, **who)

    def _held(self, call_id: str, purpose: str) -> bool:
        return self._catalog.legal_holds.is_held(call_id, purpose)

    def _named(self, name: str) -> Purpose | None:
        """The purpose of this name, None when there was none. Raises ValueError when nobody can tell."""
        found = next((p for p in self._purposes.known if p.name == name), None)
        if found is None and not self._purposes.good:
            raise ValueError(f"the configuration cannot be read, and purpose {name} may be in it")
        return found

    def fresh(self, call_id: str) -> int:
        """A number that no artifact of the call has, or is going to have."""
        used = [number_of(a) for a in self._catalog.artifacts(call_id=call_id)]
        used += [row.revision for row in self._catalog.corrections.of_call(call_id)]
        used += [row.revision for row in self._catalog.rewrites.of_call(call_id)]
        used += [row.version for row in self._catalog.deferred() if row.call_id == call_id]
        return max([*used, 0]) + 1

    def _why_not(self, row: CorrectionRow, gone: set[str], *, can_mask: bool, held: bool) -> str:
        if self._named(row.purpose) is None:
            return "the purpose is no longer configured"
        if row.purpose in gone:
            return "what it had was dropped"
        if row.state == "working":
            return ""  # begun before: it is finished, whatever came meanwhile
        if held:
            return f"{HELD}: lift it first"
        return "" if can_mask else NO_KEY

    def _begin_mask(self, row: CorrectionRow, fresh: int, why_not: str) -> None:
        if why_not:
            self._say("mask.refused", row, why=why_not)
            self._catalog.corrections.turn(row, "refused", self._clock_ns(), detail=why_not)
        elif row.state == "asked":
            self._catalog.corrections.turn(row, "working", self._clock_ns(), revision=fresh)

    def _drop(self, row: CorrectionRow, filed: Filed, fresh: int, *, held: bool) -> None:
        purpose = self._named(row.purpose)
        corrections = self._catalog.corrections
        if purpose is None:
            self._say("drop.refused", row, why="the purpose is no longer configured")
            corrections.turn(row, "refused", self._clock_ns(), detail="the purpose is no longer configured")
        elif not purpose.withdrawable:
            self._say("drop.kept", row, basis=purpose.basis)
            corrections.turn(row, "done", self._clock_ns(), detail=f"kept: {purpose.basis or 'not withdrawable'}")
        elif held and row.state == "asked":
            self._say("drop.waits", row, why=HELD)
            corrections.turn(row, "asked", self._clock_ns(), detail=f"waits: {HELD}")
            self._waiting.add(row.number)
        else:
            number = row.revision or fresh
            corrections.turn(row, "working", self._clock_ns(), revision=number)
            mine = [a for a in filed.values() if a.purpose == row.purpose and a.kind is not ArtifactKind.TOMBSTONE]
            left = self._withdrawal.stop(mine)
            self._withdrawal.entomb(left, purpose, row, number, filed)
            self._withdrawal.destroy(mine, "dropped")
            self._catalog.clear_deferred(row.call_id, row.purpose)
            self._say("dropped", row, destroyed=len(mine), tombstones=len(left))
            corrections.turn(row, "done", self._clock_ns(), revision=number)
            log.info("dropped", call=row.call_id, purpose=row.purpose, artifacts=len(mine), left=len(left))

    def standing(self, call_id: str) -> dict[str, Corrected]:
        """What holds for each purpose now."""
        found: dict[str, Corrected] = {}
        for row in self._catalog.corrections.of_call(call_id):
            before = found.get(row.purpose, NOTHING)
            if _drops(row):
                found[row.purpose] = Corrected(before.revision, before.masks, dropped=True, row=before.row)
            elif row.verb == "mask" and row.state in ("working", "done"):
                mask = Mask(row.from_samples, row.to_samples, row.actor, row.reason, row.at_ns)
                revision = max(before.revision, row.revision)
                found[row.purpose] = Corrected(revision, (*before.masks, mask), before.dropped, row)
        return found

    def _say(self, kind: str, row: CorrectionRow, **fields: str | int) -> None:
        what = {"actor": row.actor, "reason": row.reason, **fields}
        self._testimony.once(kind, row.call_id, row.purpose, str(row.number), **what)


def _drops(row: CorrectionRow) -> bool:
    return row.verb == "drop" and row.state in ("working", "done") and not row.detail
