"""Who listens to the desk's server-sent events: an agent's client, or a supervisor's board."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from running_site import wait_for


class Lights:
    """What one token hears, in order: `seen` states and `alerts`."""

    def __init__(self, url: str, token: str) -> None:
        self.seen: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self._client = httpx.Client(timeout=60)
        self._request = ("GET", f"{url}/v1/events", {"Authorization": f"Bearer {token}"})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        method, url, headers = self._request
        kept = {"state": self.seen, "alert": self.alerts}
        name = ""
        try:
            with self._client.stream(method, url, headers=headers) as answer:
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: ") and name in kept:
                        kept[name].append(json.loads(line[6:]))
        except httpx.HTTPError:
            pass

    def wait(self, light: str) -> dict[str, Any]:
        """Until the light is so."""
        return self.wait_state(light, lambda state: state["light"] == light)

    def wait_state(self, what: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Until the newest state is such."""
        return wait_for(what, lambda: next((s for s in self.seen[-1:] if is_so(s)), None), 60)

    def wait_alert(self, kind: str) -> list[dict[str, Any]]:
        """Until there is an alert of this kind; those there are."""
        return wait_for(f"an alert {kind}", lambda: [a for a in self.alerts if a["kind"] == kind], 60)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


@contextmanager
def listening(url: str, token: str) -> Iterator[Lights]:
    """Someone who listens until the end of the block."""
    lights = Lights(url, token)
    try:
        yield lights
    finally:
        lights.close()
