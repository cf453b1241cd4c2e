"""The SIPREC tap: a session recording server (RFC 7866) that a gateway sends its calls to."""

from agent.tap.siprec.contract import CallListener, Clock, PortLender
from agent.tap.siprec.srs import Srs

__all__ = ["CallListener", "Clock", "PortLender", "Srs"]
