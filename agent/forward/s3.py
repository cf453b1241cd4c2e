"""S3-compatible storage as destination: low-level calls, parts that survive a restart, and our own digest at the end.

Servers are not trusted to check what they are told to (several ignore checksums): every part carries a Content-MD5,
and the whole object is read back and compared by SHA-256 before the upload counts as done.
"""

import base64
import hashlib
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from agent.forward.destination import PIECE_BYTES, Poison, Receipt, Retry, Unsupported, UploadState, unchanged
from agent.vault.secretfile import read_secret

CONNECT_S, READ_S = 5, 60
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_MEND = {
    "NoSuchBucket": "the bucket does not exist",
    "AccessDenied": "access is denied: check the rights of this key on this bucket",
    "InvalidAccessKeyId": "the server does not know this access key",
    "SignatureDoesNotMatch": "the server does not accept this secret key",
    "RequestTimeTooSkewed": "the clocks differ too much: synchronise this one",
    "403": "access is denied",
}
_PASSING = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "QuotaExceeded"})
_FIRST_SERVER_ERROR = 500
_TOO_MANY = 429


class S3Destination:
    """A bucket. `part_bytes`: larger files go in parts of this size (5 MiB at least, by the protocol)."""

    def __init__(
        self,
        name: str,
        bucket: str,
        credentials_file: Path,
        part_bytes: int,
        endpoint_url: str | None = None,
        region: str = "us-east-1",
        prefix: str = "",
        verify_tls: bool = True,
    ) -> None:
        self.name = name
        self._bucket = bucket
        self._credentials_file = credentials_file
        self._part_bytes = part_bytes
        self._endpoint_url = endpoint_url
        self._region = region
        self._prefix = prefix
        self._verify_tls = verify_tls
        self._made: Any = None

    def put(self, local: Path, key: str, cipher_sha256: str, size: int, resume: UploadState) -> Receipt:
        """See Destination.put."""
        unchanged(local, cipher_sha256)
        name = self._prefix + key
        with self._words():
            if self._is_there(name, cipher_sha256, size):
                resume.remember(None)
                return self._receipt(name)
            if size <= self._part_bytes:
                data = local.read_bytes()
                self._client.put_object(Bucket=self._bucket, Key=name, Body=data, ContentMD5=_md5(data))
            else:
                self._put_parts(local, name, resume)
                resume.remember(None)
            if not self._is_there(name, cipher_sha256, size):
                self._client.delete_object(Bucket=self._bucket, Key=name)
                raise Retry("what was read back is not what was sent; it was removed there")
        return self._receipt(name)

    def abandon(self, key: str, resume: UploadState) -> None:
        """See Destination.abandon."""
        name = self._prefix + key
        with self._words():
            if resume.upload_id is not None:
                self._abort(name, resume.upload_id)
            self._abort_strays(name)  # one that was begun and not remembered
            resume.remember(None)

    def hold(self, key: str, held: bool) -> None:
        """See Destination.hold."""
        raise Unsupported("legal holds are not placed on this bucket yet")

    def destroy(self, key: str) -> None:
        """See Destination.destroy."""
        with self._words():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def check(self) -> None:
        """See Destination.check."""
        name, data = f"{self._prefix}.greffier-{secrets.token_hex(4)}", b"trial"
        with self._words():
            self._client.put_object(Bucket=self._bucket, Key=name, Body=data, ContentMD5=_md5(data))
            back = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            self._client.delete_object(Bucket=self._bucket, Key=name)
        if back != data:
            raise Retry("what is written there is not what is read back")

    # ---- steps of an upload

    def _put_parts(self, local: Path, name: str, resume: UploadState) -> None:
        upload_id, there = self._taken_up(name, resume.upload_id)
        if upload_id is None or not self._ours(local, there):
            self._abort_strays(name)
            upload_id = self._client.create_multipart_upload(Bucket=self._bucket, Key=name)["UploadId"]
            resume.remember(upload_id)
            there = {}
        where = {"Bucket": self._bucket, "Key": name, "UploadId": upload_id}
        parts = []
        for number, data in self._parts(local):
            tag = there.get(number)
            if tag is None:
                tag = self._client.upload_part(**where, PartNumber=number, Body=data, ContentMD5=_md5(data))["ETag"]
            parts.append({"PartNumber": number, "ETag": tag})
        self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})

    def _parts(self, local: Path) -> Iterator[tuple[int, bytes]]:
        """The parts of a file, numbered from 1."""
        with local.open("rb") as file:
            yield from enumerate(iter(lambda: file.read(self._part_bytes), b""), 1)

    def _ours(self, local: Path, there: dict[int, str]) -> bool:
        """Whether the parts that are there are parts of this file (some servers cannot replace one that is not)."""
        if not there:
            return True
        ours = {n: hashlib.md5(data, usedforsecurity=False).hexdigest() for n, data in self._parts(local)}
        return all(ours.get(number) == tag.strip('"') for number, tag in there.items())

    def _taken_up(self, name: str, upload_id: str | None) -> tuple[str | None, dict[int, str]]:
        """The unfinished upload of before a restart and its parts (number → ETag), if the server still has it."""
        if upload_id is None:
            return None, {}
        there: dict[int, str] = {}
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": name, "UploadId": upload_id}
        while True:
            try:
                page = self._client.list_parts(**where)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None, {}
                raise
            there |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return upload_id, there
            where["PartNumberMarker"] = page["NextPartNumberMarker"]

    def _abort_strays(self, name: str) -> None:
        """Abort uploads of this very object that a kill left without anybody who remembers them."""
        try:
            page = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=name)
        except ClientError as error:
            if _code(error) in _MISSING:  # some servers say so when there are none
                return
            raise
        for upload in page.get("Uploads") or ():
            if upload["Key"] == name:
                self._abort(name, upload["UploadId"])

    def _abort(self, name: str, upload_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise

    def _is_there(self, name: str, cipher_sha256: str, size: int) -> bool:
        """Whether the object is there, byte for byte: it is read back whole."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise
        digest, count = hashlib.sha256(), 0
        for piece in answer["Body"].iter_chunks(PIECE_BYTES):
            digest.update(piece)
            count += len(piece)
        return count == size and digest.hexdigest() == cipher_sha256

    def _receipt(self, name: str) -> Receipt:
        return Receipt(f"s3://{self._bucket}/{name}")

    # ---- the client, and its errors in our words

    @property
    def _client(self) -> Any:
        if self._made is None:
            access_key, secret_key = _credentials(self._credentials_file)
            self._made = boto3.client(
                "s3",
                endpoint_url=self._endpoint_url,
                region_name=self._region,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                verify=self._verify_tls,
                config=Config(
                    connect_timeout=CONNECT_S,
                    read_timeout=READ_S,
                    retries={"total_max_attempts": 1},
                    signature_version="s3v4",
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        return self._made

    @contextmanager
    def _words(self) -> Iterator[None]:
        """Turn the library's errors into Retry and Poison; no message carries a key or a signed address."""
        try:
            yield
        except ClientError as error:
            code = _code(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _PASSING or status >= _FIRST_SERVER_ERROR or status == _TOO_MANY:
                raise Retry(f"the server answered {status} {code}") from None
            self._made = None  # credentials may be mended meanwhile
            raise Poison(_MEND.get(code, f"the server refused it: {status} {code}")) from None
        except SSLError:
            raise Poison(
                "the server's certificate is not accepted: expired, of another name, or signed by nobody known"
            ) from None
        except BotoCoreError as error:
            raise Retry(f"the server cannot be reached or broke off ({type(error).__name__})") from None
        except OSError as error:
            raise Retry(f"the connection failed: {error.strerror or type(error).__name__}") from None


def _credentials(path: Path) -> tuple[str, str]:
    try:
        found = tomllib.loads(read_secret(path).decode())
        return str(found["access_key_id"]), str(found["secret_access_key"])
    except OSError as error:
        raise Poison(f"credentials: {error}") from None
    except (ValueError, KeyError):
        raise Poison(f'{path} must say access_key_id = "…" and secret_access_key = "…"') from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
