"""The puller of central systems against a real desk: resumed, checked, acknowledged, called back; and what it
refuses."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest
from greffier_pull.feed import parse_page, safe_path
from hypothesis import given
from hypothesis import strategies as st
from running_site import wait_for

from agent.model.artifact import Delivery
from agent.vault.receipt import check_receipt

CLIENT = Path(__file__).parents[2] / "client"
ALONE = [sys.executable, "-I", "-S", "-c"]
"""Python without any installed package."""


@pytest.fixture
def pull(fed, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`pull("--follow")`: the program, by itself, into `tmp_path / "into"`."""
    token = tmp_path / "token"
    token.write_text(fed.desk.tokens["evidence"] + "\n")
    token.chmod(0o600)

    def start(*more: str, url: str = fed.desk.url, into: Path = tmp_path / "into", said: Path = token):
        program = f"import sys; sys.path.insert(0, {str(CLIENT)!r}); from greffier_pull.program import main; "
        arguments = ["--url", url, "--purpose", "evidence", "--into", str(into), "--token-file", str(said), *more]
        command = [*ALONE, program + f"sys.exit(main({arguments!r}))"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    return start


def done(process: subprocess.Popen[str], status: int = 0) -> str:
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    return said


def large(folder: Path) -> list[Path]:
    """Partial files of some size."""
    return [path for path in folder.glob("*.partial") if path.stat().st_size > 900_000]


@contextmanager
def cutting_proxy(port: int, most: list[int]) -> Iterator[str]:
    """Passes connections on; the n-th is cut after `most[n]` bytes of answers, the last number counting for all
    more."""
    listener = socket.create_server(("127.0.0.1", 0))
    numbers = iter(range(1 << 30))

    def serve() -> None:
        while True:
            try:
                asker, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=pass_on, args=(asker, most[min(next(numbers), len(most) - 1)]), daemon=True).start()

    def pass_on(asker: socket.socket, left: int) -> None:
        with asker, socket.create_connection(("127.0.0.1", port)) as box:
            threading.Thread(target=copy, args=(asker, box), daemon=True).start()
            while left > 0 and (piece := box.recv(min(left, 65536))):
                asker.sendall(piece)
                left -= len(piece)
            for one in (asker, box):  # closing alone would wait for who reads from it
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_everything_is_fetched_checked_and_acknowledged_once(fed, pull, tmp_path: Path) -> None:
    made = [fed.site.put(size=size) for size in (0, 1, 70_000)]
    theirs = fed.site.put("training")
    said = done(pull())
    for artifact in made:
        file = tmp_path / "into" / artifact.path
        assert file.read_bytes() == fed.site.contents[artifact.artifact_id]
        receipt = file.with_name(f"{file.name}.receipt.json").read_bytes()
        assert check_receipt(receipt, fed.public)["cipher_sha256"] == artifact.cipher_sha256
        assert fed.site.delivery(artifact) is Delivery.SENT
    assert not (tmp_path / "into" / theirs.path).exists() and "acknowledged" in said
    assert list((tmp_path / "into" / ".greffier-pull").glob("*.partial")) == []
    before = len(fed.site.lines("delivered"))
    assert done(pull()).startswith("0 fetched (0.0 MB), 0 acknowledged")
    (tmp_path / "into" / ".greffier-pull" / "evidence.json").unlink()
    assert done(pull()).startswith("0 fetched (0.0 MB), 0 acknowledged"), "from the beginning: all is here"
    assert len(fed.site.lines("delivered")) == before


