"""`python -m bench.redaction --json`: how much of what is secret redaction hides, and how much else, and how fast.

`recall` is the share of generated utterances (`bench.utterances`) of which every word that carries the secret is
hidden, `kind_right` of which it is also hidden as what it is. `false_per_1000_words` counts words hidden without cause
in the calls of `tests/transcribe/redaction` on which the rules were tuned, and where the folder is there, in the
references of `shared/speech`. `mending` and `held_out` are the same of later calls: rules may be mended by the first,
and are only measured on the second (once they are mended by it, it belongs to the first). `us_per_word` is the CPU of
recognition in whole calls, `live_us_per_word` that of words that come one by one. `word_thread` is what the scribe's
thread of words takes of a core for one call that is spoken without a break: each word is in two guesses before it is
decided, guarded and redacted; `rereading` the same if all of the last minutes were read for every one of them.
`--show` prints what is hidden without cause, or is not hidden.
"""

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.model.redaction import Policy, SecretKind
from agent.model.text import Said, Word
from agent.transcribe.guard import Guard, Rules
from agent.transcribe.redaction.find import find
from agent.transcribe.redaction.live import LiveRedactor
from bench.marked import Marked, calls, marked
from bench.utterances import Utterance, utterances

ROOT = Path(__file__).parents[1]
CALLS = ROOT / "tests" / "transcribe" / "redaction"
SPEECH = ROOT.parent / "shared" / "speech" / "manifest.csv"
SEED = 1
AROUND = 14
"""Words that `--show` prints on both sides."""
OF_WORD_THREAD = 2
NUMBERS = Policy(mask=frozenset({SecretKind.CARD, SecretKind.CVV, SecretKind.EXPIRY, SecretKind.IBAN, SecretKind.NIR}))
"""What a live purpose hides by default."""


def hidden(said: Sequence[Said], language: str) -> dict[int, SecretKind]:
    """The words that are hidden, each with its kind."""
    return {word: secret.kind for secret in find(said, language).secrets for word in secret.words}


def recall(spoken: Sequence[Utterance]) -> dict[str, Any]:
    """Shares of utterances that are wholly hidden: of all, of each form, and as their own kind."""
    every, missed, right = Counter[str](), Counter[str](), 0
    for one in spoken:
        found = hidden(one.said, one.language)
        every[one.form] += 1
        missed[one.form] += any(word not in found for word in one.digits)
        right += all(found.get(word) is one.kind for word in one.digits)
    return {
        "utterances": len(spoken),
        "recall": round(1 - missed.total() / len(spoken), 5),
        "kind_right": round(right / len(spoken), 5),
        "by_form": {form: round(1 - missed[form] / count, 5) for form, count in sorted(every.items())},
    }


def texts() -> list[Marked]:
    """Whole calls, and what was really said in the recordings of the shared folder."""
    found = [*calls(CALLS / "calls_fr.txt", "fr"), *calls(CALLS / "calls_en.txt", "en")]
    if SPEECH.exists():
        with SPEECH.open(newline="") as file:
            for row in csv.DictReader(file):
                secret = row["file"].startswith("fsdd-card")
                found.append(marked(f"{{card {row['reference']}}}" if secret else row["reference"], row["language"]))
    return found


def fresh(half: str) -> list[Marked]:
    """The later calls, `mending` or `held_out`."""
    return [call for language in ("fr", "en") for call in calls(CALLS / f"calls_{language}_{half}.txt", language)]


def falsely(conversations: Sequence[Marked]) -> dict[str, Any]:
    """What is hidden that is no secret, in words and in masks (secrets found of which no word is one); how many words
    the secrets of these texts have, and how many of them are not hidden."""
    words, false, masks, missed, secret = 0, 0, 0, 0, 0
    for one in conversations:
        secrets = find(one.said, one.language).secrets
        mine = {word for secret in secrets for word in secret.words}
        words += len(one.said)
        false += len(mine - one.secret.keys())
        secret += len(one.secret)
        missed += len(one.secret.keys() - mine)
        masks += sum(one.secret.keys().isdisjoint(secret.words) for secret in secrets)
    return {
        "words": words,
        "false_per_1000_words": round(1000 * false / words, 3),
        "false_masks_per_1000_words": round(1000 * masks / words, 3),
        "secret_words": secret,
        "missed_words": missed,
    }


