"""`greffier demo`: the main job, shown in about two minutes on a throw-away agent with real sockets and real files."""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.panel import Panel
from rich.table import Table

from agent.commands.calls import recorded_table
from agent.commands.common import clock, console, fail, utc
from agent.commands.demo_site import DemoFailed, DemoSite
from agent.commands.demo_sound import loudness
from agent.model.artifact import Artifact, Delivery
from agent.model.purpose import ArtifactKind
from agent.probe import Dialogue, ProbeCall, ProbeRefused, dialogue
from agent.store.journal import read

AGENTS = {"fr": "201", "en": "202"}
CUSTOMERS = {"fr": "+33612345678", "en": "+442079460958"}
PURPOSES = ("evidence", "training", "analytics", "assistance")
LOCAL_RETENTION_S = 30
ROLES = ("customer", "agent")
STEP_S = 0.5
PRESS_AFTER_S = 2.0
"""The agent is late: pause is pressed so long after the card number began."""
CHAPTERS = 7


def demo(
    keep_folder: Annotated[
        Path | None, typer.Option("--keep", help="Keep everything in this new folder, to look around in it.")
    ] = None,
) -> None:
    """Show the main job: two calls, a pause in a card number, who received what, and what was forgotten."""
    if shutil.which("age") is None:
        fail("the demonstration opens files with the independent program `age`: apt install age")
    if keep_folder is not None and keep_folder.exists():
        fail(f"{keep_folder} exists already; give a folder that does not")
    folder = keep_folder or Path(tempfile.mkdtemp(prefix="greffier-demo-"))
    try:
        _Story(folder).tell()
    except (DemoFailed, ProbeRefused, OSError) as error:
        fail(f"the demonstration failed: {error}")
    finally:
        if keep_folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    if keep_folder is not None:
        console.print(f"Everything is in {folder}: `greffier calls -c {folder}/etc/greffier.toml` …", highlight=False)


