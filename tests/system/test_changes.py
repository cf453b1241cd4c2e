"""All that may change within a call, on a whole agent: codec, port, hold, a third party, a transfer (S03)."""

import asyncio
import time
from collections.abc import Callable

import pytest
from small_gateway import SmallGateway, heard_at, misplaced_s, noise

from agent.model.call import CLOCK_RATE, Codec
from agent.probe.messages import Person, metadata

ALIGNED_S = 0.020
CUSTOMER = Person("P1", "M1", "+33612345678", "Customer", "1")
FIRST_AGENT = Person("P2", "M2", "201", "First agent", "2")
THIRD = Person("P3", "M3", "202", "Third party", "3")
SECOND_AGENT = Person("P4", "M2", "203", "Second agent", "2")


def evidence_of_all(text: str, edit: Callable[..., str]) -> str:
    """Evidence of every call in FLAC, no transcription."""
    return edit(edit(text, "purpose.evidence", trigger='"all"', keep_from=None), "scribe", engine='"none"')


def among(*people: Person) -> str:
    """Metadata of a call among these."""
    return metadata("S03", "G", "c", people, "2026-01-01T00:00:00Z")


@pytest.mark.slow
def test_s03_one_call_through_every_change_shows_everyone_and_stays_aligned(make_site, edit, told, run_story) -> None:
    seen = make_site(lambda text: evidence_of_all(text, edit))
    held: list[int] = []
    changes: dict[str, tuple[int, int]] = {}

    async def story() -> tuple[str, SmallGateway]:
        async with SmallGateway(seen.target("udp"), "+33612345678", ("1", "2")) as gateway:
            seeds = iter(range(100))

            async def speak() -> None:
                await gateway.speak({label: noise(1.4, next(seeds)) for label in gateway.labels})

            async def change(what: str, who: str, **arguments: object) -> None:
                before_ns = time.time_ns()
                await gateway.invite(who, **arguments)
                changes[what] = before_ns, time.time_ns()

            two = among(CUSTOMER, FIRST_AGENT)
            await change("start", two)
            call_id = await asyncio.to_thread(seen.site.call_of, "S03")
            await speak()
            await change("codec", two, codec=Codec.PCMU)
            await speak()
            gateway.move("2")
            await change("port", two, codec=Codec.PCMU)
            await speak()
            await change("hold", two, codec=Codec.PCMU, flow="inactive")
            held.append(len(gateway.said))
            await asyncio.sleep(2)
            await change("resume", two, codec=Codec.PCMU)
            await speak()
            gateway.move("3")
            await change("third", among(CUSTOMER, FIRST_AGENT, THIRD), codec=Codec.PCMU)
            await speak()
            await change("transfer", among(CUSTOMER, SECOND_AGENT, THIRD), codec=Codec.PCMU)
            await speak()
            await gateway.bye()
            return call_id, gateway

    call_id, gateway = run_story(story())
    seen.wait_audio(call_id, "evidence")
    catalog = seen.site.catalog()
    assert [(c.call_id, c.cause) for c in catalog.calls()] == [(call_id, "bye")]

    # every sample where it was said, also across the hold
    audio = seen.audio(call_id, "evidence")
    assert audio.shape[0] == 3
    heard = [(heard_at(audio[int(said.label) - 1], said), said) for said in gateway.said]
    assert len(heard) == 14 and misplaced_s(heard) <= ALIGNED_S
    last = heard[held[0] - 1]
    quiet = audio[:, last[0] + len(last[1].samples) + CLOCK_RATE // 10 :][:, : 3 * CLOCK_RATE // 2]
    assert abs(quiet.astype(int)).max() <= 8, "nothing is heard during the hold"

    # everyone, with the times at which they came and went
    def during(at_ns: int | None, what: str) -> bool:
        return at_ns is not None and changes[what][0] <= at_ns <= changes[what][1]

    parties = {p.participant_id: p for p in catalog.parties(call_id)}
    assert {name: (p.role, p.channel) for name, p in parties.items()} == {
        "P1": ("customer", 0),
        "P2": ("agent", 1),
        "P3": ("agent", 2),
        "P4": ("agent", 1),
    }
    assert all(during(parties[p].joined_ns, "start") for p in ("P1", "P2"))
    assert during(parties["P3"].joined_ns, "third") and during(parties["P4"].joined_ns, "transfer")
    assert during(parties["P2"].left_ns, "transfer")
    assert all(parties[p].left_ns is None for p in ("P1", "P3", "P4"))

    # and in what readers have
    manifest = seen.manifest(call_id, "evidence")
    started_ns = manifest["started_ns"]
    assert [(p["role"], p["channel"]) for p in manifest["parties"]] == [
        ("customer", 0),
        ("agent", 1),
        ("agent", 1),
        ("agent", 2),
    ]
    customer, gone, come, third = manifest["parties"]
    assert during(started_ns + round(gone["left_s"] * 1e9), "transfer") and "left_s" not in customer | come | third
    assert during(started_ns + round(come["joined_s"] * 1e9), "transfer")
    assert during(started_ns + round(third["joined_s"] * 1e9), "third")
    shown = told(seen.site.greffier("show", call_id))
    assert shown.count("agent") >= 3 and {s["codec"] for s in manifest["quality"] if "codec" in s} == {"PCMU"}
