// The agent's page: who signs in, and with which token. What is done with it is `session.js`.

import { Desk } from "./desk.js";
import { ME_MS, Session, extensionsOf } from "./session.js";
import { allowSound } from "./sound.js";
import { wordsOf } from "./words.js";

const STORE = "greffier";
const TOKEN = /^[\x21-\x7e]{1,512}$/;

const words = wordsOf(navigator.languages);
const find = (id) => document.getElementById(id);

/** Of this tab alone, and gone with it; where the browser keeps nothing for a page in a frame, not even over a reload. */
const store = {
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(STORE));
    } catch {
      return null;
    }
  },
  write(kept) {
    try {
      if (kept === null) sessionStorage.removeItem(STORE);
      else sessionStorage.setItem(STORE, JSON.stringify(kept));
    } catch {
      // in memory only, then
    }
  },
};

function begin({ token, extensions }) {
  find("sign-in").hidden = true;
  find("signed-in").hidden = false;
  new Session(token, extensions, words);
  document.querySelector(".line:not([hidden]) .toggle").focus();
}

function askForToken(why = "") {
  find("sign-in").hidden = false;
  find("why").textContent = why;
  find("token").focus();
}

async function signIn(token) {
  if (!TOKEN.test(token)) {
    askForToken(words.reasons.token);
    return;
  }
  try {
    const extensions = extensionsOf(await new Desk(token, document.baseURI).me(ME_MS));
    if (find("sign-in").hidden) return; // asked twice, and let in already
    if (extensions.length === 0) {
      askForToken(words.noAgent);
      return;
    }
    store.write({ token, extensions });
    find("token").value = "";
    begin({ token, extensions });
  } catch (error) {
    askForToken(error.reason === "forbidden" ? words.noAgent : words.reasons[error.reason ?? "answer"]);
  }
}

find("not-started").remove();
document.documentElement.lang = words.lang;
for (const element of [document, find("line").content].flatMap((part) => [...part.querySelectorAll("[data-word]")])) {
  element.textContent = words[element.dataset.word];
}
find("drop-it").textContent = words.verbs.drop;
find("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  allowSound();
  signIn(find("token").value.trim());
});
find("sign-out").addEventListener("click", () => {
  store.write(null);
  location.reload();
});

const kept = store.read();
if (kept === null) askForToken();
else begin(kept);
