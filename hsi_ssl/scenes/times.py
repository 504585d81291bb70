"""When a scene was taken, as files write it: ISO 8601, without a zone in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.origins import Origin

ATTRIBUTES = ("time_coverage_start", "product_starttime", "acquisition_time", "acquisition_date")
"""In lower case: the Attribute Convention for Data Discovery 1.3; PRISMA; what others write."""


class Taken(NamedTuple):
    """When, and what says so."""

    at: datetime | None = None
    origin: Origin | None = None


def time_of(text: str | None, where: str) -> Taken:
    """The time that a text tells, which stands in `where`; nothing where it is none."""
    try:
        at = datetime.fromisoformat((text or "").strip(" {}"))
    except ValueError:
        return Taken()
    return Taken(at if at.tzinfo else at.replace(tzinfo=UTC), Origin(where))


def time_among(attributes: Mapping[str, Any]) -> Taken:
    """The time that one of a file's attributes tells."""
    named = {name.lower(): name for name in attributes}
    for key in ATTRIBUTES:
        if key in named:
            name = named[key]
            found = time_of(plain_text(attributes[name]), f"the attribute {name}")
            if found.at is not None:
                return found
    return Taken()
