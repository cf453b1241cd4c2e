"""Whole calls of other codecs than G.711 through the scribe, from packets in the capture log to opened files."""

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from encoders import encoded
from sqlite_utils import Database
from typer.testing import CliRunner

from agent.cli import app
from agent.media.codecs import durations
from agent.model.call import Call, Codec, Direction, MediaFormat, MediaStream, Party, Role
from agent.model.media import Frames, StreamChunk, StreamCounts
from agent.model.quality import ChannelQuality
from agent.scribe.loop import Scribe
from agent.store.catalog import Catalog
from agent.store.schema import STEPS
from agent.vault import age

CALL = "0192f0a0" + "0" * 23 + "1"
OPUS = MediaFormat(111, Codec.OPUS, 48000, 2, "useinbandfec=1")
AMR = MediaFormat(96, Codec.AMR, fmtp="octet-align=1")
UNKNOWN = MediaFormat(100, Codec.OTHER, name="SPEEX")


def call_of(*codecs: Codec) -> Call:
    started = 1_790_000_000 * 1_000_000_000
    roles = (Role.CUSTOMER, Role.AGENT)
    parties = tuple(Party(f"part-{n}", "", "", roles[n], started) for n in range(len(codecs)))
    streams = tuple(MediaStream(n, str(n + 1), n, f"part-{n}", c, 96, 20000 + 2 * n) for n, c in enumerate(codecs))
    return Call(CALL, "ref", "siprec", "192.0.2.1", started, Direction.INBOUND, parties, streams)


def chunk(what: MediaFormat, packets: list[bytes], stream: int, position: int = 0, lost: int = -1) -> StreamChunk:
    """The packets, one after the other, number `lost` missing."""
    size = np.array([len(p) for p in packets], np.int64)
    memory = np.frombuffer(b"".join(packets), np.uint8)
    duration = durations(what, memory, np.cumsum(size) - size, size)
    came = np.arange(len(size)) != lost
    frames = Frames(what, int(duration.sum()), (np.cumsum(duration) - duration)[came], duration[came], size[came])
    gone = int(duration[~came].sum())
    return StreamChunk(CALL, stream, what.codec, position, memory[np.repeat(came, size)], gone, frames)


def run(site) -> None:
    scribe = Scribe(site.settings, threading.Event())
    for _ in range(50):
        if not scribe.step():
            return


def opened(site, name: str) -> bytes:
    return age.decrypt(site.outbox()[name].read_bytes(), site.readers[name.split("/", maxsplit=1)[0]].secret)


def audio(site, name: str) -> tuple[int, np.ndarray]:
    with av.open(io.BytesIO(opened(site, name))) as container:
        rate = container.streams.audio[0].rate
        frames = [f.to_ndarray().reshape(-1, f.layout.nb_channels).T for f in container.decode(audio=0)]
    return rate, np.concatenate(frames, axis=1)


def manifest(site, name: str) -> dict:
    return json.loads(opened(site, name))["body"]


def shown(site) -> str:
    """What `greffier show` prints."""
    done = CliRunner().invoke(app, ["show", CALL, "--config", str(site.config)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def wide(seconds: float, hz: float) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * hz * np.arange(int(48000 * seconds)) / 48000)).astype(np.int16)[None]


def tone_at(pcm: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * rate / len(pcm))


def test_an_opus_agent_and_a_g711_customer_in_one_wideband_file(make_site: Callable) -> None:
    site = make_site()
    opus = encoded("libopus", 48000, wide(2, 5200))
    narrow = np.tile(np.array([0x2A, 0xAA], np.uint8).repeat(4), 2000)  # a square wave of 1 kHz in A-law
    chunks = [
        StreamChunk(CALL, 0, Codec.PCMA, 0, narrow),
        chunk(OPUS, opus[:50], 1, lost=20),
        chunk(OPUS, opus[50:], 1, 8000),
    ]
    site.packets(call_of(Codec.PCMA, Codec.OPUS), chunks)
    run(site)
    rate, pcm = audio(site, "evidence/audio.flac")
    assert rate == 16000 and pcm.shape == (2, 32000)
    assert abs(tone_at(pcm[1, 16000:32000], rate) - 5200) < 3 and abs(tone_at(pcm[0, :16000], rate) - 1000) < 3
    assert np.abs(pcm[1, 6450:6500].astype(int)).max() < 4000 < np.abs(pcm[1, 6000:6200].astype(int)).max()
    body = manifest(site, "evidence/manifest.json")
    assert body["duration_s"] == 2.0 and body["quality"][-1]["filled_samples"] == 160


