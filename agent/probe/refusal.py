"""Why a probe call was not taken, said so that whoever reads it knows what to do next."""

_HINTS = {
    401: "the recorder asks for a password; a probe has none",
    403: "the recorder does not take calls from this address: see `allow` in [siprec]",
    404: "this is a SIP server, but no recorder answers there",
    405: "this is a SIP server, but it takes no calls",
    408: "a server on the way got no answer from the recorder",
    415: "the recorder does not understand SIPREC bodies (multipart/mixed)",
    420: "the recorder does not know SIPREC (Require: siprec)",
    481: "the recorder no longer knows this call",
    486: "the recorder is busy",
    488: "the recorder takes none of the offered codecs",
    500: "the recorder failed: see its log",
    503: "the recorder has no room: see `max_calls` and `media_ports` in [siprec], and its log",
}
_CLASS_HINTS = {3: "redirections are not followed", 4: "the recorder objects to the request", 5: "the recorder failed"}


class ProbeRefused(Exception):
    """A probe call was refused or not answered. `status` is the SIP status, None when no answer came."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def refused(method: str, status: int, reason: str) -> ProbeRefused:
    """A final response that is no success."""
    hint = _HINTS.get(status) or _CLASS_HINTS.get(status // 100, "no server may take the call")
    return ProbeRefused(f"{method} was answered {status} {reason[:80]}: {hint}", status)


def unanswered(method: str, after_s: float) -> ProbeRefused:
    """No final response in time."""
    return ProbeRefused(
        f"{method} got no answer within {after_s:g} s: is the address right, and does a firewall let it pass?"
    )


def unreachable(where: str, error: OSError) -> ProbeRefused:
    """Nothing there to talk to."""
    if isinstance(error, ConnectionRefusedError):
        return ProbeRefused(f"nothing listens on {where}: is the agent running (`greffier doctor`)?")
    if where.startswith("tls:"):
        return ProbeRefused(
            f"no TLS with {where}: {error}: is our certificate shown, and does each end trust the authority of the "
            "other's certificate?"
        )
    return ProbeRefused(f"{where} cannot be reached: {error.strerror or error}")