@pytest.mark.slow
def test_a_cut_connection_and_a_kill_are_taken_up_where_they_were(fed, pull, tmp_path: Path) -> None:
    fed.site.put()
    done(pull())
    artifact = fed.site.put(size=3_000_000)
    own = tmp_path / "into" / ".greffier-pull"
    with cutting_proxy(fed.desk.port, [1 << 30, 1_000_000, 500_000, 1 << 30]) as url:
        (own / "evidence.json").write_text(json.dumps({**json.loads((own / "evidence.json").read_text()), "url": url}))
        said = done(pull(url=url))
    assert said.count("again in") == 2, said
    assert (tmp_path / "into" / artifact.path).read_bytes() == fed.site.contents[artifact.artifact_id]
    second = fed.site.put(size=3_000_000)
    with cutting_proxy(fed.desk.port, [1 << 30, 1_000_000, 0]) as url:
        (own / "evidence.json").write_text(json.dumps({**json.loads((own / "evidence.json").read_text()), "url": url}))
        process = pull(url=url)
        (partial,) = wait_for(
            "a partial file", lambda: [p for p in own.glob("*.partial") if p.stat().st_size > 900_000]
        )
        process.kill()
        process.communicate()
    begun = partial.read_bytes()
    assert fed.site.contents[second.artifact_id].startswith(begun) and not (tmp_path / "into" / second.path).exists()
    assert fed.site.delivery(second) is Delivery.WAITING
    partial.write_bytes(fed.site.contents[second.artifact_id])  # as if killed between the last byte and the name
    (own / "evidence.json").unlink()
    done(pull())
    assert fed.site.delivery(second) is Delivery.SENT


def test_a_spoiled_partial_file_is_fetched_anew(fed, pull, tmp_path: Path) -> None:
    artifact = fed.site.put(size=100_000)
    own = tmp_path / "into" / ".greffier-pull"
    own.mkdir(parents=True)
    (own / f"{artifact.artifact_id}.{artifact.cipher_sha256[:16]}.partial").write_bytes(b"x" * 50_000)
    assert "fetched again" in done(pull())
    assert (tmp_path / "into" / artifact.path).read_bytes() == fed.site.contents[artifact.artifact_id]


def test_what_is_called_back_is_destroyed_and_nothing_else(fed, pull, tmp_path: Path) -> None:
    call = "0195" + "0" * 28
    gone, stays = fed.site.put(call=call), fed.site.put(call=call)
    done(pull())
    fed.site.catalog.corrections.withdraw(gone.artifact_id, 1)
    fed.site.catalog.corrections.withdraw(stays.artifact_id, 1)
    (tmp_path / "into" / stays.path).write_bytes(b"somebody else's by now")
    grave = fed.site.put(call=call, kind="tombstone")
    assert f"destroyed {gone.path}" in done(pull())
    assert not (tmp_path / "into" / gone.path).exists() and (tmp_path / "into" / grave.path).exists()
    assert (tmp_path / "into" / stays.path).read_bytes() == b"somebody else's by now"
    assert fed.site.delivery(grave) is Delivery.SENT


def test_it_follows_until_it_is_told_to_stop(fed, pull, tmp_path: Path) -> None:
    process = pull("--follow")
    try:
        wait_for("the first page", (tmp_path / "into" / ".greffier-pull" / "evidence.json").exists)
        artifact = fed.site.put()
        wait_for("it to come", lambda: fed.site.delivery(artifact) is Delivery.SENT)
        assert "another process" in done(pull(), status=1)
    finally:
        process.send_signal(signal.SIGTERM)
        done(process)


