"""`python -m bench.receiver INTERFACE HOST CORE PORT…`: the recorder's ring and media engine, and nothing after them.

What the engine hands on is thrown away: no gate, no encryption, no log. CORE is `c` or `numpy`. It says "ready", takes
in packets until SIGTERM, and prints how many it put in their place.
"""

import signal
import sys
import time

from agent.media import bpf
from agent.media.core import Choice
from agent.media.endpoint import key
from agent.media.engine import Engine
from agent.media.local import RingSource
from agent.media.ring import PacketRing
from agent.model.call import Codec, MediaFormat
from agent.recorder.memory import keep_memory

RING_MIB = 64
REORDER_MS, FLUSH_S = 200, 1.0


def receive(interface: str, host: str, core: Choice, ports: list[int]) -> int:
    """Until SIGTERM; packets placed."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    ring = PacketRing(interface, bpf.own_udp(min(ports), max(ports)), RING_MIB, core=core)
    engine = Engine(len(ports), REORDER_MS, FLUSH_S, core=core)
    addresses = [key(host, port) for port in ports]
    for number, address in enumerate(addresses):
        engine.add(address, str(number), 0, [MediaFormat(8, Codec.PCMA)], time.monotonic_ns())
    print("ready", flush=True)
    due = time.monotonic()
    while not stopped:
        while (block := ring.read()) is not None:
            engine.process(block)
        engine.flush(time.monotonic_ns())
        now = time.monotonic()
        due = max(due + RingSource.interval_s, now)
        time.sleep(due - now)
    ring.close()
    return sum(engine.counts(address).received for address in addresses)


if __name__ == "__main__":
    keep_memory()
    wanted: dict[str, Choice] = {"c": "c", "numpy": "numpy"}
    print(receive(sys.argv[1], sys.argv[2], wanted[sys.argv[3]], [int(port) for port in sys.argv[4:]]))
