"""The pull feed from outside: a real desk and a real courier, and a catalog that the test fills."""

import asyncio
import base64
import hashlib
import re
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from fed_site import PULLED, OutboxSite, running_courier
from hypothesis import given
from hypothesis import strategies as st
from running_site import wait_for

from agent.desk.feed import MOST_RANGES, are_ranges
from agent.model.artifact import Delivery
from agent.store.directory import ID_DIGITS, digest_of
from agent.vault.receipt import BadReceipt, check_receipt

PAGE = Path(__file__).parents[2] / "docs" / "feed.md"


def page(fed, after: str | None = None, token: str = "evidence", **more: object) -> dict:
    answer = fed.ask("GET", "/v1/feed", token, params={**({"after": after} if after else {}), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_of(fed, token: str = "evidence") -> tuple[dict[str, dict], str]:
    """Every item of a feed by id, and the cursor behind them."""
    items, after, more = {}, None, True
    while more:
        said = page(fed, after, token, limit=500)
        items |= {item["id"]: item for item in said["items"]}
        after, more = said["cursor"], said["more"]
    return items, after


def ack(fed, artifact, token: str = "evidence", sha256: str | None = None) -> httpx.Response:
    path = f"/v1/artifacts/{artifact.artifact_id}/ack"
    return fed.ask("POST", path, token, json={"sha256": sha256 or artifact.cipher_sha256})


def test_a_feed_is_paged_in_order_and_a_cursor_goes_on_where_it_was(fed) -> None:
    _, start = all_of(fed)
    made = [fed.site.put() for _ in range(5)]
    first = page(fed, start, limit=2)
    second = page(fed, first["cursor"], limit=2)
    third = page(fed, second["cursor"], limit=2)
    told = [item["id"] for said in (first, second, third) for item in said["items"]]
    assert told == [a.artifact_id for a in made]
    assert (first["more"], second["more"], third["more"]) == (True, True, False)
    last = page(fed, third["cursor"])
    assert last == {"purpose": "evidence", "items": [], "cursor": third["cursor"], "more": False}
    item = first["items"][0]
    assert (item["sha256"], item["size"], item["path"]) == (made[0].cipher_sha256, 1000, made[0].path)
    assert item["central_deadline"] is None and item["acknowledged"] is False and item["destroys"] == []


def test_a_cursor_of_another_catalog_is_gone_and_the_answer_says_what_to_do(fed) -> None:
    fed.site.put()
    _, cursor = all_of(fed)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    others = [bytes([raw[0] ^ 1]) + raw[1:], raw[:15] + bytes([raw[15] ^ 64]) + raw[16:], raw[:-1] + b"\0"]
    bad = [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in others] + ["x", "é", "A" * 64]
    _, of_training = all_of(fed, "training")
    for wrong in [*bad, *([of_training] if of_training else [])]:
        answer = fed.ask("GET", "/v1/feed", "evidence", params={"after": wrong})
        assert answer.status_code == 410 and "without `after`" in answer.json()["detail"], wrong


def test_one_purpose_sees_nothing_of_another(fed) -> None:
    theirs, mine = fed.site.put("training"), fed.site.put("evidence")
    sent_elsewhere = fed.site.put("evidence", where="centre")
    items, _ = all_of(fed)
    assert mine.artifact_id in items and not {theirs.artifact_id, sent_elsewhere.artifact_id} & items.keys()
    assert {item["purpose"] for item in items.values()} == {"evidence"}
    never = "f" * 32
    for hidden in (theirs.artifact_id, sent_elsewhere.artifact_id):
        for method, path, body in (
            ("GET", "/v1/artifacts/{}", None),
            ("HEAD", "/v1/artifacts/{}", None),
            ("POST", "/v1/artifacts/{}/ack", {"sha256": theirs.cipher_sha256}),
        ):
            shown, none = (fed.ask(method, path.format(i), "evidence", json=body) for i in (hidden, never))
            assert shown.status_code == none.status_code == 404 and shown.content == none.content
            plain = [{k: v for k, v in a.headers.items() if k != "date"} for a in (shown, none)]
            assert plain[0] == plain[1]
    other = fed.ask("GET", "/v1/feed", "evidence", params={"purpose": "training"})
    no_such = fed.ask("GET", "/v1/feed", "evidence", params={"purpose": "nothing"})
    assert (other.status_code, other.content) == (no_such.status_code, no_such.content) and other.status_code == 404
    assert page(fed, purpose="evidence")["purpose"] == "evidence"
    assert fed.site.delivery(theirs) is Delivery.WAITING


@pytest.mark.parametrize("token", ["admin", "lead", "ann", "crm", "eye", "phone"])
def test_no_other_token_reads_a_feed_nor_a_feeds_token_anything_else(fed, token: str) -> None:
    artifact = fed.site.put()
    assert fed.ask("GET", "/v1/feed", token).status_code == 403
    assert fed.ask("GET", f"/v1/artifacts/{artifact.artifact_id}", token).status_code == 403
    assert ack(fed, artifact, token).status_code == 403
    assert fed.ask("GET", "/v1/feed").status_code == 401
    for path in ("/v1/calls", "/v1/events", "/v1/me", "/v1/live", "/metrics"):
        assert fed.ask("GET", path, "evidence").status_code == 403, path


def test_a_file_comes_whole_in_ranges_or_not_at_all_when_it_is_known(fed) -> None:
    artifact = fed.site.put(size=300_000)
    data, path = fed.site.contents[artifact.artifact_id], f"/v1/artifacts/{artifact.artifact_id}"
    etag = f'"{artifact.cipher_sha256}"'
    digest = "sha-256=:" + base64.b64encode(bytes.fromhex(artifact.cipher_sha256)).decode() + ":"
    whole = fed.ask("GET", path, "evidence")
    assert (whole.status_code, whole.content) == (200, data)
    assert (whole.headers["etag"], whole.headers["accept-ranges"]) == (etag, "bytes")
    assert whole.headers["content-digest"] == whole.headers["repr-digest"] == digest
    head = fed.ask("HEAD", path, "evidence", headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "300000")

    def ranged(value: str, **headers: str) -> httpx.Response:
        return fed.ask("GET", path, "evidence", headers={"Range": value, **headers})

    part = ranged("bytes=100000-")
    assert (part.status_code, part.content) == (206, data[100_000:])
    assert part.headers["content-range"] == "bytes 100000-299999/300000" and "content-digest" not in part.headers
    assert part.headers["repr-digest"] == digest
    assert ranged("bytes=-5").content == data[-5:] and ranged("bytes=0-0").content == data[:1]
    several = ranged("bytes=0-9,200-299")
    assert several.status_code == 206 and several.headers["content-type"].startswith("multipart/byteranges")
    assert data[:10] in several.content and data[200:300] in several.content
    assert ranged("bytes=300000-").status_code == 416
    assert (ranged("lines=1-2").status_code, ranged("lines=1-2").content) == (200, data), "RFC 9110 §14.2"
    assert ranged("bytes=5-9", **{"If-Range": etag}).status_code == 206
    assert ranged("bytes=5-9", **{"If-Range": '"of another file"'}).content == data
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = fed.ask("GET", path, "evidence", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert fed.ask("GET", path, "evidence", headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-3",
        "bytes=x-",
        "bytes=",
        "bytes=-",
        "bytes=0-1,",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 34, 2)),
        "bytes=" + ",".join(["0-"] * 4000),
        "bytes=" + "9" * 5000 + "-",
        "bytes=\u0663-",
    ],
)
def test_a_range_that_makes_no_sense_is_none(fed, header: str) -> None:
    artifact = fed.site.put()
    said = fed.ask(
        "GET", f"/v1/artifacts/{artifact.artifact_id}", "evidence", headers={b"Range": header.encode("utf-8")}
    )
    assert (said.status_code, said.content) == (200, fed.site.contents[artifact.artifact_id])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40) | st.none()), min_size=1, max_size=20))
