"""One who listens to server-sent events of the desk, in a thread."""

import json
import threading
from typing import Any

import httpx
from running_site import wait_for


class Heard:
    """What one client has heard so far: a thread reads."""

    def __init__(self, url: str, token: str) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.comments = 0
        self.ended = False
        self.status: int | None = None
        self._client = httpx.Client(timeout=60)
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._client.stream("GET", self._url, headers=self._headers) as answer:
                self.status, name = answer.status_code, ""
                for line in answer.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data":
                        self.events.append((name, json.loads(value)))
                    elif line.startswith(":"):
                        self.comments += 1
        except httpx.HTTPError:
            pass
        self.ended = True

    def lights(self, agent: str) -> list[str]:
        """The lights of an agent, in order."""
        return [data["light"] for name, data in self.events if name == "state" and data["agent"] == agent]

    def wait(self, agent: str, light: str) -> None:
        """Until the light of an agent is so."""
        wait_for(f"{light} of {agent}: {self.events}", lambda: (self.lights(agent) or [None])[-1] == light)

    def close(self) -> None:
        """Hang up."""
        self._client.close()
