// What the page knows of one extension, and what follows from each thing that happens: pure, with the time passed in.
//
// The one inexcusable fault is to show *paused* when it is not. So news is a reason to ask, not an answer: only the
// desk's answer to the newest question is believed in that, and whatever says otherwise is believed at once. The rules
// are those of the desk client (client/greffier_desk/step.py), times are milliseconds.

export const DOUBLE_MS = 250;
export const PRESS_MS = 4000;
export const ANSWER_MS = 4000;
export const RECHECK_MS = 5000;
export const RETRY_MS = 1000;
export const ALARM_MS = 2000;
export const NOTE_MS = 8000;
export const SLEPT_MS = 10000;

const LIGHTS = ["no-call", "not-recording", "recording", "paused", "warning"];
const CLOSED = ["paused", "warning"];
const OWN_CAUSE = "agent";
const KEEPABLE = ["idle", "armed", "armed-paused"];
const OVER = ["idle", "dropped", "ended"];

export const isClosed = (light) => CLOSED.includes(light);

/** Before anything is known. `presses`: sent and not settled; `confirm` is the question whose answer must bear it out. */
export const UNKNOWN = Object.freeze({
  connected: false,
  known: null,
  knownAt: 0,
  why: "starting",
  rumour: null,
  lastCall: null,
  asked: 0,
  waitingSince: null,
  presses: [],
  numbered: 0,
  failure: null,
  alarmAt: 0,
  note: null,
  noteUntil: 0,
  heard: "offline",
  seen: {},
  ticked: null,
});

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** The desk's state object of an agent. Throws TypeError when it is not understood. */
export function parseStanding(said) {
  const { light, call_id: callId, states = {}, causes = {}, since_s: since = {} } = isObject(said) ? said : {};
  const fits = [states, causes, since].every(isObject) && (callId === null || typeof callId === "string");
  if (!LIGHTS.includes(light) || !fits) throw new TypeError("a state that is none");
  if (!Object.values(causes).every(Array.isArray)) throw new TypeError("causes that are none");
  if (isClosed(light) && callId === null) throw new TypeError("a pause of no call");
  return {
    light,
    callId,
    states: Object.fromEntries(Object.entries(states).map(([name, state]) => [name, String(state)])),
    causes: [...new Set(Object.values(causes).flat().map(String))].sort(),
    sinceS: Object.fromEntries(Object.entries(since).filter(([, s]) => number(s) !== null)),
    resumesInS: number(said.resumes_in_s),
  };
}

/** What is known of the call, failures aside: never *paused* while anything says otherwise. */
export function callLight(state) {
  if (!state.connected || state.known === null) return "offline";
  if (!isClosed(state.known.light)) return state.known.light;
  if (state.presses.some((press) => press.verb === "resume")) return "recording";
  if (state.rumour !== null && !isClosed(state.rumour.light)) return state.rumour.light;
  return state.known.light;
}

export const shownLight = (state) => (state.failure ? "failed" : callLight(state));

/** What the big button asks for now. In doubt a pause. */
export function toggleVerb(state) {
  const isUnsettled = state.presses.some((press) => press.verb === "pause" || press.verb === "resume");
  return isClosed(callLight(state)) && !isUnsettled ? "resume" : "pause";
}

export const mayKeep = (state) =>
  callLight(state) !== "offline" && Object.values(state.known.states).some((one) => KEEPABLE.includes(one));

export const mayDrop = (state) =>
  callLight(state) !== "offline" && Object.values(state.known.states).some((one) => !OVER.includes(one));

/** Each purpose with its gate's state and since when it is paused; `state` null: *paused* is in doubt just now. */
export function purposes(state) {
  if (callLight(state) === "offline") return [];
  const { known, rumour } = state;
  const isResuming = state.presses.some((press) => press.verb === "resume");
  return Object.keys(known.states)
    .sort()
    .map((name) => {
      const said = known.states[name];
      const isDoubted = isResuming || (rumour !== null && rumour.states[name] !== said);
      if (said.endsWith("paused") && isDoubted) return { name, state: null, sinceS: null };
      return { name, state: said, sinceS: known.sinceS[name] ?? null };
    });
}