class _Story:
    """The chapters, in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._chapter = 0
        self._calls: dict[str, str] = {}
        self._pressed: dict[str, Any] = {}

    def tell(self) -> None:
        console.print(
            Panel.fit(
                "[bold]Greffier, demonstrated.[/] A real agent on this machine, with throw-away keys. Two customers\n"
                "call a contact centre, whose gateway sends us a copy of each call (SIPREC). Agents 201 and 202 have\n"
                "a pause button, and a pause also removes what was said in the three seconds before it."
            )
        )
        self._title("Setting up: keys, configuration, four processes")
        self._site = DemoSite(self._folder, LOCAL_RETENTION_S)
        self._site.start()
        try:
            console.print(self._purposes())
            self._title("Two calls at once, in real time: one French, one English")
            asyncio.run(self._speak())
            self._title("What the agent made of them")
            self._finish()
            self._title("What each purpose received, and what it did not")
            self._received()
            self._title("Opened without us: the program `age`, the right key and a wrong one")
            self._open()
            self._title("Paused means never written")
            self._gap()
            self._title("Forgotten on time, and everything accounted for")
            self._forget()
        finally:
            self._site.stop()

    def _title(self, words: str) -> None:
        self._chapter += 1
        console.print()
        console.rule(f"[bold]{self._chapter}/{CHAPTERS}  {words}", align="left")

    def _purposes(self) -> Table:
        table = Table(title="Why a call is recorded here (greffier.toml)", title_justify="left")
        for column in ("purpose", "started by", "may have", "copy here", "centre keeps"):
            table.add_column(column)
        for name, p in self._site.settings.purpose.items():
            trigger = {"on_demand": "the agent's keep button", "percent": f"{p.percent:g} % of calls"}
            kept = ", ".join(p.artifacts) or "nothing: live only"
            table.add_row(
                name,
                trigger.get(p.trigger, "every call"),
                kept,
                f"{p.local_retention} s" if p.artifacts else "–",
                f"{p.central_retention // 86400} days" if p.central_retention else "–",
            )
        return table

    # ---- the calls

    async def _speak(self) -> None:
        await asyncio.gather(*(self._call(language) for language in AGENTS))

    async def _call(self, language: str) -> None:
        agent, spoken = AGENTS[language], dialogue(language)
        token = (await asyncio.to_thread(self._site.greffier, "token", "add", f"agent:{agent}")).strip()
        call = ProbeCall(self._site.target, agent_number=agent, customer_number=CUSTOMERS[language])
        async with call:
            await call.invite()
            self._say(0.0, agent, "[green]call arrives[/]")
            began = time.monotonic()
            presses = asyncio.create_task(self._buttons(language, spoken, token, began))
            captions = asyncio.create_task(self._captions(agent, spoken, began))
            await call.speak(spoken)
            await asyncio.gather(presses, captions)
            self._say(time.monotonic() - began, agent, "[green]hangs up[/]")
            await call.bye()

    async def _captions(self, agent: str, spoken: Dialogue, began: float) -> None:
        for turn in spoken.turns:
            await asyncio.sleep(max(0.0, began + turn.start_s - time.monotonic()))
            self._say(turn.start_s, agent, f"{turn.speaker:8} {turn.text}")

    async def _buttons(self, language: str, spoken: Dialogue, token: str, began: float) -> None:
        """Pause late, resume when the number is over; the English agent also presses keep at the contract."""
        number_from, number_to = spoken.marks["card_number"]
        plan = [(number_from + PRESS_AFTER_S, "pause", "card number"), (number_to + 0.5, "resume", "card number over")]
        if language == "en":
            plan.append((spoken.cue, "keep", "contract agreed"))
        for at_s, verb, reason in sorted(plan):
            await asyncio.sleep(max(0.0, began + at_s - time.monotonic()))
            done = await asyncio.to_thread(self._site.press, verb, AGENTS[language], token, reason)
            self._calls[language] = done["call_id"]
            self._pressed[f"{language} {verb}"] = done
            words = {
                "pause": f"PAUSE: closed since {done['since_s']:.1f} s, also what was said just before is gone",
                "resume": f"RESUME: open again since {done['since_s']:.1f} s",
                "keep": "KEEP: evidence is recorded, from the start of the call",
            }
            self._say(at_s, AGENTS[language], f"[bold yellow]presses {words[verb]}[/]")

    def _say(self, at_s: float, agent: str, words: str) -> None:
        console.print(f"  [dim]{at_s:5.1f} s  {agent}[/]  {words}", highlight=False)

    # ---- what became of them

    def _finish(self) -> None:
        with console.status("transcribing, encrypting, delivering …"):
            self._site.wait("both calls to be delivered", self._delivered, 180)
        console.print(recorded_table(self._site.catalog, 10))
        console.print("The English call as analytics may read it (no numbers, no names):", highlight=False)
        for line in self._opened("en", "analytics", ArtifactKind.SUBTITLES).decode().splitlines():
            if line.startswith("<v "):
                voice, _, words = line.removeprefix("<v ").partition(">")
                console.print(f"  [dim]{voice:12}[/]  {words}", highlight=False, markup=True)
        console.print(
            "  [dim]PocketSphinx wrote this: a small English engine for tests, and its transcripts say so. On a site,\n"
            "  `greffier model add` installs a Whisper model that knows French; until then transcripts wait.[/]"
        )

    def _delivered(self) -> bool:
        catalog = self._site.catalog
        states = {c.call_id: c.state for c in catalog.calls()}
        done = all(states.get(c) in ("finalised", "forgotten") for c in self._calls.values())
        return done and not catalog.artifacts(delivery=Delivery.WAITING)

    def _received(self) -> None:
        table = Table(title="Delivered to the centre", title_justify="left")
        kinds = [ArtifactKind.AUDIO, ArtifactKind.TRANSCRIPT, ArtifactKind.SUBTITLES, ArtifactKind.MANIFEST]
        for column in ("call", "purpose", *(kind.value for kind in kinds)):
            table.add_column(column)
        for language, call_id in self._calls.items():
            for purpose in PURPOSES:
                made = {a.kind for a in self._site.catalog.artifacts(call_id=call_id, purpose=purpose)}
                why = "" if made else self._why_not(call_id, purpose)
                cells = ["[green]✓[/]" if kind in made else "[dim]–[/]" for kind in kinds]
                table.add_row(language, purpose, *cells[:-1], cells[-1] + (f" [dim]{why}[/]" if why else ""))
        console.print(table)

    def _why_not(self, call_id: str, purpose: str) -> str:
        if not self._site.settings.purpose[purpose].artifacts:
            return "live only, nothing kept"
        rules = [d.rule for d in self._site.catalog.decisions(call_id) if d.purpose == purpose]
        return rules[0] if rules else ""

    def _open(self) -> None:
        audio = self._artifact("en", "evidence", ArtifactKind.AUDIO)
        for purpose in ("evidence", "analytics"):
            done = self._age(purpose, audio)
            command = f"age -d -i {purpose}.key.txt {audio.path[:20]}….flac.age"
            if done.returncode == 0:
                console.print(f"  [green]✓[/] {command}\n      {len(done.stdout)} bytes of FLAC", highlight=False)
            else:
                said = done.stderr.decode(errors="replace").splitlines()[0]
                console.print(f"  [green]✓[/] {command}\n      {said}", highlight=False)
            if (done.returncode == 0) is not (purpose == "evidence"):
                raise DemoFailed(f"the key of {purpose} should not have done that to evidence")

    def _gap(self) -> None:
        flac = self._opened("en", "evidence", ArtifactKind.AUDIO)
        number_from, number_to = dialogue("en").marks["card_number"]
        manifest = json.loads(self._opened("en", "evidence", ArtifactKind.MANIFEST))["body"]
        (absent,) = [span for span in manifest["absent"] if span["verb"] == "pause"]
        since, until = absent["from_s"], absent["to_s"]
        lines = [
            "The audio of evidence, half a second a sign:",
            *(f"  {who:9}[cyan]{signs}[/]" for who, signs in zip(ROLES, loudness(flac, STEP_S), strict=False)),
            " " * (11 + int(since / STEP_S)) + f"[yellow]{'‾' * max(1, int((until - since) / STEP_S))}[/]",
            f"The card number was spoken from {number_from:.1f} s to {number_to:.1f} s; the agent pressed pause "
            f"{PRESS_AFTER_S:g} s late.",
            f"The manifest says: absent from [yellow]{since:.1f} s to {until:.1f} s[/], paused by {absent['actor']}, "
            f"“{absent['reason']}”.",
            "Not one sample of the number reached a disk, not even encrypted.",
        ]
        for line in lines:
            console.print(f"  {line}", highlight=False)
        if not (since <= number_from and until >= number_to):
            raise DemoFailed("the pause did not cover the card number")

    def _forget(self) -> None:
        catalog = self._site.catalog
        here = catalog.artifacts(local=True)
        console.print(f"  {len(here)} copies are still here; each goes {LOCAL_RETENTION_S} s after it was made.")
        with console.status("waiting for the deadlines …"):
            self._site.wait("the deletions", self._gone, LOCAL_RETENTION_S + 60)
        left = [p for p in self._site.settings.outbox_dir.rglob("*") if p.is_file()]
        keys = list(self._site.settings.callkeys_dir.iterdir())
        deleted = [line for line in read(self._site.settings.journal_dir) if line.kind == "local.deleted"]
        console.print(
            f"  Now: {len(left)} files in the outbox, {len(keys)} call keys, {len(deleted)} deletions in the journal: …"
        )
        for line in deleted[:2]:
            console.print(f"    [dim]{utc(line.at_ns)}[/] {line.purpose}: {line.fields['path']}", highlight=False)
        self._site.stop()
        console.print("  [bold]greffier verify[/], offline, with every purpose's key:", highlight=False)
        keys_given = [part for p in PURPOSES[:3] for part in ("--key", str(self._site.key(p)))]
        for said in self._site.greffier("verify", "--folder", str(self._site.centre), *keys_given).splitlines():
            console.print(f"    {said}", highlight=False)
        length = clock(max(c.duration_samples for c in catalog.calls()))
        console.print(
            Panel.fit(
                f"[bold green]Done.[/] Two calls of up to {length}; nothing of them can be read on this box any more."
            )
        )

    def _gone(self) -> bool:
        """No copy is here any more, and no call key: it was kept for corrections, but never longer than the copies."""
        keys = list(self._site.settings.callkeys_dir.iterdir())
        return not keys and not self._site.catalog.artifacts(local=True)

    # ---- files of the centre

    def _artifact(self, language: str, purpose: str, kind: ArtifactKind) -> Artifact:
        found = self._site.catalog.artifacts(call_id=self._calls[language], purpose=purpose)
        return next(a for a in found if a.kind is kind)

    def _age(self, key_of: str, artifact: Artifact) -> subprocess.CompletedProcess[bytes]:
        command = ["age", "-d", "-i", str(self._site.key(key_of)), str(self._site.centre / artifact.path)]
        return subprocess.run(command, capture_output=True, check=False)

    def _opened(self, language: str, purpose: str, kind: ArtifactKind) -> bytes:
        done = self._age(purpose, self._artifact(language, purpose, kind))
        if done.returncode:
            raise DemoFailed(f"age did not open {purpose}: {done.stderr.decode(errors='replace')}")
        return done.stdout
