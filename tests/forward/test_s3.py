"""S3 over HTTP against two independent servers: parts, restarts, servers that die, lie or refuse."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import ACCESS, SECRET, Counting, S3Server, Uploads, moto, rclone, running, s3_section, write_credentials

from agent.config.destinations import S3Section
from agent.forward.destination import Poison, Retry, Terms, Unsupported
from agent.forward.s3 import S3Destination

PART = 5 << 20
KEY = "evidence/call.audio.flac.age"


@pytest.fixture(scope="module", params=["rclone", "moto"])
def server(
    request, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[S3Server]:
    (port,) = free_ports(1)
    made = rclone(port, tmp_path_factory.mktemp("s3")) if request.param == "rclone" else moto(port)
    with running(made):
        made.make_bucket("recordings")
        yield made


@pytest.fixture
def cloud(server: S3Server, tmp_path: Path) -> Callable[..., S3Destination]:
    def make(bucket: str = "recordings", mode: int = 0o600, throttle=None, clock_ns=time.time_ns, **more):
        credentials = write_credentials(tmp_path / "s3.toml", mode=mode)
        return S3Destination("cloud", s3_section(server, credentials, bucket, **more), PART, throttle, clock_ns)

    return make


def source(tmp_path: Path, size: int) -> tuple[Path, str, int]:
    path = tmp_path / "local.age"
    path.write_bytes(os.urandom(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), size


def put(destination: S3Destination, key: str, local: tuple[Path, str, int], uploads: Uploads | None = None) -> None:
    path, digest, size = local
    destination.put(path, key, digest, size, uploads or Uploads(), Terms())


@pytest.mark.parametrize("size", [1000, PART, 2 * PART + 77])
def test_what_arrives_is_what_was_sent(server: S3Server, cloud, tmp_path: Path, size: int) -> None:
    local, uploads = source(tmp_path, size), Uploads()
    put(cloud(), f"{size}/{KEY}", local, uploads)
    put(cloud(), f"{size}/{KEY}", local)
    back = server.client().get_object(Bucket="recordings", Key=f"{size}/{KEY}")["Body"].read()
    assert back == local[0].read_bytes()
    assert uploads.upload_id is None and (len(uploads.seen) > 1) == (size > PART)


def test_doctor_finds_it_writable(cloud, server: S3Server) -> None:
    cloud().check()
    assert not [
        o for o in server.client().list_objects_v2(Bucket="recordings").get("Contents", ()) if ".greffier" in o["Key"]
    ]


@pytest.mark.parametrize("ours", [True, False])
def test_an_upload_cut_off_between_parts_is_taken_up(server: S3Server, cloud, tmp_path: Path, ours: bool) -> None:
    path, digest, size = local = source(tmp_path, 3 * PART)
    client = server.client()
    upload = client.create_multipart_upload(Bucket="recordings", Key="cut/" + KEY)["UploadId"]
    first = path.read_bytes()[:PART] if ours else b"x" * PART
    client.upload_part(Bucket="recordings", Key="cut/" + KEY, UploadId=upload, PartNumber=1, Body=first)
    uploads = Uploads()
    uploads.upload_id = upload
    put(cloud(), "cut/" + KEY, local, uploads)
    assert len(uploads.seen) == (1 if ours else 2), "a new upload is begun only when the parts are of another file"
    assert uploads.upload_id is None
    back = client.get_object(Bucket="recordings", Key="cut/" + KEY)["Body"].read()
    assert hashlib.sha256(back).hexdigest() == digest and len(back) == size
    assert not [
        u for u in client.list_multipart_uploads(Bucket="recordings").get("Uploads") or [] if "cut/" in u["Key"]
    ]
    client.delete_object(Bucket="recordings", Key="cut/" + KEY)


def test_an_upload_that_the_server_forgot_is_begun_anew_and_strays_are_aborted(server, cloud, tmp_path: Path) -> None:
    client = server.client()
    client.create_multipart_upload(Bucket="recordings", Key="stray/" + KEY)
    uploads = Uploads()
    uploads.upload_id = "gone"
    put(cloud(), "stray/" + KEY, source(tmp_path, 2 * PART), uploads)
    assert uploads.seen[0] not in (None, "gone") and uploads.seen[-1] is None
    left = client.list_multipart_uploads(Bucket="recordings").get("Uploads") or []
    assert [u for u in left if u["Key"].startswith("stray/")] == []


def test_what_was_begun_and_is_not_to_be_finished_is_let_go_of(server: S3Server, cloud, tmp_path: Path) -> None:
    client, uploads = server.client(), Uploads()
    whole = source(tmp_path, 100)
    for key in ("left/" + KEY, "left/" + KEY + ".other"):
        client.create_multipart_upload(Bucket="recordings", Key=key)
    uploads.upload_id = client.create_multipart_upload(Bucket="recordings", Key="left/" + KEY)["UploadId"]
    put(cloud(), "left/done", whole)
    cloud().abandon("left/" + KEY, uploads)
    left = [u["Key"] for u in client.list_multipart_uploads(Bucket="recordings").get("Uploads") or ()]
    assert [key for key in left if key.startswith("left/")] == [f"left/{KEY}.other"] and uploads.upload_id is None
    uploads.upload_id = "gone"
    cloud().abandon("left/" + KEY, uploads)
    cloud().abandon("left/done", uploads)
    assert client.get_object(Bucket="recordings", Key="left/done")["Body"].read() == whole[0].read_bytes()
    with pytest.raises(Poison, match="bucket"):
        cloud("nowhere").abandon(KEY, uploads)


def test_what_somebody_must_mend_is_poison_in_words(server: S3Server, cloud, tmp_path: Path) -> None:
    local = source(tmp_path, 1000)
    with pytest.raises(Poison, match="bucket does not exist"):
        put(cloud(bucket="no-such-bucket"), KEY, local)
    with pytest.raises(Poison, match="chmod 600"):
        put(cloud(mode=0o644), KEY, local)
    with pytest.raises(Poison, match="SHA-256"):
        put(cloud(), KEY, (local[0], "0" * 64, 1000))


def test_an_object_that_was_changed_over_there_is_sent_again(server: S3Server, cloud, tmp_path: Path) -> None:
    local = source(tmp_path, 1000)
    server.client().put_object(Bucket="recordings", Key="changed/" + KEY, Body=b"y" * 1000)
    put(cloud(), "changed/" + KEY, local)
    back = server.client().get_object(Bucket="recordings", Key="changed/" + KEY)["Body"].read()
    assert back == local[0].read_bytes()


def test_a_wrong_secret_is_poison_and_never_quoted(tmp_path: Path, free_ports) -> None:
    (port,) = free_ports(1)
    with running(rclone(port, tmp_path / "s3")) as server:
        server.make_bucket("recordings")
        credentials = write_credentials(tmp_path / "s3.toml", secret="wrong-secret-wrong-secret")
        with pytest.raises(Poison) as caught:
            put(S3Destination("cloud", s3_section(server, credentials), PART), KEY, source(tmp_path, 100))
    said = str(caught.value)
    assert "wrong-secret" not in said and ACCESS not in said and SECRET not in said


def test_a_server_that_dies_half_way_loses_nothing(tmp_path: Path, free_ports) -> None:
    """Killed after the first part; back on the same port with the same files; the courier's next attempt ends it."""
    (port,) = free_ports(1)
    server = rclone(port, tmp_path / "s3")
    local, uploads = source(tmp_path, 3 * PART), Uploads()
    with running(server):
        server.make_bucket("recordings")
        destination = S3Destination("cloud", s3_section(server, write_credentials(tmp_path / "s3.toml")), PART)
        client = destination._client
        upload_part = client.upload_part

        def dies_at_the_second(**fields):
            if fields["PartNumber"] == 2:
                server.kill()
            return upload_part(**fields)

        client.upload_part = dies_at_the_second
        with pytest.raises(Retry, match=r"cannot be reached|broke off"):
            put(destination, KEY, local, uploads)
        assert local[0].exists() and uploads.upload_id is not None
        client.upload_part = upload_part
        with pytest.raises(Retry):
            put(destination, KEY, local, uploads)
        server.start()
        put(destination, KEY, local, uploads)
        back = server.client().get_object(Bucket="recordings", Key=KEY)["Body"].read()
        assert back == local[0].read_bytes() and uploads.upload_id is None


