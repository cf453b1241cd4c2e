// One token at work: listens, asks and presses, and shows each extension's call as `standing.js` says it stands.

import { Desk, waitMs } from "./desk.js";
import { Panel } from "./panel.js";
import { allowSound, play } from "./sound.js";
import { ANSWER_MS, UNKNOWN, parseStanding, step } from "./standing.js";

export const ME_MS = 10000;
const TICK_MS = 250;

const reasonOf = (error) => error.reason ?? "answer";

/** The agent's extensions, that of the token first; none for a token that is no agent's. */
export function extensionsOf(me) {
  if (typeof me?.extension !== "string" || !Array.isArray(me.extensions)) return [];
  return [me.extension, ...me.extensions.filter((one) => one !== me.extension)];
}

/** Milliseconds of a clock that goes on while the machine sleeps, and never back. */
const now = (() => {
  let at = 0;
  let before = [performance.now(), Date.now()];
  return () => {
    const these = [performance.now(), Date.now()];
    at += Math.max(...these.map((one, n) => one - before[n]));
    before = these;
    return at;
  };
})();

/** A line for each of the agent's extensions, for as long as the page is there. */
export class Session {
  #desk;
  #words;
  #lines = new Map();
  #isOpen = false;
  #tryNow = () => {};

  constructor(token, extensions, words) {
    this.#words = words;
    this.#desk = new Desk(token, document.baseURI);
    this.#serve(extensions);
    setInterval(() => this.#each({ kind: "tick", isHidden: document.hidden }), TICK_MS);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#show();
      else this.#each({ kind: "woke" });
    });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.#each({ kind: "woke" });
    });
    this.#listen();
  }

  /** Lines for these extensions. */
  #serve(extensions) {
    for (const extension of extensions) {
      if (this.#lines.has(extension)) continue;
      const happen = (happened) => this.#happen(extension, happened);
      const pressed = (wish, callId) => {
        allowSound();
        happen({ kind: "pressed", wish, callId });
        this.#tryNow();
      };
      const panel = new Panel(extension, this.#words, pressed, () => happen({ kind: "acknowledged" }));
      this.#lines.set(extension, { state: { ...UNKNOWN, connected: this.#isOpen }, panel, sending: Promise.resolve() });
      document.getElementById("lines").append(panel.element);
    }
    this.#show();
  }

  async #listen() {
    for (let failures = 0; ; failures += 1) {
      let reason = "unreachable";
      const tried = new Promise((resolve) => (this.#tryNow = resolve));
      try {
        const opened = () => {
          failures = 0;
          this.#isOpen = true;
          this.#each({ kind: "connected" });
          this.#renew();
        };
        await this.#desk.listen(opened, (name, data) => this.#heard(name, data));
      } catch (error) {
        reason = reasonOf(error);
      }
      this.#isOpen = false;
      this.#each({ kind: "lost", reason });
      const waited = new Promise((resolve) => setTimeout(resolve, waitMs(failures, reason, Math.random())));
      await Promise.race([waited, tried]);
    }
  }

  /** The agent may have got an extension more since. */
  async #renew() {
    try {
      this.#serve(extensionsOf(await this.#desk.me(ME_MS)));
    } catch {
      // what there was goes on
    }
  }

  #heard(name, data) {
    if (name === "away") this.#each({ kind: "away" });
    if (!this.#lines.has(data.agent)) return;
    if (name === "state") this.#happen(data.agent, { kind: "news", standing: parseStanding(data) });
    if (name === "alert") this.#happen(data.agent, { kind: "alerted", alert: data.kind });
  }

  #each(happened) {
    for (const extension of this.#lines.keys()) this.#happen(extension, happened);
  }

  #happen(extension, happened) {
    const line = this.#lines.get(extension);
    if (line === undefined) return;
    const [state, effects] = step(line.state, happened, now());
    line.state = state;
    for (const { ask, send, play: sound } of effects) {
      if (ask) this.#ask(extension, ask);
      if (send) line.sending = line.sending.then(() => this.#send(extension, send));
      if (sound) play(sound);
    }
    this.#show();
  }

  async #ask(extension, number) {
    try {
      const standing = parseStanding(await this.#desk.state(extension, ANSWER_MS));
      this.#happen(extension, { kind: "answered", number, standing });
    } catch (error) {
      this.#happen(extension, { kind: "unanswered", number, reason: reasonOf(error) });
    }
  }

  /** One press after the other; what was told as failed meanwhile is not sent any more. */
  async #send(extension, { number, verb, callId, before }) {
    const left = before - now();
    try {
      if (left <= 0) return;
      const said = await this.#desk.press(verb, extension, callId, left);
      this.#happen(extension, { kind: "done", number, said });
    } catch (error) {
      this.#happen(extension, { kind: "refused", number, reason: reasonOf(error) });
    }
  }

  /** Extensions with a call, or with something to be told; the agent's first one if there is none. */
  #show() {
    const lines = [...this.#lines.values()];
    const busy = lines.filter(({ state }) => state.lastCall !== null || state.failure || state.presses.length > 0);
    const shown = busy.length > 0 ? busy : lines.slice(0, 1);
    for (const line of lines) {
      line.panel.element.hidden = !shown.includes(line);
      line.panel.show(line.state, now(), this.#lines.size > 1);
    }
    document.title = shown.map(({ panel }) => panel.titleFor(document.hidden)).join(" · ");
  }
}
