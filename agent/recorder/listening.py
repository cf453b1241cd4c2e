"""Which addresses of the engine each live call listens to, and what comes of them when it listens no more.

Live calls of taps of our own have ports that were lent; passive taps have addresses of others, of which what is not in
use now may be another call's next.
"""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from agent.media.endpoint import key
from agent.media.engine import Engine, EngineFull
from agent.media.srtp import Opened
from agent.model.call import MediaStream
from agent.model.media import StreamCounts
from agent.recorder.live import LiveCall
from agent.recorder.ports import MediaPorts
from agent.recorder.streams import added_up, heard_streams

FROM_FILE = "pcap"
PASSIVE = ("span", FROM_FILE)
"""Taps whose streams are others': the ports are not ours."""

log = structlog.get_logger()


class Listening:
    """At most `most_overheard` streams of passive taps at once. `ports` are those that calls may have been lent."""

    def __init__(self, engine: Engine, ports: MediaPorts | None, most_overheard: int) -> None:
        self._engine = engine
        self._ports = ports
        self._most_overheard = most_overheard
        self._overheard = 0
        self._listened: set[int] = set()

    def listens_to(self, port: int) -> bool:
        """Whether a call still takes in what comes to this port of ours."""
        return port in self._listened

    def follow(self, live: LiveCall) -> None:
        """Listen to the streams of a call as they are now. What was received before is fed to its gate."""
        ports = self._ports_of(live)
        wanted = heard_streams(live.call)
        if ports is None:  # addresses of others: what is not in use now may be another call's next
            wanted = {address: stream for address, stream in wanted.items() if stream.active}
            for address in [address for address in live.streams if address not in wanted]:
                self._leave(live, address)
        for address, stream in wanted.items():
            announced = key(stream.peer_host, stream.peer_port) if stream.peer_host else 0
            before = live.streams.get(address)
            if before is None:
                self._add(live, stream, address, announced, ports.since_ns(stream.port) if ports else 0)
                continue
            live.streams[address] = stream
            if before.stream != stream.stream:
                live.feed(self._engine.rename(address, stream.stream))
            live.feed(self._engine.change(address, stream.every_format, announced))

    def hand_on(self, live: LiveCall) -> None:
        """Feed to its gate what a call's streams have in order, wherever it waited."""
        live.rests = False
        for address in live.streams:
            live.feed(self._engine.hand_on(address))

    def heard_until(self, live: LiveCall) -> int:
        """The position after the last sample of a call that has come."""
        return max((self._engine.heard_until(address) for address in live.streams), default=0)

    def finish(self, live: LiveCall, opened: Mapping[int, Opened]) -> tuple[tuple[int, StreamCounts], ...]:
        """The call is over: feed to its gate all that is left, and give its ports back. Returns what was counted for
        each stream; `opened` is what became of secure RTP."""
        self._overheard -= len(live.streams) if live.call.tap in PASSIVE else 0
        counts = []
        for address, stream in live.streams.items():
            failed = opened[address].failed if address in opened else 0
            if failed:
                log.warning("srtp.undecryptable", call=live.call.call_id, stream=stream.stream, packets=failed)
            live.feed(self._engine.finish(address))
            counts.append((stream.stream, replace(self._engine.remove(address), undecryptable=failed)))
            if (ports := self._ports_of(live)) is not None:
                self._listened.discard(stream.port)
                ports.give_back(stream.port)
        return added_up([*live.counted, *counts])

    def _leave(self, live: LiveCall, address: int) -> None:
        live.feed(self._engine.finish(address))
        stream = live.streams.pop(address)
        self._overheard -= live.call.tap in PASSIVE
        live.counted.append((stream.stream, self._engine.remove(address, for_good=False)))

    def _add(self, live: LiveCall, stream: MediaStream, address: int, announced: int, since_ns: int) -> None:
        passive = live.call.tap in PASSIVE
        try:
            if passive and self._overheard >= self._most_overheard:
                raise EngineFull(f"no room for more than {self._most_overheard} streams overheard")
            self._engine.add(
                address,
                live.call.call_id,
                stream.stream,
                stream.every_format,
                live.origin_ns,
                announced=announced,
                since_ns=since_ns,
            )
        except (EngineFull, ValueError) as error:
            log.error("stream.refused", call=live.call.call_id, stream=stream.stream, error=str(error))
            return
        live.streams[address] = stream
        self._overheard += passive
        if self._ports_of(live) is not None:
            self._listened.add(stream.port)

    def _ports_of(self, live: LiveCall) -> MediaPorts | None:
        return None if live.call.tap in PASSIVE else self._ports
