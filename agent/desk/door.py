"""The desk's door: who asks, by which token, how often; everything that is refused here is journalled. Deny by default.

A good token is never refused for what others at the same address get wrong: agents may share one behind a proxy.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from cryptography.x509 import Certificate
from fastapi import HTTPException, Request

from agent.desk.limits import Buckets, address_key
from agent.desk.pullers import shown_certificate
from agent.desk.tokens import IdentityUnknown
from agent.model.identity import Device, Right, Scope

Find = Callable[[str], Scope | None]
FindPuller = Callable[[Certificate], Scope | None]
Refused = Callable[[str, str], None]

OWN_RATE_S, OWN_BURST = 10.0, 20
SITE_RATE_S, SITE_BURST = 1000.0, 2000
"""Tokens that press for every agent belong to programs."""
FEED_RATE_S, FEED_BURST = 200.0, 400
"""A central system fetches and acknowledges as fast as files are small."""
FAILED_RATE_S, FAILED_BURST = 10 / 60, 10


class Door:
    """Lets in by token. `find` is asked anew for each request; `refused(what, actor)` journals each refusal."""

    def __init__(
        self,
        find: Find,
        refused: Refused,
        monotonic: Callable[[], float] = time.monotonic,
        find_puller: FindPuller = lambda _: None,
    ) -> None:
        self._find = find
        self._find_puller = find_puller
        self.refused = refused
        self._monotonic = monotonic
        self._own = Buckets(OWN_RATE_S, OWN_BURST)
        self._site = Buckets(SITE_RATE_S, SITE_BURST)
        self._feed = Buckets(FEED_RATE_S, FEED_BURST)
        self._failed = Buckets(FAILED_RATE_S, FAILED_BURST)

    def bearer(self, request: Request, *rights: Right) -> Scope:
        """Who asks by `Authorization: Bearer`, with one of these rights (none: any that has to do with calls)."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        who = self._known(request, token.strip() if kind.lower() == "bearer" else "")
        if who.device is Device.PHONE:
            self.refused("phone's token elsewhere", who.actor(None))
            raise HTTPException(403, "not done: a phone's token presses by its action URL only")
        if who.right not in (rights or (Right.ADMIN, Right.SUPERVISOR, Right.AGENT)):
            self.refused("right", who.actor(None))
            raise HTTPException(403, "not done: this token is for something else")
        return who

    def phone(self, request: Request, token: str) -> Scope:
        """Whose phone presses by action URL: only tokens made for that are taken in a URL."""
        who = self._known(request, token)
        if who.device is not Device.PHONE:
            self.refused("token in a URL", who.actor(None))
            raise HTTPException(403, "not done: no phone's token; this one should not be in a URL, revoke it")
        return who

    def feed(self, request: Request) -> Scope:
        """Whose feed is read, by a token for it, or by a client certificate where no token is sent."""
        certificate = None if "authorization" in request.headers else shown_certificate(request.scope)
        if certificate is None:
            return self.bearer(request, Right.FEED)
        return self._let_in(request, self._find_puller(certificate))

    def own_agent(self, who: Scope, extension: str) -> None:
        """Pass if `who` may press for this agent; raises 403."""
        if not who.may_press_for(extension):
            self.refused("call of another agent", who.actor(None))
            raise HTTPException(403, "not done: this token is another agent's")

    def still(self, request: Request) -> bool:
        """Whether the token, or certificate, of a request that was let in is good yet."""
        if "authorization" not in request.headers and (certificate := shown_certificate(request.scope)):
            return self._find_puller(certificate) is not None
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        try:
            return self._find(token) is not None
        except IdentityUnknown:
            return False

    def _known(self, request: Request, token: str) -> Scope:
        try:
            who = self._find(token) if token else None
        except IdentityUnknown:
            raise HTTPException(503, "not done: whose the token is cannot be told now") from None
        return self._let_in(request, who)

    def _let_in(self, request: Request, who: Scope | None) -> Scope:
        address = address_key(request.client.host if request.client else None)
        if who is None:
            self.refused("token", "unknown")
            _wait(self._failed.take(address, self._monotonic()))
            raise HTTPException(
                401, "not done: a good token is needed; `greffier token add` makes one", {"WWW-Authenticate": "Bearer"}
            )
        # who asks too often how it stands can press all the same
        of_whom = f"{who.token_id} {who.name} {request.method}"
        _wait(self._buckets(who).take(of_whom, self._monotonic()))
        return who

    def _buckets(self, who: Scope) -> Buckets:
        if who.right is Right.FEED:
            return self._feed
        return self._site if who.sees_all else self._own


def _wait(seconds: float) -> None:
    if seconds:
        again = str(math.ceil(seconds))
        raise HTTPException(429, f"not done: too often; again in {again} s", {"Retry-After": again})


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description of a route says of refusals."""
    words = {
        401: "no good token",
        403: "another agent's",
        404: "no such live call",
        429: "too often",
        502: "the gate does not stand so",
        503: "the recorder does not answer: nothing was done",
    }
    return {status: {"description": words[status]} for status in statuses}
