"""Metrics: what is counted, who may ask, and that nobody is named."""

import asyncio
import sqlite3
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.config import Settings
from agent.control.client import ControlClient
from agent.control.server import ControlSocket
from agent.desk.app import build_app
from agent.desk.door import Door
from agent.desk.hand import Desk
from agent.desk.handover import handover_of
from agent.desk.livetext import LiveText
from agent.desk.metrics import Metrics
from agent.desk.presence import Presence
from agent.model.call import Codec, MediaStream
from agent.model.identity import Right, Scope
from agent.model.media import StreamCounts
from agent.model.quality import ChannelQuality
from agent.store.catalog import Catalog
from agent.store.heard import HeardCalls
from agent.store.journal import Journal

STATS = {"calls": 3, "segment": 1, "media": "ring", "dropped_packets": 7, "stray_packets": 2, "lag_p99_ms": 12.5}
STATS["forgotten_pauses"] = 4
STATS["live"] = {"listeners": 1, "calls": 2, "dropped_s": 1.5, "waiting_bytes": 9}
SPAN = {
    "packets": 90,
    "dropped_packets": 4,
    "refused_calls": 3,
    "encrypted_calls": 5,
    "waiting_messages": 2,
    "dropped_messages": 6,
    "dropped_waiting_packets": 8,
}
TOKENS = {"boss": Scope(Right.ADMIN), "eye": Scope(Right.METRICS), "lead": Scope(Right.SUPERVISOR)}
TOKENS["ann"] = Scope(Right.AGENT, "2001", frozenset(["2001"]))
STREAM = MediaStream(0, "1", 0, "p", Codec.PCMA, 8, 20000)
GOOD = StreamCounts(received=100, formats=("PCMA",))
HEARD = ChannelQuality(0, 9.0, 0.0, 0.1, 0.0, 0.0)
MUTE = ChannelQuality(1, 0.0, 9.0, 1.0, 1.0, 0.0)


def values(text: bytes | str) -> dict[str, float]:
    """Sample (with its labels' values) → value."""
    families = text_string_to_metric_families(text if isinstance(text, str) else text.decode())
    return {".".join([s.name, *s.labels.values()]): s.value for f in families for s in f.samples}


def add(catalog: Catalog, call_id: str, channels: tuple[ChannelQuality, ...], *counts: StreamCounts) -> None:
    for number, counted in enumerate(counts):
        catalog.set_counts(call_id, replace(STREAM, stream=number), counted)
    catalog.set_quality(call_id, channels)


def test_finalised_calls_are_counted_once_from_the_start_of_the_desk(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    add(catalog, "a" * 32, (HEARD, MUTE), GOOD)
    metrics = Metrics(HeardCalls(path))
    assert values(metrics.text(STATS))["greffier_calls_finalised_total"] == 0
    bad = StreamCounts(received=60, lost=40, undecryptable=5, formats=("PCMA",))
    add(catalog, "b" * 32, (HEARD, MUTE), GOOD, bad)
    add(catalog, "c" * 32, (HEARD, replace(MUTE, heard_s=1.0, undecoded=4)), replace(GOOD, formats=("OPUS", "<evil>")))
    for _ in range(2):
        found = values(metrics.text(STATS))
    assert (found["greffier_calls_finalised_total"], found["greffier_calls_one_way_total"]) == (2, 1)
    assert found["greffier_streams_total.PCMA"] == 2 and found["greffier_streams_total.OPUS"] == 1
    assert found["greffier_streams_total.OTHER"] == 1 and found["greffier_packets_undecoded_total"] == 4
    assert found["greffier_packets_total.lost"] == 40 and found["greffier_packets_total.undecryptable"] == 5
    assert found["greffier_stream_mos_count"] == 2 and found["greffier_stream_mos_bucket.2.5"] == 1
    assert found["greffier_calls_live"] == 3 and found["greffier_kernel_dropped_packets_total"] == 7
    assert found["greffier_forgotten_pauses_total"] == 4
    assert (found["greffier_live_listeners"], found["greffier_live_calls"]) == (1, 2)
    assert found["greffier_live_dropped_seconds_total"] == 1.5
    assert found["greffier_media_lag_p99_seconds"] == 0.0125 and found["greffier_catalog_up"] == 1


def test_a_box_that_is_not_ready_says_so(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    metrics = Metrics(HeardCalls(path))
    found = values(metrics.text(None))
    assert (found["greffier_recorder_up"], found["greffier_catalog_up"]) == (
        0,
        0,
    ) and "greffier_calls_live" not in found
    assert not path.exists()
    add(Catalog(path), "a" * 32, (HEARD,), GOOD)
    assert values(metrics.text(None))["greffier_calls_finalised_total"] == 1


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.9"}, 401),
        ("127.0.0.1", {"Authorization": "Bearer wrong"}, 401),
        ("192.0.2.1", {}, 401),
        ("192.0.2.1", {"Authorization": "Bearer boss"}, 200),
        ("192.0.2.1", {"Authorization": "Bearer ann"}, 403),
        ("192.0.2.1", {"Authorization": "Bearer eye"}, 200),
        ("192.0.2.1", {"Authorization": "Bearer lead"}, 403),
    ],
)
def test_only_this_machine_or_an_admin_may_ask(tmp_path: Path, host: str, headers: dict[str, str], status: int) -> None:
    refusals: list[str] = []
    socket = tmp_path / "recorder.sock"

    async def answer(_: dict[str, object]) -> dict[str, object]:
        return STATS

    async def ask() -> httpx.Response:
        server = ControlSocket(socket, answer)
        await server.start()
        metrics = Metrics(HeardCalls(tmp_path / "catalog.sqlite3"))
        door = Door(TOKENS.get, lambda what, _: refusals.append(what))
        presence = Presence(socket, 300)
        text = LiveText(tmp_path / "scribe.sock", presence)
        handover = handover_of(Settings(), Journal(tmp_path / "journal", "desk", time.time_ns))
        app = build_app(Desk(ControlClient(socket), door, presence, text, metrics, handover, {}))
        transport = httpx.ASGITransport(app=app, client=(host, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            reply = await client.get("/metrics", headers=headers)
        await server.stop()
        return reply

    reply = asyncio.run(ask())
    assert reply.status_code == status and bool(refusals) == (status != 200)
    if status == 200:
        assert values(reply.text)["greffier_calls_live"] == 3 and reply.headers["content-type"].startswith("text/plain")


def test_the_catalog_is_read_where_nothing_may_be_written(tmp_path: Path) -> None:
    """As the desk's unit sees it: the scribe has the catalog open, the folder is mounted read-only."""
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    add(catalog, "a" * 32, (HEARD,), GOOD)
    code = f"from agent.store.heard import HeardCalls as H; from pathlib import Path as P; print(H(P('{path}')).last())"
    mount = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path} && exec python3 -c "$0"'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM quality")


def test_a_mirror_port_has_figures_of_its_own(tmp_path: Path) -> None:
    metrics = Metrics(HeardCalls(tmp_path / "catalog.sqlite3"))
    assert not [name for name in values(metrics.text(STATS)) if "span" in name]
    found = values(metrics.text(STATS | {"span": SPAN}))
    assert {name: value for name, value in found.items() if "span" in name} == {
        "greffier_span_packets_total": 90,
        "greffier_span_kernel_dropped_packets_total": 4,
        "greffier_span_refused_calls_total": 3,
        "greffier_span_encrypted_calls_total": 5,
        "greffier_span_waiting_messages": 2,
        "greffier_span_dropped_messages_total": 6,
        "greffier_span_dropped_waiting_packets_total": 8,
    }
