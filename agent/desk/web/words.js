// What is said to the agent, in French and in English; the words of lights and reasons are those of the desk client.

const ENGLISH = {
  lang: "en",
  lights: {
    offline: "OFFLINE",
    "no-call": "NO CALL",
    "not-recording": "NOT RECORDED",
    recording: "RECORDING",
    paused: "PAUSED",
    warning: "STILL PAUSED",
  },
  failed: { pause: "NOT PAUSED", resume: "NOT RESUMED", keep: "NOT KEPT", drop: "NOT DROPPED" },
  reasons: {
    starting: "connecting",
    unreachable: "the recorder cannot be reached",
    silent: "the recorder does not answer",
    token: "the token is not accepted: tell IT",
    forbidden: "the token is another agent's: tell IT",
    noCall: "the recorder knows no call of yours",
    recorder: "the recorder cannot do it now",
    answer: "the recorder's answer is not understood: tell IT",
    stillRecording: "the call is still recorded",
    slept: "this computer was asleep",
  },
  states: {
    idle: "not recorded",
    waiting: "waits for consent",
    armed: "kept if you press Keep",
    recording: "recorded",
    "waiting-paused": "paused",
    "armed-paused": "paused",
    paused: "paused",
    dropped: "dropped",
    ended: "ended",
  },
  notes: {
    kept: (names) => `kept: ${names}`,
    keptBefore: () => "nothing more to keep: it was kept already",
    dropped: () => "this call is dropped",
    droppedBut: (names) => `dropped, but not: ${names}`,
    heldByOther: () => "paused by something else: ends with it",
    resumedByLimit: () => "pause too long: recording again",
  },
  verbs: { pause: "Pause", resume: "Resume", keep: "Keep", drop: "Drop" },
  lost: "CONNECTION LOST",
  lostHow: "whether this call is recorded is not known here",
  again: "press again",
  seen: "Seen",
  since: (time) => `since ${time} of the call`,
  resumesIn: (time) => `recording again by itself in ${time}`,
  heldBy: (names) => `also paused by: ${names}`,
  working: "…",
  line: (extension) => `extension ${extension}`,
  sure: "Drop this call?",
  sureHow: "What was recorded of it is destroyed, for every purpose that permits it. It cannot be brought back.",
  keepIt: "No, keep it",
  token: "Your token, from IT",
  signIn: "Sign in",
  signOut: "Sign out",
  noAgent: "this token is not an agent's: ask IT for one of your extension",
  signedOut: "signed out",
};

const FRENCH = {
  lang: "fr",
  lights: {
    offline: "HORS LIGNE",
    "no-call": "PAS D’APPEL",
    "not-recording": "NON ENREGISTRÉ",
    recording: "ENREGISTREMENT",
    paused: "EN PAUSE",
    warning: "TOUJOURS EN PAUSE",
  },
  failed: { pause: "PAS EN PAUSE", resume: "PAS REPRIS", keep: "PAS CONSERVÉ", drop: "PAS EFFACÉ" },
  reasons: {
    starting: "connexion en cours",
    unreachable: "l’enregistreur est injoignable",
    silent: "l’enregistreur ne répond pas",
    token: "jeton refusé : prévenez l’informatique",
    forbidden: "jeton d’un autre agent : prévenez l’informatique",
    noCall: "l’enregistreur ne voit aucun appel de vous",
    recorder: "l’enregistreur ne peut pas le faire",
    answer: "réponse incomprise : prévenez l’informatique",
    stillRecording: "l’appel est toujours enregistré",
    slept: "cet ordinateur était en veille",
  },
  states: {
    idle: "non enregistré",
    waiting: "attend le consentement",
    armed: "conservé si vous appuyez sur Conserver",
    recording: "enregistré",
    "waiting-paused": "en pause",
    "armed-paused": "en pause",
    paused: "en pause",
    dropped: "effacé",
    ended: "terminé",
  },
  notes: {
    kept: (names) => `conservé : ${names}`,
    keptBefore: () => "rien de plus à conserver : c’était déjà fait",
    dropped: () => "cet appel est effacé",
    droppedBut: (names) => `effacé, sauf : ${names}`,
    heldByOther: () => "en pause pour une autre cause : finit avec elle",
    resumedByLimit: () => "pause trop longue : l’enregistrement reprend",
  },
  verbs: { pause: "Pause", resume: "Reprendre", keep: "Conserver", drop: "Effacer" },
  lost: "CONNEXION PERDUE",
  lostHow: "on ne sait pas ici si l’appel est enregistré",
  again: "appuyez encore",
  seen: "Vu",
  since: (time) => `depuis ${time} de l’appel`,
  resumesIn: (time) => `l’enregistrement reprend seul dans ${time}`,
  heldBy: (names) => `aussi en pause : ${names}`,
  working: "…",
  line: (extension) => `poste ${extension}`,
  sure: "Effacer cet appel ?",
  sureHow: "Ce qui en a été enregistré est détruit, pour chaque usage qui le permet. C’est sans retour.",
  keepIt: "Non, le garder",
  token: "Votre jeton, donné par l’informatique",
  signIn: "Se connecter",
  signOut: "Se déconnecter",
  noAgent: "ce jeton n’est pas celui d’un agent : demandez-en un pour votre poste",
  signedOut: "déconnecté",
};

/** The words of the first of the browser's languages that we have; English otherwise. */
export function wordsOf(languages) {
  const known = { fr: FRENCH, en: ENGLISH };
  const first = languages.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in known);
  return known[first ?? "en"];
}

/** Seconds as minutes and seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
