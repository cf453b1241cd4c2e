"""The timestamp authority of `[timestamp]`: a digest goes there over HTTP, a checked token comes back (RFC 3161 §3.4).

Nothing that is asked says of what the digest is.
"""

import secrets
import ssl
import tomllib

import httpx

from agent.config.timestamp import Timestamp
from agent.forward.destination import Poison, Retry
from agent.vault.secretfile import read_secret
from agent.vault.timestamp import MOST_BYTES, NONCE_BITS, BadToken, Stamp, check, granted, load_trust, request

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
_FIRST_SERVER_ERROR, _TOO_MANY, _TIMED_OUT = 500, 429, 408


class TimestampAuthority:
    """Used by one thread at a time. Files are read anew each time, so that mending them is enough."""

    def __init__(self, section: Timestamp) -> None:
        self._section = section

    def stamp(self, digest: bytes) -> tuple[bytes, Stamp]:
        """A token for a SHA-256 digest, and what it says. Raises Retry where none came, Poison where something must be
        mended: a refusal, an answer that is no token of those who are believed."""
        section = self._section
        try:
            trust = load_trust(section.ca, section.policy)
        except (OSError, ValueError) as error:
            raise Poison(f"timestamp.ca: {error}") from None
        nonce = secrets.randbits(NONCE_BITS)
        answer = self._ask(request(digest, nonce, trust.policy))
        try:
            token = granted(answer, digest, nonce, trust)
            return token, check(token, digest, trust)
        except BadToken as error:
            raise Poison(f"a wrong timestamp was refused: {error}") from None

    def _ask(self, query: bytes) -> bytes:
        section = self._section
        try:
            with (
                httpx.Client(
                    timeout=section.timeout_s,
                    auth=self._credentials(),
                    trust_env=False,
                    verify=ssl.create_default_context(),
                ) as client,
                client.stream("POST", section.url, content=query, headers={"Content-Type": QUERY}) as response,
            ):
                self._welcome(response)
                answer = b""
                for piece in response.iter_bytes():
                    answer += piece
                    if len(answer) > MOST_BYTES:
                        raise Poison(f"more than {MOST_BYTES} bytes came for an answer")
                return answer
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Retry(f"the timestamp authority does not answer: {type(error).__name__}") from None

    @staticmethod
    def _welcome(response: httpx.Response) -> None:
        status = response.status_code
        if status >= _FIRST_SERVER_ERROR or status in (_TOO_MANY, _TIMED_OUT):
            raise Retry(f"the timestamp authority is not well: HTTP {status}")
        if status != httpx.codes.OK:
            raise Poison(f"the timestamp authority refused: HTTP {status}; check url and credentials_file")
        if response.headers.get("Content-Type", "").partition(";")[0].strip() != REPLY:
            raise Poison("what answers at timestamp.url is no timestamp authority")

    def _credentials(self) -> tuple[str, str] | None:
        if self._section.credentials_file is None:
            return None
        try:
            said = tomllib.loads(read_secret(self._section.credentials_file).decode())
            return str(said["username"]), str(said["password"])
        except (OSError, ValueError, KeyError) as error:
            raise Poison(f"timestamp.credentials_file cannot be used ({type(error).__name__})") from None
