"""What one destination is ordered to hold, to release and to delete, in a thread of its own and over a way of its own.

Done there, then journalled, then noted: killed between, an order is given and journalled again, which is harmless. What
fails is tried again later, longer each time; what a lock forbids is reported once and tried again each day.
"""

import threading
import time
from collections.abc import Callable

import structlog

from agent.config.delivery import Courier
from agent.courier.patience import delay_s
from agent.forward.destination import Destination, Poison, Retry, Unsupported
from agent.store.catalog import Catalog
from agent.store.journal import Journal
from agent.store.orders import Order

log = structlog.get_logger()

NS = 1_000_000_000
REFUSED_S = 86_400.0
PLAN_S = 15.0
_SAID = {"hold": "central.held", "release": "central.released", "destroy": "central.deleted"}
_WHY = {True: "it was called back", False: "its central deadline passed"}


class Orders:
    """Works off the orders for one destination. `deletes`: whether what is over there is ours to delete; `believed_ns`:
    UTC as far as it is believed, which central deadlines go by."""

    def __init__(
        self,
        destination: Destination,
        pace: Courier,
        catalog: Catalog,
        journal: Journal,
        stop: threading.Event,
        believed_ns: Callable[[], int],
        clock_ns: Callable[[], int] = time.time_ns,
        *,
        deletes: bool = True,
    ) -> None:
        self._destination = destination
        self._pace = pace
        self._catalog = catalog
        self._journal = journal
        self._stop = stop
        self._believed_ns = believed_ns
        self._clock_ns = clock_ns
        self._deletes = deletes

    def run(self) -> None:
        """Until `stop`."""
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:  # the catalog or the disk: said, and tried again like all else
                log.error("orders.failed", destination=self._destination.name, kind=type(error).__name__)
            self._stop.wait(self._pace.poll_s)

    def step(self) -> int:
        """Give each order that is due, once. Returns how many were done."""
        name = self._destination.name
        due = self._catalog.orders.due_holds(name, self._clock_ns())
        if self._deletes:
            due += self._catalog.orders.due_deletions(name, self._believed_ns(), self._clock_ns())
        done = 0
        for order in due:
            if self._stop.is_set():
                break
            done += self._give(order)
        return done

    def _give(self, order: Order) -> bool:
        try:
            if order.verb == "destroy":
                if self._catalog.legal_holds.is_held(order.artifact.call_id, order.artifact.purpose):
                    return False  # held since the list was made
                self._destination.destroy(order.artifact.path)
            else:
                self._destination.hold(order.artifact.path, order.verb == "hold")
        except Unsupported as error:
            self._unsupported(order, str(error))
        except Retry as error:
            self._failed(order, str(error), self._again_s(order.attempts))
        except Poison as error:
            self._failed(order, str(error), REFUSED_S, say=str(error) != order.detail)
        except Exception as error:  # one artifact's surprise must not end the thread; it is retried and stays visible
            self._failed(order, f"unexpected {type(error).__name__}", self._again_s(order.attempts))
        else:
            self._done(order)
            return True
        return False

    def _done(self, order: Order) -> None:
        at_ns = self._clock_ns()
        if order.verb == "destroy":
            passed = 0 < order.artifact.central_deadline_ns <= self._believed_ns()
            late_s = (self._believed_ns() - order.artifact.central_deadline_ns) // NS if passed else 0
            self._say("central.deleted", order, late_s=late_s, reason=_WHY[not passed])
            self._catalog.orders.ended(order.artifact.artifact_id, at_ns)
        else:
            self._say(_SAID[order.verb], order)
            self._catalog.orders.settled(order, "done", at_ns)
        log.info(_SAID[order.verb], path=order.artifact.path, destination=self._destination.name)

    def _unsupported(self, order: Order, why: str) -> None:
        self._say("central.unsupported", order, verb=order.verb, why=why)
        self._catalog.orders.settled(order, "unsupported", self._clock_ns(), why)
        log.warning("central.unsupported", verb=order.verb, path=order.artifact.path, why=why)

    def _failed(self, order: Order, why: str, again_s: float, *, say: bool | None = None) -> None:
        if say if say is not None else order.attempts == 0:  # once a spell, and once for each reason to mend
            self._say("central.failed", order, verb=order.verb, why=why)
        at_ns = self._clock_ns()
        self._catalog.orders.failed(order, at_ns, at_ns + int(again_s * NS), why)
        fields = {"verb": order.verb, "path": order.artifact.path, "destination": self._destination.name}
        log.warning("central.failed", why=why, again_s=again_s, **fields)

    def _again_s(self, attempts: int) -> float:
        return delay_s(self._pace.retry_first_s, self._pace.retry_max_s, attempts)

    def _say(self, kind: str, order: Order, **fields: str | int) -> None:
        artifact = order.artifact
        what: dict[str, str | int] = {"path": artifact.path, "destination": self._destination.name, **fields}
        self._journal.append(
            kind, call_id=artifact.call_id, purpose=artifact.purpose, cipher_sha256=artifact.cipher_sha256, **what
        )
