"""An object in parts (S3 multipart upload): parts that survive a restart, and what nobody will finish is let go of.

A part that is there is recognised by the server's SHA-256 of it, or by its ETag where that is an MD5.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from agent.forward.destination import UploadState
from agent.forward.s3_access import MISSING, Access, code_of
from agent.forward.s3_sums import pieces, sha256, sums

LEFT_BEHIND = timedelta(days=1)
"""An upload of ours that nobody remembers may still be another box's until it is so old."""
_OURS = re.compile(r"[a-z][a-z0-9-]{0,30}/[0-9a-f]{32}\..+")
"""Keys of artifacts, after the prefix."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What the server has of a part."""

    etag: str
    sha256: str | None

    def is_of(self, data: bytes) -> bool:
        """Whether these are its bytes. False too where the server gives nothing to tell it by."""
        if self.sha256 is not None:
            return self.sha256 == sha256(data)
        return self.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()

    def named(self, number: int) -> dict[str, Any]:
        """As the list of parts names it when an upload is completed."""
        by = {"ChecksumSHA256": self.sha256} if self.sha256 is not None else {}
        return {"PartNumber": number, "ETag": self.etag, **by}


class Parts:
    """Uploads to a bucket in parts of `part_bytes` (5 MiB at least, by the protocol). Errors are the library's."""

    def __init__(self, access: Access, bucket: str, part_bytes: int) -> None:
        self._access = access
        self._bucket = bucket
        self._part_bytes = part_bytes

    def upload(self, local: Path, name: str, resume: UploadState, told: Mapping[str, Any]) -> str | None:
        """Send a file, with what is `told` of it. Returns the id of the version that was made, if there are such."""
        client = self._access.client
        upload_id, there = self._taken_up(name, resume.upload_id)
        if upload_id is None or not self._ours(local, there):
            self.abort_all(name)
            begun = client.create_multipart_upload(Bucket=self._bucket, Key=name, ChecksumAlgorithm="SHA256", **told)
            upload_id = begun["UploadId"]
            resume.remember(upload_id)
            there = {}
        where = {"Bucket": self._bucket, "Key": name, "UploadId": upload_id}
        for number, data in pieces(local, self._part_bytes):
            if number not in there:
                sent = client.upload_part(**where, PartNumber=number, Body=data, **sums(data))
                there[number] = _Part(sent["ETag"], sent.get("ChecksumSHA256"))
        parts = [there[number].named(number) for number in sorted(there)]
        done = client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        version: str | None = done.get("VersionId")
        return version

    def abort(self, name: str, upload_id: str) -> None:
        """Let go of an upload; harmless when the server has."""
        try:
            self._access.client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)
        except ClientError as error:
            if code_of(error) not in MISSING:
                raise

    def abort_all(self, name: str) -> None:
        """Let go of all uploads of this very object: a kill may have left one that nobody remembers."""
        for upload in self._begun(name):
            if upload["Key"] == name:
                self.abort(name, upload["UploadId"])

    def sweep(self, prefix: str, remembered: Collection[str], now: datetime) -> None:
        """Let go of uploads of artifacts under `prefix` that are older than a day and not remembered."""
        for upload in list(self._begun(prefix)):
            name = upload["Key"]
            if not _OURS.fullmatch(name.removeprefix(prefix)) or upload["UploadId"] in remembered:
                continue
            if now - upload["Initiated"] > LEFT_BEHIND:
                self.abort(name, upload["UploadId"])

    def _ours(self, local: Path, there: Mapping[int, _Part]) -> bool:
        """Whether the parts that are there are parts of this file (some servers cannot replace one that is not)."""
        if not there:
            return True
        theirs = set(there)
        for number, data in pieces(local, self._part_bytes):
            if number in there and not there[number].is_of(data):
                return False
            theirs.discard(number)
        return not theirs

    def _taken_up(self, name: str, upload_id: str | None) -> tuple[str | None, dict[int, _Part]]:
        """The unfinished upload of before a restart and its parts, if the server still has it."""
        if upload_id is None:
            return None, {}
        there: dict[int, _Part] = {}
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": name, "UploadId": upload_id}
        while True:
            try:
                page = self._access.client.list_parts(**where)
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None, {}
                raise
            there |= {p["PartNumber"]: _Part(p["ETag"], p.get("ChecksumSHA256")) for p in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return upload_id, there
            where["PartNumberMarker"] = page["NextPartNumberMarker"]

    def _begun(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Unfinished uploads of objects whose names begin so."""
        where: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            try:
                page = self._access.client.list_multipart_uploads(**where)
            except ClientError as error:
                if code_of(error) in MISSING:  # some servers say so when there are none
                    return
                raise
            yield from page.get("Uploads") or ()
            if not page.get("IsTruncated"):
                return
            where |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