def test_a_narrowband_call_of_other_codecs_stays_at_8_khz(make_site: Callable) -> None:
    site = make_site()
    amr = [b"\xf0" + f for f in encoded("libopencore_amrnb", 8000, wide(1, 600)[:, ::6])]
    site.packets(call_of(Codec.AMR), [chunk(AMR, amr, 0)])
    run(site)
    rate, pcm = audio(site, "evidence/audio.flac")
    assert rate == 8000 and abs(tone_at(pcm[0], rate) - 600) < 10


def test_what_one_purpose_may_not_hear_leaves_no_trace_in_its_files(make_site: Callable) -> None:
    """The same call twice, other words in the pause: training's audio is the same to the bit."""
    made = []
    opus = encoded("libopus", 48000, np.random.default_rng(1).integers(-9000, 9000, (1, 96000)).astype(np.int16))
    other = encoded("libopus", 48000, wide(2, 700))
    for hidden in (opus, other):
        site = make_site()
        packets = [*opus[:30], *hidden[30:60], *opus[60:]]
        site.packets(call_of(Codec.OPUS), [chunk(OPUS, packets, 0)], training_paused=(30 * 160, 60 * 160))
        run(site)
        made.append((audio(site, "training/audio.opus")[1], audio(site, "evidence/audio.flac")[1]))
    assert np.array_equal(made[0][0], made[1][0]) and not np.array_equal(made[0][1], made[1][1])


def test_a_codec_nobody_knows_is_silence_and_said(make_site: Callable) -> None:
    site = make_site()
    site.packets(call_of(Codec.OTHER), [chunk(UNKNOWN, [b"\x01\x02\x03"] * 50, 0)])
    run(site)
    rate, pcm = audio(site, "evidence/audio.flac")
    assert rate == 8000 and pcm.shape == (1, 8000) and not pcm.any()
    heard = manifest(site, "evidence/manifest.json")["sound"][0]
    assert heard["raw"] == ["SPEEX"] and heard["undecoded"] == 50
    assert "kept as it came but nothing here decodes it" in shown(site)


def test_quality_is_in_manifest_catalog_and_words_and_knows_nothing_hidden(make_site: Callable) -> None:
    site = make_site()
    loud = np.full(4 * 8000, 0x2A, np.uint8)
    chunks = [StreamChunk(CALL, 1, Codec.PCMA, at, loud[:8000]) for at in range(0, 32000, 8000)]
    counts = (
        (0, StreamCounts()),
        (1, StreamCounts(received=180, lost=20, jitter_ms=3.5, jitter_max_ms=9.0, drift_ppm=-12.0)),
    )
    site.packets(call_of(Codec.PCMA, Codec.PCMA), chunks, counts, training_paused=(8000, 24000))
    run(site)
    body = manifest(site, "evidence/manifest.json")
    assert [(c["heard_s"], c["clipped_share"]) for c in body["sound"]] == [(0.0, 0.0), (4.0, 1.0)]
    assert body["quality"][1]["loss_percent"] == 10.0 and 3 < body["quality"][1]["mos"] < 3.6
    assert manifest(site, "training/manifest.json")["sound"][1]["heard_s"] == 2.0
    words = shown(site)
    assert "one-way: nothing was heard of the customer" in words
    assert "10.00 %" in words and "3.5 ms" in words and "-12 ppm" in words and "clipping" in words


def test_a_catalog_of_before_learns_of_quality(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    old = Database(path)
    STEPS[0](old)
    old.execute("PRAGMA user_version = 1")
    old.close()
    catalog = Catalog(path)
    assert catalog.quality(CALL) == ()
    found = (ChannelQuality(0, 1.0, 0.0, 0.5, 0.0, 0.0, 2, ("SPEEX",)),)
    catalog.set_quality(CALL, found)
    catalog.set_quality(CALL, ())
    assert catalog.quality(CALL) == found


def test_a_drifting_sender_is_set_right_and_a_short_call_is_left_bit_exact(make_site: Callable) -> None:
    for seconds, exact in ((20, True), (240, False)):
        site = make_site()
        payload = np.random.default_rng(2).integers(0, 256, seconds * 8000).astype(np.uint8)
        counts = ((0, StreamCounts(received=50 * seconds, drift_ppm=100.0)),)
        call = replace(call_of(Codec.PCMA), call_id=CALL)
        parts = [StreamChunk(CALL, 0, Codec.PCMA, at, payload[at : at + 8000]) for at in range(0, len(payload), 8000)]
        site.packets(call, parts, counts)
        run(site)
        from agent.media.g711 import decode

        _, pcm = audio(site, "evidence/audio.flac")
        assert np.array_equal(pcm[0, :8000], decode(payload[:8000], Codec.PCMA))
        assert np.array_equal(pcm[0], decode(payload, Codec.PCMA)) is exact
        assert np.count_nonzero(pcm[0, -150:]) == (150 if exact else 0)