def test_ranges_are_taken_if_few_and_forwards(ranges: list[tuple[int, int | None]]) -> None:
    header = "bytes=" + ", ".join(f"{start}-{'' if end is None else end}" for start, end in ranges)
    forwards = all(end is None or start <= end for start, end in ranges)
    assert are_ranges(header) == (forwards and len(ranges) <= MOST_RANGES)


def test_who_fetched_is_written_down_once_and_before_that_it_counts_as_having_left(fed) -> None:
    artifact, other = fed.site.put(), fed.site.put()
    path = f"/v1/artifacts/{artifact.artifact_id}"
    fed.ask("HEAD", path, "evidence")
    assert not fed.site.catalog.corrections.may_have_left(artifact.artifact_id)
    for _ in range(3):
        assert fed.ask("GET", path, "evidence").status_code == 200
    (line,) = [x for x in fed.site.lines("fetched") if x.fields["artifact"] == artifact.artifact_id]
    assert (line.purpose, line.call_id, line.process) == ("evidence", artifact.call_id, "desk")
    assert str(line.fields["by"]).startswith("feed:archive-evidence:")
    assert fed.site.catalog.corrections.may_have_left(artifact.artifact_id)
    assert not fed.site.catalog.corrections.may_have_left(other.artifact_id)


def test_what_arrived_is_sent_and_its_receipt_is_the_same_each_time(fed) -> None:
    artifact = fed.site.put()
    assert ack(fed, artifact, sha256="0" * 64).status_code == 409
    assert fed.site.delivery(artifact) is Delivery.WAITING and not delivered(fed, artifact)
    first = ack(fed, artifact, sha256=artifact.cipher_sha256.upper())
    assert first.status_code == 200, first.text
    assert fed.site.delivery(artifact) is Delivery.SENT
    assert ack(fed, artifact).content == first.content
    assert ack(fed, artifact, sha256="0" * 64).status_code == 409
    body = check_receipt(first.content, fed.public)
    (line,) = delivered(fed, artifact)
    assert body["journal"] == {"chain": "courier", "seq": line.seq, "hash": line.hash}
    assert (body["artifact"], body["cipher_sha256"]) == (artifact.artifact_id, artifact.cipher_sha256)
    assert body["received_by"] == line.fields["received_by"] and body["received_ns"] == line.at_ns
    with pytest.raises(BadReceipt):
        check_receipt(first.content.replace(b'"size":1000', b'"size":1001'), fed.public)
    items, _ = all_of(fed)
    assert items[artifact.artifact_id]["acknowledged"] is True


