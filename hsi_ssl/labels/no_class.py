"""What people write where there is no class."""

from __future__ import annotations

NO_CLASS = {
    "", "0", "nodata", "no data", "no_data", "no-data", "unlabelled", "unlabeled", "not labelled",
    "not labeled", "unclassified", "not classified", "background", "void", "undefined", "none",
    "null", "<null>", "nan", "n/a",
}  # fmt: skip
"""In lower case, without blanks about it."""


def is_no_class(name: str) -> bool:
    """Whether a name stands for no class, whatever its case."""
    return name.strip().lower() in NO_CLASS
