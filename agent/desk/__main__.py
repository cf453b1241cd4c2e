"""`python -m agent.desk --config FILE`: the desk process."""

import time

from agent.config import Settings
from agent.config.budget import budget_of
from agent.control.client import ControlClient
from agent.desk.app import build_app
from agent.desk.cti import PhoneSystems
from agent.desk.delivering import Delivering
from agent.desk.door import Door
from agent.desk.hand import Desk
from agent.desk.handover import handover_of
from agent.desk.livetext import LiveText
from agent.desk.metrics import Metrics
from agent.desk.presence import Presence
from agent.desk.pullers import Pullers
from agent.desk.queue import Queue
from agent.desk.refusals import Refusals
from agent.desk.server import listen
from agent.desk.tokens import TokenFile, Tokens
from agent.process import main
from agent.store.directory import DirectoryReader, LastUse
from agent.store.heard import HeardCalls
from agent.store.journal import Journal
from agent.store.lanes import LookedAt
from agent.store.waiting import WaitingCalls


def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    settings.journal_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    journal = Journal(settings.journal_dir, "desk", time.time_ns)
    refusals = Refusals(journal, time.monotonic)
    old = TokenFile(settings.desk.tokens_file)
    tokens = Tokens(DirectoryReader(settings.directory_path), old, LastUse(settings.last_use_path))
    presence = Presence(settings.recorder_socket, settings.pause.limit_s)
    desk = Desk(
        recorder=ControlClient(settings.recorder_socket),
        door=Door(tokens.find, refusals, find_puller=Pullers(settings.puller).find),
        presence=presence,
        livetext=LiveText(settings.scribe_socket, presence),
        metrics=Metrics(HeardCalls(settings.catalog_path)),
        handover=handover_of(settings, journal),
        pages={name: page.purposes for name, page in settings.context.items()},
        embedded_by=settings.desk.embedded_by,
    )
    app = build_app(desk)
    systems = PhoneSystems(settings, refusals)
    desk.metrics.also(systems)
    desk.metrics.also(Queue(WaitingCalls(settings.catalog_path), time.time_ns))
    budget = budget_of(settings.purpose, settings.courier)
    desk.metrics.also(Delivering(LookedAt(settings.catalog_path), settings.destination, budget, time.time_ns))
    systems.beside(app)
    listen(settings, app)


if __name__ == "__main__":
    main("desk", serve)
