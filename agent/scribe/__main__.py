"""`python -m agent.scribe --config PATH`."""

from agent.process import main
from agent.scribe.loop import serve

if __name__ == "__main__":
    main("scribe", serve)
