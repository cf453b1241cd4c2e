"""The way to a bucket: a client that sends no faster than it may, and the server's errors in our words."""

import io
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from agent.config.destinations import S3Section
from agent.forward.destination import Poison, Retry, Throttle
from agent.vault.secretfile import read_secret

CONNECT_S, READ_S = 5, 60
PIECE_BYTES = 64 << 10
MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NotFound"})
DENIED = frozenset({"403", "AccessDenied"})
_MEND = {
    "NoSuchBucket": "the bucket does not exist",
    "AccessDenied": "access is denied: check the rights of this key on this bucket (docs/destinations.md lists them)",
    "InvalidAccessKeyId": "the server does not know this access key",
    "SignatureDoesNotMatch": "the server does not accept this secret key",
    "RequestTimeTooSkewed": "the clocks differ too much: synchronise this one",
    "403": "access is denied",
}
_WAIT = {
    "QuotaExceeded": "the bucket or its owner's quota is full",
    "BadDigest": "what arrived is not what was sent: damaged on the way",
    "XAmzContentSHA256Mismatch": "what arrived is not what was sent: damaged on the way",
    "IncompleteBody": "the connection broke off on the way",
    "NoSuchUpload": "the server forgot what had been uploaded of it: it begins anew",
    "InvalidPart": "the server lost a part that had been uploaded",
}
_PASSING = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"})
_FIRST_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_TOO_MANY = 429


class Access:
    """Client of the server of a section, made when it is first needed, and anew after it was refused."""

    def __init__(self, section: S3Section, throttle: Throttle) -> None:
        self._section = section
        self._throttle = throttle
        self._made: Any = None

    @property
    def client(self) -> Any:
        """A boto3 client. Raises Poison when the credentials cannot be read."""
        if self._made is None:
            section = self._section
            access_key, secret_key = _credentials(section.credentials_file)
            self._made = boto3.client(
                "s3",
                endpoint_url=section.endpoint_url,
                region_name=section.region,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                verify=str(section.ca_file) if section.ca_file is not None else section.verify_tls,
                config=Config(
                    connect_timeout=CONNECT_S,
                    read_timeout=READ_S,
                    retries={"total_max_attempts": 1},
                    signature_version="s3v4",
                    s3={"addressing_style": section.addressing},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
            self._made.meta.events.register("before-send.s3", self._pace)
        return self._made

    def _pace(self, request: Any, **_: object) -> None:
        """After it was signed, for which it is read too: only what goes over the line counts."""
        body = io.BytesIO(request.body) if isinstance(request.body, bytes) else request.body
        if body is not None:
            request.body = _Paced(body, self._throttle)

    @contextmanager
    def words(self) -> Iterator[None]:
        """Turn the library's errors into Retry and Poison; no message carries a key or a signed address."""
        try:
            yield
        except ClientError as error:
            code = code_of(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _WAIT:
                raise Retry(_WAIT[code]) from None
            passing = status == _TOO_MANY or (status >= _FIRST_SERVER_ERROR and status != _NOT_IMPLEMENTED)
            if code in _PASSING or passing:
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


class _Paced:
    """A body of which each piece waits for its turn."""

    def __init__(self, body: BinaryIO, throttle: Throttle) -> None:
        self._body = body
        self._throttle = throttle

    def read(self, size: int = -1) -> bytes:
        """The next piece, when it may go."""
        piece = self._body.read(PIECE_BYTES if size < 0 else min(size, PIECE_BYTES))
        if piece:
            self._throttle.take(len(piece))
        return piece


def code_of(error: ClientError) -> str:
    """The server's word for what is wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _credentials(path: Path) -> tuple[str, str]:
    try:
        found = tomllib.loads(read_secret(path).decode())
        return str(found["access_key_id"]), str(found["secret_access_key"])
    except OSError as error:
        raise Poison(f"credentials: {error}") from None
    except (ValueError, KeyError):
        raise Poison(f'{path} must say access_key_id = "…" and secret_access_key = "…"') from None