def show(conversations: Sequence[Marked]) -> None:
    """Print each stretch that is hidden without cause, or is a secret and is not hidden, with what is around it."""
    for one in conversations:
        mine = hidden(one.said, one.language)
        for name, wrong in (("false", mine.keys() - one.secret.keys()), ("missed", one.secret.keys() - mine.keys())):
            for first in sorted(word for word in wrong if word - 1 not in wrong):
                after = next(n for n in range(first, len(one.said) + 1) if n not in wrong)
                kind = mine[first] if name == "false" else one.secret[first]
                part = [
                    " ".join(s.word.text for s in one.said[max(0, a) : b])
                    for a, b in ((first - AROUND, first), (first, after), (after, after + AROUND))
                ]
                print(f"{name} {kind} {one.language}: {part[0]} >>{part[1]}<< {part[2]}")


def pace(conversations: Sequence[Marked]) -> dict[str, float]:
    """Microseconds of CPU a word."""
    words = sum(len(one.said) for one in conversations)
    began = time.process_time()
    for one in conversations:
        find(one.said, one.language)
    whole = time.process_time() - began
    began = time.process_time()
    for one in conversations:
        live = LiveRedactor(Policy(mask=frozenset(SecretKind)), one.language)
        for word in one.said:
            live.feed([word])
        live.flush()
    single = time.process_time() - began
    return {"us_per_word": round(1e6 * whole / words, 1), "live_us_per_word": round(1e6 * single / words, 1)}


class Rereading(LiveRedactor):
    """Reads all again for every word."""

    def _says_nothing(self, words: Sequence[Said]) -> bool:
        return False


class Rejudging(Guard):
    """Judges every guess."""

    def _is_idle(self, heard_s: float, words: Sequence[Word]) -> bool:
        return False


def word_thread(conversations: Sequence[Marked]) -> dict[str, float]:
    """Shares of a core, and how many times as much rereading takes."""
    lazy = sum(
        _said_live(one, LiveRedactor(NUMBERS, one.language), Guard(Rules(), one.language)) for one in conversations
    )
    thorough = sum(
        _said_live(one, Rereading(NUMBERS, one.language), Rejudging(Rules(), one.language)) for one in conversations
    )
    length_s = sum(one.said[-1].word.end_s for one in conversations)
    return {
        "core_share": round(lazy / length_s, 5),
        "rereading": round(thorough / length_s, 5),
        "ratio": round(thorough / lazy, 1),
    }


def _said_live(one: Marked, redactor: LiveRedactor, guard: Guard) -> float:
    """CPU seconds of a conversation in guesses of three words, the first of which is then decided."""
    began = time.process_time()
    for at, said in enumerate(one.said):
        guess = [later for later in one.said[at : at + 3] if later.channel == said.channel]
        guard.hear(said.channel, [g.word for g in guess], stable=False)
        redactor.preview(guess)
        guard.hear(said.channel, [said.word], stable=True)
        redactor.feed([said])
    redactor.flush()
    return time.process_time() - began


def measure(count: int) -> dict[str, Any]:
    """All figures."""
    conversations = texts()
    halves = {half: falsely(fresh(half)) for half in ("mending", "held_out")}
    figures = recall(list(utterances(count, SEED))) | falsely(conversations) | halves | pace(conversations)
    return figures | {"word_thread": word_thread(conversations[:OF_WORD_THREAD])}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", choices=["tuned", "mending", "held_out"], help="print what is wrong in these calls")
    given = parser.parse_args()
    if given.show:
        show(texts() if given.show == "tuned" else fresh(given.show))
        return
    figures = measure(given.utterances)
    print(json.dumps({"redaction": figures}, indent=None if given.json else 1))


if __name__ == "__main__":
    main()
