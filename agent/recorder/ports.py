"""Our media ports: lent to the tap for one stream each, bound before the offer is answered: no packet is lost."""

import shutil
import time
from pathlib import Path

from agent.media.srtp import SecureSource
from agent.model.srtp import SrtpKey

LEAST_FREE_BYTES = 256 << 20
"""With less disk than this no new call is accepted: what is being recorded needs it (I4)."""


class MediaPorts:
    """A PortLender over a source of packets. Even ports only (RTP, RFC 3550 §11), used in rotation so that a port just
    given back is the last to be lent again: a stale packet then meets a closed port."""

    def __init__(self, source: SecureSource, first: int, last: int, capture_dir: Path) -> None:
        self._source = source
        self._all = list(range(first + first % 2, last + 1, 2))
        self._next = 0
        self._lent: dict[int, int] = {}
        self._capture_dir = capture_dir

    def lend(self, host: str) -> int:
        """A bound port. Raises OSError when none is free or the disk is too full to accept another call."""
        if shutil.disk_usage(self._capture_dir).free < LEAST_FREE_BYTES:
            raise OSError("the disk of the capture log is too full for another call")
        for _ in range(len(self._all)):
            port = self._all[self._next]
            self._next = (self._next + 1) % len(self._all)
            if port not in self._lent:
                now_ns = time.monotonic_ns()
                try:
                    self._source.open_port(host, port)
                except OSError:
                    continue  # another program's
                self._lent[port] = now_ns
                return port
        raise OSError("no media port is free; widen siprec.media_ports")

    def claim(self, host: str, port: int) -> None:
        """Bind the very port a call of before a restart had. Raises OSError when it is taken."""
        self._source.open_port(host, port)
        self._lent[port] = 0

    def secure(self, port: int, key: SrtpKey | None) -> None:
        """What comes to a lent port is secure RTP under `key` from now on (None: plain), until it is given back."""
        if port in self._lent:
            self._source.secure(port, key)

    def since_ns(self, port: int) -> int:
        """When the port was lent (monotonic): what came to it before was meant for somebody else."""
        return self._lent.get(port, 0)

    def give_back(self, port: int) -> None:
        """The socket is drained and done with: close it, and lend the port again when its turn comes."""
        if port in self._lent:
            self._source.close_port(port)
            del self._lent[port]
