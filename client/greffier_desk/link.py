"""The threads that talk to the desk: one listens, one asks, one presses. A press never waits behind a question."""

import queue
import random
import threading
import traceback
from collections.abc import Callable

from greffier_desk.api import Desk, DeskError, Event
from greffier_desk.clock import now
from greffier_desk.state import Reason, parse_standing
from greffier_desk.step import (
    ANSWER_S,
    Alerted,
    Answered,
    Ask,
    Away,
    Connected,
    Done,
    Input,
    Lost,
    News,
    Refused,
    Send,
    Unanswered,
)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
REFUSED_WAIT_S = 30.0
_TELL_IT = (Reason.TOKEN, Reason.FORBIDDEN, Reason.PIN, Reason.CERTIFICATE, Reason.NO_CALL)


def wait_s(failures: int, reason: Reason, chance: float) -> float:
    """How long to wait after so many failures; `chance` in 0…1 spreads the clients of a whole floor."""
    longest = REFUSED_WAIT_S if reason in _TELL_IT else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures, 10))
    return longest * (0.5 + chance / 2)


class Link:
    """Talks to one desk; everything that comes of it goes to `tell`, from threads of its own."""

    def __init__(self, desk: Desk, tell: Callable[[Input], None]) -> None:
        self._desk = desk
        self._tell = tell
        self._question = 0
        self._asked = threading.Condition()
        self._presses: queue.SimpleQueue[Send] = queue.SimpleQueue()
        self._try_now = threading.Event()

    def start(self) -> None:
        """Begin; the threads end with the process."""
        for work in (self._listen, self._answer, self._press):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def ask(self, question: Ask) -> None:
        """Ask how things stand; a question that was not sent yet is replaced."""
        with self._asked:
            self._question = question.number
            self._asked.notify()

    def send(self, press: Send) -> None:
        """Send a press after those before it; also a reason to try to connect at once."""
        self._presses.put(press)
        self._try_now.set()

    def _listen(self) -> None:
        failures = 0
        while True:
            self._try_now.clear()
            reason = Reason.ANSWER
            try:
                for number, event in enumerate(self._desk.events()):
                    failures = 0
                    if number == 0:
                        self._tell(Connected())
                    self._told(event)
            except DeskError as error:
                reason = error.reason
            except Exception:
                traceback.print_exc()  # a thread that dies unseen would leave the light as it is
            self._tell(Lost(reason))
            self._try_now.wait(wait_s(failures, reason, random.random()))  # noqa: S311 - no secret
            failures += 1

    def _told(self, event: Event) -> None:
        """Pass on what is about this agent; what is not understood breaks the connection."""
        if event.name == "state":
            try:
                standing = parse_standing(event.data, self._desk.agent)
            except ValueError:
                raise DeskError(Reason.ANSWER) from None
            if standing is not None:
                self._tell(News(standing))
        elif event.name == "away":
            self._tell(Away())
        elif event.name == "alert" and isinstance(event.data, dict) and event.data.get("agent") == self._desk.agent:
            self._tell(Alerted(str(event.data.get("kind"))))

    def _answer(self) -> None:
        answered = 0
        while True:
            with self._asked:
                while self._question == answered:
                    self._asked.wait()
                answered = self._question
            self._tell(self._asked_now(answered))

    def _asked_now(self, number: int) -> Input:
        try:
            return Answered(number, self._desk.state(ANSWER_S))
        except DeskError as error:
            return Unanswered(number, error.reason)
        except Exception:
            traceback.print_exc()
            return Unanswered(number, Reason.ANSWER)

    def _press(self) -> None:
        while True:
            self._tell(self._pressed_now(self._presses.get()))

    def _pressed_now(self, press: Send) -> Input:
        left = press.before - now()
        if left <= 0:
            return Refused(press.number, Reason.SILENT)
        try:
            self._desk.press(press.verb, left)
        except DeskError as error:
            return Refused(press.number, error.reason)
        except Exception:
            traceback.print_exc()
            return Refused(press.number, Reason.ANSWER)
        return Done(press.number)
