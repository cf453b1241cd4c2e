// The desk over HTTP: who we are, how a call stands, presses, and server-sent events (HTML Living Standard §9.2).
//
// The token goes into the Authorization header and nowhere else. Events are read with fetch, since an EventSource
// cannot send that header; and a stream in which nothing comes, not even the comment that keeps it alive, is dead.

const SILENCE_MS = 25000;
const LARGEST = 1 << 16;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;
const REFUSED_WAIT_MS = 30000;
const REASONS = { 401: "token", 403: "forbidden", 404: "noCall" };
const TELL_IT = ["token", "forbidden"];

/** The desk did not do it, for this `reason`; whether it was done all the same is not known when that is `silent`. */
export class DeskError extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** How long to wait after so many failures; `chance` in 0…1 spreads the pages of a whole floor. */
export function waitMs(failures, reason, chance) {
  const longest = TELL_IT.includes(reason)
    ? REFUSED_WAIT_MS
    : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
  return longest * (0.5 + chance / 2);
}

/** One desk, spoken to with one token. */
export class Desk {
  #token;
  #root;

  constructor(token, root) {
    this.#token = token;
    this.#root = root;
  }

  /** Whose token it is. */
  me = (patienceMs) => this.#exchange("GET", "v1/me", patienceMs);

  state = (extension, patienceMs) =>
    this.#exchange("GET", `v1/agents/${encodeURIComponent(extension)}/state`, patienceMs);

  /** Press; what the gate did, once it is done. A pause is of whatever call there is, all else of the call that is meant. */
  async press(verb, extension, callId, patienceMs) {
    const of =
      verb === "pause" || callId === null
        ? `v1/agents/${encodeURIComponent(extension)}`
        : `v1/calls/${encodeURIComponent(callId)}`;
    const said = await this.#exchange("POST", `${of}/${verb}`, patienceMs, "{}");
    const states = said?.states;
    if (typeof states !== "object" || states === null || !Array.isArray(said.changed)) throw new DeskError("answer");
    return said;
  }

  /** Events as they come: `open()` once it is, then `event(name, data)`. Returns only by throwing DeskError. */
  async listen(open, event) {
    const over = new AbortController();
    const giveUp = () => over.abort();
    let timer = setTimeout(giveUp, SILENCE_MS);
    try {
      const answer = await this.#fetch("GET", "v1/events", over.signal);
      open();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(giveUp, SILENCE_MS);
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        if (text.length > LARGEST) throw new DeskError("answer");
        for (const block of blocks) tell(block, event);
      }
      throw new DeskError("unreachable");
    } catch (error) {
      throw asDeskError(error, over.signal);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  async #exchange(method, path, patienceMs, body) {
    const signal = AbortSignal.timeout(patienceMs);
    try {
      const answer = await this.#fetch(method, path, signal, body);
      const text = await answer.text();
      if (text.length > LARGEST) throw new DeskError("answer");
      return JSON.parse(text);
    } catch (error) {
      throw error instanceof SyntaxError ? new DeskError("answer") : asDeskError(error, signal);
    }
  }

  async #fetch(method, path, signal, body) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, body, signal, cache: "no-store", redirect: "error" };
    const answer = await fetch(new URL(path, this.#root), options);
    if (answer.status !== 200) throw new DeskError(REASONS[answer.status] ?? "recorder");
    return answer;
  }
}

function asDeskError(error, signal) {
  if (error instanceof DeskError) return error;
  return new DeskError(signal.aborted ? "silent" : "unreachable");
}

/** One event of a stream; what is not understood breaks it. */
function tell(block, event) {
  let name = "";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  if (data.length === 0) return;
  try {
    event(name, JSON.parse(data.join("\n")));
  } catch {
    throw new DeskError("answer");
  }
}