def test_a_receipt_is_checked_with_openssl_as_the_page_says(fed, tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    artifact = fed.site.put()
    receipt = ack(fed, artifact).content
    (tmp_path / "site.pem.pub").write_bytes((fed.site.settings.site.keys_dir / "site.pem.pub").read_bytes())

    def said_of(text: bytes) -> tuple[int, str]:
        (tmp_path / "call.age.receipt.json").write_bytes(text)
        done = subprocess.run(["bash", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    status, said = said_of(receipt)
    assert status == 0 and said.endswith(artifact.cipher_sha256)
    for said_there, changed in ((b'"size":1000', b'"size":1001'), (b'"until_ns":', b'"until_ns":9')):
        wrong = receipt.replace(said_there, changed)
        assert wrong != receipt and said_of(wrong)[0] != 0


def delivered(fed, artifact) -> list:
    return [line for line in fed.site.lines("delivered") if line.fields["path"] == artifact.path]


def test_who_waits_is_woken_by_what_is_filed_for_it_alone(fed) -> None:
    fed.site.put()
    _, start = all_of(fed)
    answers: list[dict] = []
    waiting = threading.Thread(target=lambda: answers.append(page(fed, start, wait=20)))
    waiting.start()
    time.sleep(0.5)
    fed.site.put("training")
    time.sleep(0.7)
    assert not answers, "another purpose's artifact is no news"
    artifact = fed.site.put()
    waiting.join(15)
    assert [item["id"] for item in answers[0]["items"]] == [artifact.artifact_id]
    assert page(fed, answers[0]["cursor"], wait=0.2)["items"] == []
    assert fed.ask("GET", "/v1/feed", "evidence", params={"wait": 61}).status_code == 422


@pytest.mark.slow
def test_a_hundred_may_wait_and_all_are_woken(fed) -> None:
    fed.site.put()
    _, start = all_of(fed)
    tokens = [fed.desk.token("feed", purpose="evidence", name=f"p{n}") for n in range(20)]

    async def story() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=fed.desk.url, timeout=40, limits=limits) as client:

            async def one(token: str) -> httpx.Response:
                params = {"after": start, "wait": 30}
                return await client.get("/v1/feed", params=params, headers={"Authorization": f"Bearer {token}"})

            tasks = [asyncio.create_task(one(token)) for token in tokens for _ in range(5)]
            await asyncio.sleep(1.5)
            assert not any(task.done() for task in tasks)
            await asyncio.to_thread(fed.site.put)
            return await asyncio.gather(*tasks)

    answers = asyncio.run(story())
    assert len(answers) == 100 and all(len(answer.json()["items"]) == 1 for answer in answers)


@pytest.mark.slow
def test_one_token_may_not_wait_without_end(fed) -> None:
    fed.site.put()
    _, start = all_of(fed)

    async def story() -> list[int]:
        async with httpx.AsyncClient(base_url=fed.desk.url, timeout=40) as client:
            headers = {"Authorization": f"Bearer {fed.desk.tokens['evidence']}"}
            asked = [client.get("/v1/feed", params={"after": start, "wait": 2}, headers=headers) for _ in range(12)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    said = asyncio.run(story())
    assert sorted(said) == [200] * 8 + [429] * 4


def test_what_is_being_masked_is_held_back_and_comes_again_when_it_came_to_nothing(fed) -> None:
    call = "0193" + "0" * 28
    artifact = fed.site.put(call=call)
    path = f"/v1/artifacts/{artifact.artifact_id}"
    asked = fed.site.ask_mask(call)
    items, cursor = all_of(fed)
    assert artifact.artifact_id not in items
    assert fed.ask("GET", path, "evidence").status_code == 409
    assert not fed.site.catalog.corrections.may_have_left(artifact.artifact_id)
    fed.site.catalog.corrections.turn(asked, "refused", time.time_ns())
    assert [item["id"] for item in page(fed, cursor)["items"]] == [artifact.artifact_id], "behind the cursor"
    assert fed.ask("GET", path, "evidence").status_code == 200


def test_what_is_acknowledged_counts_as_having_left_though_it_was_not_fetched(fed) -> None:
    call = "0198" + "0" * 28
    artifact, fetched = fed.site.put(call=call), fed.site.put(call=call)
    fed.ask("GET", f"/v1/artifacts/{fetched.artifact_id}", "evidence")
    asked = fed.site.ask_mask(call)
    assert ack(fed, artifact).status_code == 409 and not delivered(fed, artifact), "it never left, and is masked now"
    assert ack(fed, fetched).status_code == 200, "it was there before the mask was asked for"
    fed.site.catalog.corrections.turn(asked, "refused", time.time_ns())
    assert ack(fed, artifact).status_code == 200
    assert fed.site.catalog.corrections.may_have_left(artifact.artifact_id), "a tombstone would follow it"


def test_many_acknowledge_the_same_at_once_and_have_one_receipt(fed) -> None:
    artifact = fed.site.put()
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(ack(fed, artifact))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer.status_code for answer in answers} == {200} and len({answer.content for answer in answers}) == 1
    assert len(delivered(fed, artifact)) == 1


def test_a_token_that_is_revoked_while_it_waits_is_told_nothing(fed) -> None:
    _, start = all_of(fed)
    token = fed.desk.token("feed", purpose="evidence", name="leaver")
    answers: list[httpx.Response] = []
    params = {"after": start, "wait": 20}
    waiting = threading.Thread(target=lambda: answers.append(fed.ask("GET", "/v1/feed", token, params=params)))
    waiting.start()
    time.sleep(0.5)
    fed.desk.directory.revoke(digest_of(token)[:ID_DIGITS], time.time_ns())
    fed.site.put()
    waiting.join(30)
    assert answers[0].status_code == 401 and "items" not in answers[0].json()


def test_what_was_taken_back_is_gone_and_its_tombstone_says_what_to_destroy(fed) -> None:
    call = "0194" + "0" * 28
    artifact = fed.site.put(call=call)
    fed.ask("GET", f"/v1/artifacts/{artifact.artifact_id}", "evidence")
    _, cursor = all_of(fed)
    fed.site.catalog.corrections.withdraw(artifact.artifact_id, time.time_ns())
    grave = fed.site.put(call=call, kind="tombstone")
    assert fed.ask("GET", f"/v1/artifacts/{artifact.artifact_id}", "evidence").status_code == 410
    assert ack(fed, artifact).status_code == 410 and fed.site.delivery(artifact) is Delivery.WITHDRAWN
    (item,) = page(fed, cursor)["items"]
    assert (item["id"], item["kind"]) == (grave.artifact_id, "tombstone")
    assert item["destroys"] == [{"id": artifact.artifact_id, "path": artifact.path, "sha256": artifact.cipher_sha256}]
    assert ack(fed, grave).status_code == 200


@pytest.mark.slow
def test_without_the_courier_nothing_leaves_and_nothing_is_acknowledged(start_desk, tmp_path) -> None:
    with start_desk(tmp_path, PULLED) as desk:
        token = desk.token("feed", purpose="evidence")
        assert desk.ask("GET", "/v1/feed", token).status_code == 503, "there is no catalog yet"
        site = OutboxSite(tmp_path / "greffier.toml")
        artifact = site.put()
        path = f"/v1/artifacts/{artifact.artifact_id}"
        said = desk.ask("GET", path, token)
        assert said.status_code == 503 and "courier" in said.json()["detail"] and "retry-after" in said.headers
        body = {"sha256": artifact.cipher_sha256}
        said = desk.ask("POST", f"{path}/ack", token, json=body)
        assert said.status_code == 503 and "certified" in said.json()["detail"]
        public = site.certify().public
        with running_courier(site, tmp_path / "courier.log") as courier:
            assert desk.ask("GET", path, token).content == site.contents[artifact.artifact_id]
            receipt = desk.ask("POST", f"{path}/ack", token, json=body)
            courier.kill()
            courier.wait()
        assert desk.ask("POST", f"{path}/ack", token, json=body).status_code == 503
        with running_courier(site, tmp_path / "courier.log"):
            assert desk.ask("POST", f"{path}/ack", token, json=body).content == receipt.content
        assert check_receipt(receipt.content, public)["artifact"] == artifact.artifact_id
        (site.settings.outbox_dir / artifact.path).unlink()
        assert desk.ask("GET", path, token).status_code == 410
        spoiled = site.put()
        (site.settings.outbox_dir / spoiled.path).write_bytes(b"short")
        assert desk.ask("GET", f"/v1/artifacts/{spoiled.artifact_id}", token).status_code == 503
        assert wait_for("the complaint", lambda: desk.events("feed.unreadable"))
        assert not site.catalog.corrections.may_have_left(spoiled.artifact_id)


def test_the_digest_told_is_that_of_what_is_fetched(fed) -> None:
    artifact = fed.site.put(size=0)
    answer = fed.ask("GET", f"/v1/artifacts/{artifact.artifact_id}", "evidence")
    assert hashlib.sha256(answer.content).hexdigest() == artifact.cipher_sha256
