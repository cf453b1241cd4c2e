"""`python -m agent.courier --config PATH`."""

from agent.courier.loop import serve
from agent.process import main

if __name__ == "__main__":
    main("courier", serve)
