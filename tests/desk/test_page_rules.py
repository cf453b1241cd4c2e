"""The page's rules (`standing.js`) against those of the desk client, which are the reference.

Told the same things in any order, both show the same, send the same and ask the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chromium import AgentPage, agent_page
from greffier_desk.state import Light, Reason, Standing, State, Verb, Wish, call_light
from greffier_desk.step import (
    Acknowledged,
    Alerted,
    Answered,
    Ask,
    Connected,
    Done,
    Input,
    Lost,
    News,
    Pressed,
    Refused,
    Send,
    Tick,
    Unanswered,
    step,
)
from greffier_desk.words import ENGLISH, FRENCH, Words
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

SAID = [Light.NO_CALL, Light.NOT_RECORDING, Light.RECORDING, Light.PAUSED, Light.WARNING]
SCRIPT = """
const [happened, done] = arguments;
import(`${location.origin}/page/standing.js`).then(({UNKNOWN, step, callLight}) => {
  let state = UNKNOWN;
  done(happened.map(([at, one]) => {
    const [after, effects] = step(state, one, at);
    state = after;
    return {
      light: callLight(state),
      failure: state.failure?.verb ?? null,
      presses: state.presses.map((press) => press.verb),
      note: state.note !== null,
      sent: effects.filter((effect) => effect.send).map((effect) => effect.send.verb),
      asked: effects.filter((effect) => effect.ask).map((effect) => effect.ask),
    };
  }));
});
"""


@dataclass(frozen=True)
class Act:
    """Something that happens `after_s` after what was before. `back`: which question or press it is about, from the
    newest."""

    kind: str
    after_s: float = 0.0
    back: int = 0
    light: Light = Light.RECORDING
    cause: str = "agent"
    call_id: str = "c1"
    wish: Wish = Wish.TOGGLE

    @property
    def standing(self) -> Standing:
        causes = frozenset([self.cause] if self.light.is_closed else [])
        return Standing(self.light, None if self.light is Light.NO_CALL else self.call_id, causes)

    def as_input(self, state: State) -> Input:
        """As the desk client is told it."""
        return {
            "pressed": lambda: Pressed(self.wish),
            "connected": Connected,
            "lost": lambda: Lost(Reason.UNREACHABLE),
            "news": lambda: News(self.standing),
            "alerted": lambda: Alerted("limit" if self.back else "warn"),
            "answered": lambda: Answered(state.asked - self.back, self.standing),
            "unanswered": lambda: Unanswered(state.asked - self.back, Reason.SILENT),
            "done": lambda: Done(state.numbered - self.back),
            "refused": lambda: Refused(state.numbered - self.back, Reason.RECORDER),
            "acknowledged": Acknowledged,
            "tick": Tick,
        }[self.kind]()

    def as_page(self, state: State) -> dict[str, Any]:
        """As the page is told it."""
        about = {"done": state.numbered, "refused": state.numbered}.get(self.kind, state.asked) - self.back
        said = self.standing
        standing = {"light": said.light.value, "callId": said.call_id, "causes": sorted(said.causes)}
        return {
            "kind": self.kind,
            "wish": self.wish.value,
            "reason": "silent",
            "standing": {**standing, "states": {}, "sinceS": {}, "resumesInS": None},
            "alert": "limit" if self.back else "warn",
            "number": about,
            "said": {"states": {}, "changed": []},
            "isHidden": False,
        }


KINDS = ["pressed", "connected", "lost", "news", "alerted", "answered", "unanswered"]
KINDS += ["done", "refused", "acknowledged", "tick", "answered", "answered", "done", "pressed"]
ACTS = st.builds(
    Act,
    kind=st.sampled_from(KINDS),
    after_s=st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 8.0, 11.0]),
    back=st.sampled_from([0, 0, 0, 1, 2]),
    light=st.sampled_from(SAID),
    cause=st.sampled_from(["agent", "agent", "context:payment"]),
    call_id=st.sampled_from(["c1", "c2"]),
    wish=st.sampled_from([Wish.TOGGLE, Wish.TOGGLE, Wish.KEEP]),
)
UP = [Act("connected"), Act("answered", light=Light.RECORDING)]
DOWN = [Act("connected"), Act("answered", light=Light.PAUSED)]


@pytest.fixture(scope="module")
def browser(running) -> Iterator[AgentPage]:
    with agent_page() as page:
        page.open(running.url)
        yield page


@given(acts=st.lists(ACTS, min_size=1, max_size=40), begin=st.sampled_from([[], UP, DOWN]))
@example(acts=[Act("pressed"), Act("done"), Act("answered", light=Light.RECORDING)], begin=UP)
@example(acts=[Act("pressed"), Act("done"), Act("news", light=Light.PAUSED)], begin=DOWN)
@example(acts=[Act("pressed"), Act("pressed", after_s=1.0), Act("tick", after_s=5.0)], begin=DOWN)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_page_and_desk_client_show_the_same(browser: AgentPage, acts: list[Act], begin: list[Act]) -> None:
    state, now_s = State(), 100.0
    told: list[tuple[float, dict[str, Any]]] = []
    wanted: list[dict[str, Any]] = []
    for act in [*begin, *acts]:
        now_s += act.after_s
        told.append((1000 * now_s, act.as_page(state)))
        state, effects = step(state, act.as_input(state), now_s)
        wanted.append(
            {
                "light": call_light(state).value,
                "failure": state.failure.verb.value if state.failure else None,
                "presses": [press.verb.value for press in state.presses],
                "note": state.note is not None,
                "sent": [effect.verb.value for effect in effects if isinstance(effect, Send)],
                "asked": [effect.number for effect in effects if isinstance(effect, Ask)],
            }
        )
    assert browser.driver.execute_async_script(SCRIPT, told) == wanted


@pytest.mark.parametrize(("language", "words"), [("fr-CA", FRENCH), ("en", ENGLISH), ("de", ENGLISH)])
def test_the_words_are_those_of_the_desk_client(browser: AgentPage, language: str, words: Words) -> None:
    script = """
        const [language, done] = arguments;
        import(`${location.origin}/page/words.js`).then(({wordsOf}) => {
          const words = wordsOf([language]);
          done({...JSON.parse(JSON.stringify(words)), notes: Object.keys(words.notes)});
        });
    """
    said = browser.driver.execute_async_script(script, language)
    assert said["lights"] == {light.value: word for light, word in words.lights.items() if light is not Light.FAILED}
    assert said["failed"].items() >= {verb.value: word for verb, word in words.failed.items()}.items()
    assert set(said["failed"]) == {*(verb.value for verb in Verb), "drop"}
    reasons = {camel(reason.value): word for reason, word in words.reasons.items()}
    assert said["reasons"] == {name: word for name, word in reasons.items() if name not in ("pin", "certificate")}
    assert said["seen"] == words.seen and said["again"] == words.again


def test_both_languages_say_all_that_there_is_to_say(browser: AgentPage) -> None:
    script = """
        const [done] = arguments;
        import(`${location.origin}/page/words.js`).then(({wordsOf}) => {
          const names = (words) => Object.entries(words).flatMap(([name, one]) =>
            typeof one === "object" ? Object.keys(one).map((below) => `${name}.${below}`) : [name]);
          done([names(wordsOf(["fr"])), names(wordsOf(["en"])), wordsOf([]).lang]);
        });
    """
    french, english, neither = browser.driver.execute_async_script(script)
    assert french == english and neither == "en"


def camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)
