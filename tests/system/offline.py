"""A story told inside a network namespace without any network (S23): run by test_call.py, with a folder to work in."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from running_site import running_site, wait_for

from agent.config import Endpoint
from agent.probe import ProbeCall, dialogue


def _edit(text: str) -> str:
    return text.replace('engine = "auto" ', 'engine = "pocketsphinx" ').replace("percent = 10", "percent = 100")


async def _call(port: int, language: str) -> str:
    async with ProbeCall(Endpoint(transport="tcp", host="127.0.0.1", port=port)) as call:
        await call.invite()
        await call.speak(dialogue(language).cut(0, 6))
        await call.bye()
        return call.session_id


def main(folder: Path) -> None:
    """A site, a call, its artifacts opened and verified."""
    with running_site(folder, edit=_edit) as site:
        asyncio.run(_call(site.sip_port, "en"))
        (call,) = wait_for("the call to be recorded", lambda: site.catalog().calls() or None)
        site.wait_state(call.call_id, "finalised", 60)
        kinds = ("audio", "transcript", "subtitles", "manifest")
        expected = {f"training/{call.call_id}" for _ in kinds}
        wait_for("the deliveries", lambda: len(list(site.centre.glob("training/*.age"))) == len(kinds))
        for path in (site.centre / "training").iterdir():
            assert site.age_opens("training", path) is not None
            assert any(str(path.relative_to(site.centre)).startswith(e) for e in expected)
        sys.stdout.write(site.greffier("doctor"))
        sys.stdout.write(site.greffier("verify", "--folder", site.centre))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