/** State after `happened` at `now`, and what is to be done: `{ask}`, `{send}`, `{play}`. */
export function step(state, happened, now) {
  const effects = [];
  const after = HAPPENED[happened.kind]({ ...state }, happened, now, effects);
  return [heard(after, effects), effects];
}

const HAPPENED = {
  /** The agent pressed: `wish` is toggle, keep or drop; `callId`: the call that is meant, if one is. */
  pressed(state, { wish, callId }, now, effects) {
    const before = state.seen[wish];
    state.seen = { ...state.seen, [wish]: now };
    if (before !== undefined && now - before >= 0 && now - before < DOUBLE_MS) return state;
    const verb = wish === "toggle" ? toggleVerb(state) : wish;
    if (verb === "resume" && state.known.causes.length > 0 && !state.known.causes.includes(OWN_CAUSE)) {
      effects.push({ play: "warning" });
      return noted(state, { word: "heldByOther" }, now);
    }
    state.numbered += 1;
    const press = { number: state.numbered, verb, at: now, callId: callId ?? state.known?.callId ?? null };
    const send = { send: { ...press, before: now + PRESS_MS } };
    if (callLight(state) === "offline") {
      // told as failed at once; what only makes the record safer is tried all the same
      if (verb === "pause" || verb === "keep") effects.push(send);
      return failed(state, verb, state.why, now, effects);
    }
    effects.push(send);
    state.presses = [...state.presses, { ...press, confirm: null }];
    return state;
  },

  connected: (state, _, now, effects) => ask({ ...state, connected: true }, now, effects),

  /** The event stream is not, or is silent. */
  lost: (state, { reason }, now) => offline({ ...state, connected: false }, reason, now),

  /** The desk says that the recorder does not answer. */
  away: (state, _, now) => offline(state, "recorder", now),

  news: (state, { standing }, now, effects) => ask({ ...state, rumour: standing }, now, effects),

  alerted(state, { alert }, now, effects) {
    if (alert === "limit") {
      effects.push({ play: "warning" });
      noted(state, { word: "resumedByLimit" }, now);
    }
    return ask(state, now, effects);
  },

  answered(state, { number: asked, standing }, now) {
    if (asked !== state.asked) return state;
    const { known: before, failure } = state;
    const hasPause = state.presses.some((press) => press.confirm !== null && press.verb === "pause");
    state.presses = state.presses.filter((press) => press.confirm === null);
    Object.assign(state, { known: standing, knownAt: now, rumour: null, waitingSince: null });
    state.lastCall = standing.callId;
    if (hasPause && standing.light === "recording") {
      state.failure = { verb: "pause", reason: "stillRecording", callId: standing.callId };
      state.alarmAt = now - ALARM_MS;
    } else if (failure && isPutRight(failure, standing, before)) {
      state.failure = null;
    }
    return state;
  },

  unanswered: (state, { number: asked, reason }, now) => (asked === state.asked ? offline(state, reason, now) : state),

  /** The desk says that a press is done; `said` is its answer. */
  done(state, { number: done, said }, now, effects) {
    const press = state.presses.find((one) => one.number === done);
    ask(state, now, effects);
    if (press?.verb === "pause") {
      state.presses = state.presses.map((one) => (one === press ? { ...one, confirm: state.asked } : one));
      return state;
    }
    state.presses = state.presses.filter((one) => one !== press);
    if (press?.verb === "resume") return perhapsOpen(state);
    if (press) {
      if (state.failure?.verb === press.verb) state.failure = null;
      noted(state, noteOf(press.verb, said), now);
    }
    return state;
  },

  refused(state, { number: refused, reason }, now, effects) {
    const press = state.presses.find((one) => one.number === refused);
    state.presses = state.presses.filter((one) => one !== press);
    ask(state, now, effects);
    if (!press) return state;
    if (press.verb === "resume") perhapsOpen(state);
    return failed(state, press.verb, reason, now, effects);
  },

  /** The page is looked at again: what it showed may be old. */
  woke: (state, _, now, effects) => ask(offline(state, "slept", now), now, effects),

  acknowledged: (state) => ({ ...state, failure: null }),

  /** Time went by. `isHidden`: nobody sees the page, and browsers let it tick as rarely as they like. */
  tick(state, { isHidden }, now, effects) {
    const slept = !isHidden && state.ticked !== null && now - state.ticked > SLEPT_MS;
    state.ticked = isHidden ? null : now;
    if (state.note && now >= state.noteUntil) state.note = null;
    const late = state.presses.filter((press) => press.confirm === null && now - press.at >= PRESS_MS);
    for (const press of late) {
      state = HAPPENED.refused(state, { number: press.number, reason: "silent" }, now, effects);
    }
    if (slept) {
      state = offline(state, "slept", now);
    } else if (state.waitingSince !== null && now - state.waitingSince >= ANSWER_MS) {
      state = offline(state, "silent", now);
    }
    if (state.failure && now - state.alarmAt >= ALARM_MS) {
      state.alarmAt = now;
      effects.push({ play: "alarm" });
    }
    const again = state.known === null ? RETRY_MS : isClosed(state.known.light) ? RECHECK_MS : null;
    if (state.connected && state.waitingSince === null && again !== null && now - state.knownAt >= again) {
      ask(state, now, effects);
    }
    return state;
  },
};

