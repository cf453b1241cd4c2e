"""Out of the house: S30 over S3 on two independent servers, one of which dies half-way."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running_site import wait_for
from servers import S3Server, moto, rclone, running, write_credentials

from agent.model.artifact import Delivery
from agent.model.call import CLOCK_RATE
from agent.probe import ProbeCall, dialogue
from agent.store.journal import read

AUDIO = {"evidence": "audio.flac", "training": "audio.opus"}


def place(seen, seconds: float, agent: str = "201") -> str:
    """A call of this length; our id of it."""

    async def story() -> str:
        async with ProbeCall(seen.target("tcp"), agent_number=agent) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(seen.site.call_of, call.session_id)
            await call.speak(dialogue("fr").cut(0, seconds))
            await call.bye()
            return call_id

    return asyncio.run(asyncio.wait_for(story(), 120))


def every_call(text: str, edit: Callable[..., str], **more: str) -> str:
    """Audio of every call for evidence and training, no transcripts."""
    for purpose in ("evidence", "training"):
        trigger = {"trigger": '"all"', "percent": None, "keep_from": None}
        text = edit(text, f"purpose.{purpose}", artifacts='["audio", "manifest"]', redact="[]", **trigger, **more)
    text = edit(text, "purpose.analytics", artifacts="[]")
    return text + "\n[courier]\nretry_first_s = 0.2\nretry_max_s = 1.0\npoll_s = 0.2\npart_mib = 5\n"


def names_in(server: S3Server) -> set[str]:
    """Keys of all objects."""
    listed = server.client().list_objects_v2(Bucket="recordings").get("Contents", ())
    return {entry["Key"] for entry in listed}


@pytest.mark.slow
def test_each_bucket_receives_what_its_purpose_permits_even_when_a_server_dies(
    make_site, edit, tmp_path: Path, free_ports
) -> None:
    ports = free_ports(2)
    servers = {"evidence": rclone(ports[0], tmp_path / "s3"), "training": moto(ports[1])}
    credentials = write_credentials(tmp_path / "credentials.toml")

    def change(text: str) -> str:
        text = every_call(text, edit)
        for purpose, server in servers.items():
            text = edit(text, f"purpose.{purpose}", destination=f'"s3-{purpose}"')
            text += f'\n[destination.s3-{purpose}]\nkind = "s3"\nendpoint_url = "{server.url}"\nbucket = "recordings"\n'
            text += f'prefix = "site-a/"\ncredentials_file = "{credentials}"\n'
        return text

    with running(servers["evidence"]), running(servers["training"]):
        for server in servers.values():
            server.make_bucket("recordings")
        seen = make_site(change)
        said = seen.site.greffier("doctor")
        assert "destination s3-evidence (s3): writable" in said
        assert "media: by " in said and " 0 packets dropped" in said
        first = place(seen, 3)
        seen.wait_delivered(first)
        servers["evidence"].kill()
        second = place(seen, 3)
        wait_for(
            "training to be delivered while evidence waits",
            lambda: (
                {a.delivery for a in seen.site.catalog().artifacts(call_id=second, purpose="training")}
                == {Delivery.SENT}
            ),
        )
        waiting = seen.site.catalog().artifacts(call_id=second, purpose="evidence")
        assert waiting and all(a.delivery is Delivery.WAITING for a in waiting)
        assert all((seen.site.settings.outbox_dir / a.path).exists() for a in waiting), "nothing local is deleted"
        servers["evidence"].start()
        seen.wait_delivered(second)
        for purpose, server in servers.items():
            expected = {
                f"site-a/{purpose}/{c}.{k}.age" for c in (first, second) for k in (AUDIO[purpose], "manifest.json")
            }
            assert names_in(server) == expected
            for name in expected:
                fetched = tmp_path / "fetched.age"
                fetched.write_bytes(server.client().get_object(Bucket="recordings", Key=name)["Body"].read())
                openers = {key for key in ("evidence", "training", "analytics") if seen.site.age_opens(key, fetched)}
                assert openers == {purpose}
    kinds = [line.kind for line in read(seen.site.settings.journal_dir, second)]
    assert kinds.count("delivered") == 4


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_outbox_disk_loses_nothing(make_site, edit, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
    try:
        filler = disk / "filler"
        filler.write_bytes(b"x" * (500 << 10))

        def change(text: str) -> str:
            return every_call(text, edit)

        seen = make_site(change)
        outbox = seen.site.settings.outbox_dir
        outbox.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", disk, outbox], check=True)
        try:
            call_id = place(seen, 4)
            wait_for("the complaint", lambda: seen.site.events("outbox.full"), 60)
            assert not list(seen.site.centre.rglob("*.age"))
            filler.unlink()
            seen.wait_delivered(call_id)
            assert seen.audio(call_id, "evidence").shape[1] >= 4 * CLOCK_RATE
        finally:
            subprocess.run(["umount", "-l", outbox], check=True)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
def test_media_to_a_wrong_port_or_of_an_unknown_type_is_counted_and_the_rest_recorded(make_site, edit) -> None:
    seen = make_site(lambda text: every_call(text, edit))
    tone = (8000 * np.sin(np.arange(2 * CLOCK_RATE) / 5)).astype(np.int16)

    async def story() -> str:
        async with ProbeCall(seen.target("udp")) as call:
            await call.invite()
            call_id: str = await asyncio.to_thread(seen.site.call_of, call.session_id)
            wrong = call.remote["agent"][1] + 1
            await call.speak((tone, tone), ports={"agent": wrong})
            await call.speak((tone, None), payload_type=99)
            await call.speak((tone, None))
            await call.bye()
            return call_id

    call_id = asyncio.run(asyncio.wait_for(story(), 60))
    seen.wait_audio(call_id, "evidence")
    customer, agent = (counts for _, counts in seen.site.catalog().counts(call_id))
    assert (agent.received, agent.foreign) == (0, 0)
    assert customer.received == 200 and customer.foreign == 100
    said = seen.site.greffier("show", call_id)
    assert "100" in said and "foreign" in said


@pytest.mark.slow
def test_a_wrong_key_opens_nothing_and_says_so(make_site, edit, tmp_path: Path) -> None:
    seen = make_site(lambda text: every_call(text, edit))
    call_id = place(seen, 2)
    seen.wait_delivered(call_id)
    keys = seen.site.etc / "purpose-keys"
    said = seen.site.greffier(
        "export", call_id, "--key", keys / "analytics.key.txt", "--into", tmp_path / "x", status=1
    )
    assert "this key opens nothing of this call" in said and not list((tmp_path / "x").iterdir())
    said = seen.site.greffier("export", call_id, "--key", keys / "evidence.key.txt", "--into", tmp_path / "x")
    assert "artifacts of other purposes stay closed" in said
    assert {p.name for p in (tmp_path / "x").iterdir()} == {
        f"evidence-{call_id}.audio.flac",
        f"evidence-{call_id}.manifest.json",
    }
