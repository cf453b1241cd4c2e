"""One typed, validated description of the whole configuration: `load` reads it or says what to mend on which line."""

from agent.config.load import ConfigError, load, parse
from agent.config.settings import Settings, Site
from agent.config.taps import Endpoint, Siprec, Span

__all__ = ["ConfigError", "Endpoint", "Settings", "Siprec", "Site", "Span", "load", "parse"]