def test_what_is_read_back_otherwise_is_never_taken_for_delivered(tmp_path: Path, free_ports) -> None:
    """The stored file is spoiled on the server's disk between upload and reading back."""
    (port,) = free_ports(1)
    server = rclone(port, tmp_path / "s3")
    with running(server):
        server.make_bucket("recordings")
        destination = S3Destination("cloud", s3_section(server, write_credentials(tmp_path / "s3.toml")), PART)
        client = destination._client
        put_object = client.put_object

        def spoils(**fields):
            answer = put_object(**fields)
            stored = server.folder / "recordings" / KEY
            stored.write_bytes(b"#" + stored.read_bytes()[1:])
            return answer

        client.put_object = spoils
        local = source(tmp_path, 1000)
        with pytest.raises(Retry, match="read back"):
            put(destination, KEY, local)
        assert not (server.folder / "recordings" / KEY).exists()
        client.put_object = put_object
        put(destination, KEY, local)


def test_credentials_that_say_nothing_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "s3.toml"
    path.write_text("key = 1\n")
    path.chmod(0o600)
    with pytest.raises(Poison, match="access_key_id"):
        S3Destination("cloud", S3Section(kind="s3", bucket="b", credentials_file=path), PART).check()


@pytest.mark.parametrize("size", [70_000, PART + 77])
def test_a_throttle_sees_every_byte_once_in_small_pieces(cloud, tmp_path: Path, size: int) -> None:
    throttle = Counting()
    put(cloud(throttle=throttle), f"paced/{size}/{KEY}", source(tmp_path, size))
    assert 0 <= sum(throttle.taken) - size < 2000, "what it asks of the server besides counts too"
    assert max(throttle.taken) <= 64 << 10


