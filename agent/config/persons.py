"""The section `[persons]`: who answers the persons whom calls are about. It stands in letters and in archives."""

from pydantic import Field

from agent.config.section import Section


class PersonsSection(Section):
    """Whom a person may write to; docs/persons.md."""

    controller: str = Field("", max_length=200)
    """Name and address of who decides why calls are recorded (GDPR art. 4 (7))."""
    contact: str = Field("", max_length=200)
    """Of the data protection officer, or of whoever answers."""
