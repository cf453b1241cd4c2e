"""S30 on a whole agent: four purposes, each with a destination, a key and kinds of its own."""

import asyncio
import json
from pathlib import Path

import pytest
from running_site import wait_for
from servers import rclone, running, write_credentials

from agent.model.artifact import Delivery
from agent.probe import ProbeCall, dialogue

KINDS = {
    "evidence": {"audio.flac", "transcript.json", "subtitles.vtt", "manifest.json"},
    "training": {"audio.opus", "manifest.json"},
    "analytics": {"transcript.json", "subtitles.vtt", "manifest.json"},
    "assistance": set(),
}
KEYS = ("evidence", "training", "analytics")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_s30_each_destination_receives_what_its_purpose_permits_and_nobody_else_opens_it(
    make_site, edit, tmp_path: Path, free_ports
) -> None:
    server = rclone(free_ports(1)[0], tmp_path / "s3")
    credentials = write_credentials(tmp_path / "credentials.toml")

    def change(text: str) -> str:
        text = edit(text, "purpose.evidence", trigger='"all"', keep_from=None)
        text = edit(text, "purpose.training", trigger='"all"', percent=None, artifacts='["audio"]', redact="[]")
        text = edit(text, "scribe", engine='"pocketsphinx"', language='"en"')
        for purpose in KINDS:
            text = edit(text, f"purpose.{purpose}", destination=f'"for-{purpose}"')
            if purpose != "evidence":
                text += f'\n[destination.for-{purpose}]\nkind = "folder"\npath = "{tmp_path / purpose}"\n'
        text += f'\n[destination.for-evidence]\nkind = "s3"\nendpoint_url = "{server.url}"\nbucket = "evidence"\n'
        return text + f'credentials_file = "{credentials}"\n'

    with running(server):
        server.make_bucket("evidence")
        seen = make_site(change)

        async def story() -> str:
            async with ProbeCall(seen.target("tcp")) as call:
                await call.invite()
                call_id: str = await asyncio.to_thread(seen.site.call_of, call.session_id)
                await call.speak(dialogue("en").cut(0, 6))
                await call.bye()
                return call_id

        call_id = asyncio.run(asyncio.wait_for(story(), 120))
        expected = sum(map(len, KINDS.values()))
        catalog = seen.site.catalog()
        wait_for(
            "every delivery", lambda: len(catalog.artifacts(call_id=call_id, delivery=Delivery.SENT)) == expected, 90
        )
        client = server.client()
        for entry in client.list_objects_v2(Bucket="evidence").get("Contents", ()):
            fetched = tmp_path / "evidence" / entry["Key"]
            fetched.parent.mkdir(parents=True, exist_ok=True)
            fetched.write_bytes(client.get_object(Bucket="evidence", Key=entry["Key"])["Body"].read())
    for purpose, kinds in KINDS.items():
        files = [p for p in (tmp_path / purpose).rglob("*") if p.is_file()]
        there = {p.relative_to(tmp_path / purpose).as_posix() for p in files}
        assert there == {f"{purpose}/{call_id}.{kind}.age" for kind in kinds}
        for path in files:
            assert {key for key in KEYS if seen.site.age_opens(key, path) is not None} == {purpose}
    manifest = tmp_path / "analytics" / "analytics" / f"{call_id}.manifest.json.age"
    body = json.loads(seen.site.age_opens("analytics", manifest) or b"")["body"]
    assert {Path(a["path"]).name.split(".", 1)[1] for a in body["artifacts"]} == {
        f"{kind}.age" for kind in KINDS["analytics"] - {"manifest.json"}
    }
