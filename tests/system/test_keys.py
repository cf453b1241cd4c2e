"""A whole agent whose keys a passphrase locks: it lives through kills; a changed reader counts from the next call."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running_site import GREFFIER, RunningSite, wait_for

from agent.config import Endpoint
from agent.probe import ProbeCall, dialogue
from agent.store.journal import read
from agent.vault.age import WrongKey, decrypt, new_identity
from agent.vault.sealed import is_sealed

WORDS = "correct horse battery staple"


def started_with(site: RunningSite, words: str, *command: object) -> subprocess.Popen[bytes]:
    """A command that reads its passphrase from a descriptor."""
    reading, writing = os.pipe()
    os.write(writing, words.encode())
    os.close(writing)
    try:
        with site.log.open("ab") as log:
            return subprocess.Popen(
                [*GREFFIER, "--passphrase-fd", str(reading), *map(str, command), "--config", str(site.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[reading],
            )
    finally:
        os.close(reading)


class LockedSite(RunningSite):
    """Its keys are kept by passphrase."""

    def start(self) -> None:
        """As somebody does who knows it."""
        self._process = started_with(self, WORDS, "run")
        wait_for("the agent to be ready", self._ready, 40)


def place(site: RunningSite) -> str:
    """A short call, finalised; our id of it."""

    async def story() -> str:
        target = Endpoint(transport="tcp", host="127.0.0.1", port=site.sip_port)
        async with ProbeCall(target, agent_number="201") as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(site.call_of, call.session_id)
            await call.speak(dialogue("fr").cut(0, 1.0))
            await call.bye()
            return call_id

    call_id = asyncio.run(asyncio.wait_for(story(), 60))
    site.wait_state(call_id, "finalised")
    return call_id


@pytest.mark.slow
def test_locked_keys_live_through_kills_and_a_new_reader_counts_from_the_next_call(
    tmp_path: Path, edit: Callable[..., str]
) -> None:
    def everything(text: str) -> str:
        text = edit(text, "purpose.evidence", artifacts='["audio", "manifest"]', trigger='"all"', keep_from=None)
        return edit(edit(text, "purpose.analytics", artifacts="[]"), "purpose.training", artifacts="[]")

    site = LockedSite(tmp_path, edit=everything)
    new = new_identity()

    def known() -> bool:
        return any(
            new.recipient in x.fields["recipients"] for x in read(site.settings.journal_dir) if x.kind == "readers"
        )

    assert started_with(site, WORDS, "keys", "protect", "--with", "passphrase").wait(30) == 0
    assert started_with(site, "wrong words", "run").wait(30) == 1
    site.start()
    try:
        site.kill("scribe")
        site.kill("recorder")
        wait_for("the agent to be ready again", site._ready)
        first = place(site)
        assert is_sealed(next(site.settings.identities_dir.glob("*.age-identity")))
        site.greffier("keys", "rotate", "evidence", new.recipient)
        wait_for("the scribe to know", known)
        second = place(site)
        assert started_with(site, WORDS, "keys", "protect", "--with", "file").wait(30) == 1, "the scribe is running"
        assert is_sealed(site.etc / "keys" / "site.pem")
    finally:
        site.stop()
    for call_id, opens in ((first, False), (second, True)):
        artifacts = site.catalog().artifacts(call_id=call_id, purpose="evidence")
        assert len(artifacts) == 2
        for artifact in artifacts:
            cipher = (site.settings.outbox_dir / artifact.path).read_bytes()
            if opens:
                assert decrypt(cipher, new.secret)
            else:
                with pytest.raises(WrongKey):
                    decrypt(cipher, new.secret)
    assert WORDS.encode() not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