/** What a done *keep* or *drop* came to, by its answer. */
function noteOf(verb, said) {
  const named = (wanted) => Object.keys(said.states).filter(wanted).sort();
  if (verb === "drop") {
    const left = named((name) => !OVER.includes(said.states[name]));
    return left.length > 0 ? { word: "droppedBut", names: left } : { word: "dropped" };
  }
  const kept = named((name) => said.changed.includes(name));
  return kept.length > 0 ? { word: "kept", names: kept } : { word: "keptBefore" };
}

/** A resume was sent, so *paused* is not shown before the desk says so again. */
function perhapsOpen(state) {
  if (state.known !== null && isClosed(state.known.light)) {
    state.rumour = { ...state.known, light: "recording", states: {} };
  }
  return state;
}

/** Whether a failure is over: what was wanted is so, or the call it was about has ended. */
function isPutRight(failure, standing, before) {
  if (failure.verb === "pause" && isClosed(standing.light)) return true;
  if (failure.verb === "resume" && !isClosed(standing.light)) return true;
  if (failure.callId !== null) return standing.callId !== failure.callId;
  return before !== null && before.callId !== null && standing.callId === null;
}

function ask(state, now, effects) {
  state.asked += 1;
  state.waitingSince ??= now;
  effects.push({ ask: state.asked });
  return state;
}

/** Nothing that was known holds; answers that are still under way come too late. */
function offline(state, why, now) {
  const presses = state.presses.filter((press) => press.confirm === null);
  const unknown = { known: null, rumour: null, waitingSince: null };
  return { ...state, ...unknown, knownAt: now, why, asked: state.asked + 1, presses };
}

/** *Not paused* is never hidden behind a failure that matters less. */
function failed(state, verb, reason, now, effects) {
  const isWorse = state.failure?.verb === "pause" && verb !== "pause";
  if (!isWorse) state.failure = { verb, reason, callId: state.known?.callId ?? null };
  state.alarmAt = now;
  effects.push({ play: "alarm" });
  return state;
}

function noted(state, note, now) {
  return Object.assign(state, { note, noteUntil: now + NOTE_MS });
}

/** Sounds for what is new and certain. */
function heard(state, effects) {
  const light = callLight(state);
  if (state.rumour !== null || light === state.heard || state.presses.some((press) => press.verb === "resume")) {
    return state;
  }
  const was = state.heard;
  state.heard = light;
  const isLost = light === "offline" && was !== "offline" && state.why !== "slept";
  const sound = light === "warning" || isLost ? light : null;
  if (sound && !state.failure && !effects.some((effect) => effect.play)) effects.push({ play: sound });
  return state;
}