def test_what_is_destroyed_is_gone_and_nothing_else(server: S3Server, cloud, tmp_path: Path) -> None:
    local = source(tmp_path, 100)
    for key in ("destroy/" + KEY, "destroy/" + KEY + ".other"):
        put(cloud(), key, local)
    cloud().destroy("destroy/" + KEY)
    cloud().destroy("destroy/" + KEY)
    listed = server.client().list_objects_v2(Bucket="recordings", Prefix="destroy/").get("Contents", ())
    assert [o["Key"] for o in listed] == [f"destroy/{KEY}.other"]
    with pytest.raises(Unsupported, match="object_lock"):
        cloud().hold(KEY, True)


@pytest.mark.parametrize("server", ["rclone"], indirect=True)  # moto says of every upload that it was begun in 2010
def test_uploads_of_ours_that_nobody_remembers_are_let_go_of_after_a_day(server: S3Server, cloud) -> None:
    client = server.client()
    keys = [f"lyon/training/{n:032x}.audio.opus.age" for n in range(3)] + [
        "lyon/holiday.jpg",
        f"training/{9:032x}.a.age",
    ]
    begun = {key: client.create_multipart_upload(Bucket="recordings", Key=key)["UploadId"] for key in keys}

    def left() -> set[str]:
        listed = client.list_multipart_uploads(Bucket="recordings").get("Uploads") or ()
        return {upload["Key"] for upload in listed} & set(keys)

    cloud(prefix="lyon/").sweep([])
    assert left() == set(keys)
    cloud(prefix="lyon/", clock_ns=lambda: time.time_ns() + 2 * 86_400 * 10**9).sweep([begun[keys[0]]])
    assert left() == {keys[0], *keys[3:]}
    for key in left():
        client.abort_multipart_upload(Bucket="recordings", Key=key, UploadId=begun[key])


def test_a_server_that_takes_wrong_digests_is_not_believed_its_own(server: S3Server, cloud, tmp_path: Path) -> None:
    """moto takes any; rclone refuses a wrong MD5."""
    local = source(tmp_path, 1000)
    if server.folder is None:
        with pytest.raises(Poison, match='verify = "read" is needed'):
            put(cloud(verify="checksum"), "believed/" + KEY, local)
    else:
        put(cloud(verify="checksum"), "believed/" + KEY, local)
    assert server.client().list_objects_v2(Bucket="recordings", Prefix="believed/")["KeyCount"] == (
        server.folder is not None
    )
