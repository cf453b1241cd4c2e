// One extension's call as the agent sees it: a light, what it means, the buttons, and each purpose.

import { callLight, isClosed, mayDrop, mayKeep, purposes, shownLight, toggleVerb } from "./standing.js";
import { clock } from "./words.js";

const SHAPES = {
  offline: "cross",
  "no-call": "dash",
  "not-recording": "ring",
  recording: "disc",
  paused: "bars",
  warning: "triangle",
  failed: "cross",
};

/** Changes nothing that is so already: what is live would be read aloud again. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Panel {
  #parts;
  #words;
  #state = null;
  #sure = document.getElementById("sure");
  #sureOf = null;

  /** `press(wish, callId)` and `acknowledge()` are what the buttons do. */
  constructor(extension, words, press, acknowledge) {
    this.#words = words;
    this.element = document.getElementById("line").content.cloneNode(true).firstElementChild;
    this.element.dataset.extension = extension;
    const names = ["extension", "title", "failure", "detail", "note", "toggle", "seen", "keep", "drop", "purposes"];
    this.#parts = Object.fromEntries(names.map((name) => [name, this.element.querySelector(`.${name}`)]));
    say(this.#parts.extension, words.line(extension));
    say(this.#parts.keep, words.verbs.keep);
    say(this.#parts.drop, `${words.verbs.drop}…`);
    this.#parts.toggle.addEventListener("click", () => press("toggle"));
    this.#parts.keep.addEventListener("click", () => press("keep", this.#state.known?.callId));
    this.#parts.seen.addEventListener("click", () => {
      acknowledge();
      this.#parts.toggle.focus();
    });
    this.#parts.drop.addEventListener("click", () => this.#ask());
    document.getElementById("drop-it").addEventListener("click", () => {
      const callId = this.#sureOf;
      this.#leave();
      if (callId !== null) press("drop", callId);
    });
    document.getElementById("keep-it").addEventListener("click", () => this.#leave());
    this.#sure.addEventListener("close", () => (this.#sureOf = null));
  }

  /** Whether this very call is to be dropped. */
  #ask() {
    this.#sureOf = this.#state.known?.callId ?? null;
    if (this.#sureOf !== null) this.#sure.showModal();
  }

  #leave() {
    if (this.#sureOf !== null) this.#sure.close();
    this.#sureOf = null;
  }

  show(state, now, isOneOfSeveral) {
    this.#state = state;
    const { extension, title, failure, detail, note, toggle, seen, keep, drop } = this.#parts;
    const light = shownLight(state);
    this.element.dataset.light = light;
    this.element.querySelector("use").setAttribute("href", `#${SHAPES[light]}`);
    extension.hidden = !isOneOfSeveral;
    say(failure, state.failure ? this.#words.failed[state.failure.verb] : "");
    say(title, this.#title());
    say(detail, this.#detail(now));
    say(note, state.note ? this.#words.notes[state.note.word](state.note.names?.join(", ")) : "");
    const isWorking = state.presses.length > 0;
    const verb = this.#words.verbs[toggleVerb(state)];
    say(toggle, isWorking ? `${verb} ${this.#words.working}` : verb);
    toggle.setAttribute("aria-busy", String(isWorking));
    seen.hidden = !state.failure;
    keep.disabled = !mayKeep(state);
    drop.disabled = !mayDrop(state);
    this.#showPurposes(state);
    if (this.#sureOf !== null && state.known?.callId !== this.#sureOf) this.#leave();
  }

  /** What the tab is called. One in the background may be put to sleep by the browser, so it is never called *paused*. */
  titleFor(isHidden) {
    if (this.#state.failure) return `⚠ ${this.#words.failed[this.#state.failure.verb]}`;
    return isHidden && isClosed(callLight(this.#state)) ? "Greffier" : this.#title();
  }

  #title() {
    const light = callLight(this.#state);
    return light === "offline" && this.#state.why !== "starting" ? this.#words.lost : this.#words.lights[light];
  }

  #detail(now) {
    const { known, failure, why, knownAt } = this.#state;
    const words = this.#words;
    const light = callLight(this.#state);
    const lines = failure ? [`${words.reasons[failure.reason]}; ${words.again}`] : [];
    if (light === "offline") {
      const isNew = failure?.reason !== why;
      return [...lines, ...(isNew ? [words.reasons[why]] : []), ...(why === "starting" ? [] : [words.lostHow])].join(". ");
    }
    if (!isClosed(light)) return lines.join(". ");
    const since = Object.values(known.sinceS);
    if (since.length > 0) lines.push(words.since(clock(Math.max(...since))));
    const others = known.causes.filter((name) => name !== "agent").map((name) => name.replace(/^[^:]*:/, ""));
    if (others.length > 0) lines.push(words.heldBy(others.join(", ")));
    if (known.resumesInS !== null) lines.push(words.resumesIn(clock(known.resumesInS - (now - knownAt) / 1000)));
    return lines.join(" · ");
  }

  #showPurposes(state) {
    const wanted = purposes(state);
    const rows = this.#parts.purposes;
    while (rows.children.length > wanted.length) rows.lastElementChild.remove();
    wanted.forEach(({ name, state: gate, sinceS }, place) => {
      const row = rows.children[place] ?? rows.appendChild(newRow());
      row.dataset.purpose = name;
      row.dataset.state = gate ?? "";
      const word = gate === null ? this.#words.working : (this.#words.states[gate] ?? gate);
      say(row.children[0], name);
      say(row.children[1], sinceS === null ? word : `${word}, ${this.#words.since(clock(sinceS))}`);
    });
  }
}

function newRow() {
  const row = document.createElement("li");
  row.append(document.createElement("span"), document.createElement("span"));
  row.children[0].className = "name";
  return row;
}