def test_what_is_wrong_is_said_in_words(fed, pull, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("A" * 43)
    bad.chmod(0o600)
    assert "greffier token add feed:evidence" in done(pull(said=bad), status=1)
    bad.chmod(0o644)
    assert "chmod 600" in done(pull(said=bad), status=2)
    assert "plain http is for this machine only" in done(pull(url="http://192.0.2.1:8470"), status=2)
    assert "expected an address" in done(pull(url="box"), status=2)
    (tmp_path / "file").write_text("")
    assert "Not a directory" in done(pull(into=tmp_path / "file" / "into"), status=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_and_nothing_is_acknowledged(fed, pull, full_disk: Path) -> None:
    done(pull())
    artifact = fed.site.put(size=2_000_000)
    assert "No space left" in done(pull(into=full_disk / "into"), status=1)
    assert fed.site.delivery(artifact) is Delivery.WAITING
    done(pull())


@contextmanager
def lying_box(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[str]:
    """Answers one question after the other so; the last for all more."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def told(*items: dict, **more: object) -> tuple[int, dict[str, str], bytes]:
    said = {"purpose": "evidence", "items": items, "cursor": "c", "more": False, **more}
    return 200, {}, json.dumps(said).encode()


DATA = b"what was recorded"
ITEM = {
    "id": "0" * 32,
    "kind": "audio",
    "path": "evidence/call.audio.flac.age",
    "size": len(DATA),
    "sha256": hashlib.sha256(DATA).hexdigest(),
    "destroys": [],
}
HAND = (200, {}, DATA)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([told({**ITEM, "path": "evidence/../../out.age"})], "answers in another way"),
        ([told({**ITEM, "path": "/etc/cron.d/x.age"})], "answers in another way"),
        ([told({**ITEM, "path": "evidence/call.audio.flac.age.receipt.json"})], "answers in another way"),
        ([told({**ITEM, "id": "../../token"})], "answers in another way"),
        ([told({**ITEM, "destroys": [{"path": ITEM["path"], "sha256": ITEM["sha256"]}]})], "answers in another way"),
        ([told(purpose="training")], "answers in another way"),
        ([told(cursor="c\r\nX: y")], "answers in another way"),
        ([(200, {}, b"[" * 100_000)], "no JSON"),
        ([told(more=True), told(more=True)], "never goes on"),
        ([(302, {"Location": "http://127.0.0.1:1/"}, b"")], "302"),
        ([(403, {}, json.dumps({"detail": "\x1b]0;you\x07"}).encode())], "refuses (403): ?]0;you?"),
        ([told(ITEM), (200, {}, b"x" * len(DATA))], "never what the feed says"),
        ([told(ITEM), (200, {}, DATA * 1000)], "never what the feed says"),
        ([told(ITEM), HAND, (200, {}, b"thank you")], "no receipt for"),
        ([told(ITEM), HAND, (200, {}, json.dumps({"body": {"artifact": "1" * 32}}).encode())], "no receipt for"),
        ([told(ITEM), HAND, (200, {}, b" " * 200_000)], "no receipt for"),
    ],
)
def test_a_box_that_lies_gets_nothing_written_or_destroyed(pull, tmp_path: Path, answers: list, words: str) -> None:
    mine = tmp_path / "into" / "evidence" / "mine.age"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(DATA)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with lying_box(*answers) as url:
        said = done(pull(url=url), status=1)
    assert words in said and "\x1b" not in said and "Traceback" not in said
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    own = {path for path in written if path.parent.name == ".greffier-pull"}
    assert written - own <= {tmp_path / "into" / ITEM["path"]} and not list(tmp_path.rglob("*.receipt.json"))
    assert all(path.read_bytes() == DATA for path in [mine, *(written - own)])


def test_a_range_that_was_not_asked_for_is_not_taken(pull, tmp_path: Path) -> None:
    own = tmp_path / "into" / ".greffier-pull"
    own.mkdir(parents=True)
    (own / f"{ITEM['id']}.{ITEM['sha256'][:16]}.partial").write_bytes(DATA[:5])
    with lying_box(told(ITEM), (206, {"Content-Range": "bytes 0-16/17"}, DATA)) as url:
        assert "another range" in done(pull(url=url), status=1)


@given(st.text(max_size=40) | st.builds("evidence/{}.age".format, st.text(max_size=30)))
def test_a_path_never_leads_out_of_the_folder(text: str) -> None:
    try:
        path = safe_path(text, "evidence")
    except ValueError:
        return
    assert len(path.parts) == 2 and path.parts[0] == "evidence" and not path.parts[1].startswith(".")
    assert "\0" not in text and "/" not in path.parts[1] and not path.is_absolute()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "path", "size", "x"]), inner),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"purpose": st.just("evidence"), "items": JSON, "cursor": JSON, "more": JSON}))
def test_an_answer_that_is_no_page_is_refused_as_such(said: object) -> None:
    try:
        page = parse_page(said, "evidence")
    except ValueError:
        return
    assert all(isinstance(item.path, PurePosixPath) for item in page.items)


def test_a_file_that_is_spoiled_holds_up_no_other_and_is_tried_again(fed, pull, tmp_path: Path) -> None:
    done(pull())
    made = [fed.site.put(size=5_000) for _ in range(3)]
    file = fed.site.settings.outbox_dir / made[1].path
    file.write_bytes(bytes(5_000))
    said = done(pull(), status=1)
    assert made[1].path in said and "everything else is here" in said
    into = tmp_path / "into"
    assert [(into / one.path).exists() for one in made] == [True, False, True]
    assert [fed.site.delivery(one) for one in made] == [Delivery.SENT, Delivery.WAITING, Delivery.SENT]
    file.write_bytes(fed.site.contents[made[1].artifact_id])
    assert done(pull()).startswith("1 fetched"), "the cursor was kept before it"
