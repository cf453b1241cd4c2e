"""From a `[destination.NAME]` section to something that delivers."""

from agent.config import Destination as Section
from agent.forward.destination import Destination
from agent.forward.folder import FolderDestination
from agent.forward.s3 import S3Destination

PART_BYTES = 8 << 20


def open_destination(name: str, section: Section, part_bytes: int = PART_BYTES) -> Destination:
    """The destination of a section; nothing is contacted yet. Raises ValueError when the section is not complete."""
    if section.is_pulled:
        raise ValueError(f"destination.{name}: nothing is sent there, central systems fetch")
    if section.kind == "folder":
        if section.path is None:
            raise ValueError(f"destination.{name}: path is missing")
        return FolderDestination(name, section.path, section.prefix)
    if section.bucket is None or section.credentials_file is None:
        raise ValueError(f"destination.{name}: bucket or credentials_file is missing")
    return S3Destination(
        name,
        section.bucket,
        section.credentials_file,
        part_bytes,
        section.endpoint_url,
        section.region,
        section.prefix,
        section.verify_tls,
    )
