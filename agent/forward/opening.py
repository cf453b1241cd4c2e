"""From a `[destination.NAME]` section to something that delivers."""

from agent.config.destinations import AnyDestination, FolderSection, PutSection, S3Section, SftpSection
from agent.forward.destination import Destination, Throttle
from agent.forward.folder import FolderDestination
from agent.forward.put import PutDestination
from agent.forward.s3 import S3Destination
from agent.forward.sftp import SftpDestination

PART_BYTES = 8 << 20


def open_destination(
    name: str, section: AnyDestination, part_bytes: int = PART_BYTES, throttle: Throttle | None = None
) -> Destination:
    """The destination of a section; nothing is contacted yet. Without a throttle it sends as fast as it can."""
    match section:
        case FolderSection():
            return FolderDestination(name, section.path, section.prefix, throttle)
        case S3Section():
            return S3Destination(name, section, part_bytes, throttle)
        case SftpSection():
            return SftpDestination(name, section, throttle)
        case PutSection():
            return PutDestination(name, section, throttle)
