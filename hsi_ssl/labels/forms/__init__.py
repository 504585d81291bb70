"""Forms of files in which people keep drawn labels: one module each, with three functions.

To add one: a module here, and a line in `FORMS`; in another package, an entry point in the group
`hsi_ssl.label_forms`, asked after ours. The first that takes a file reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hsi_ssl.labels.layers import Features, LayerFacts
from hsi_ssl.registry import Registry


class Form(Protocol):
    """What a module here offers. `file` is a path without the name of a layer."""

    def takes(self, file: Path) -> bool:
        """Whether the file is of this form, by its suffix and, if it is there, its first bytes."""

    def layers(self, file: Path, path: Path) -> list[LayerFacts]:
        """The layers in the file, with `path` as theirs.

        Raises
        ------
        VectorError
            The file is broken, or holds nothing of use.
        """

    def features(self, file: Path, facts: LayerFacts, column: str | None) -> Features:
        """All features of a layer, with the values of one field.

        Raises
        ------
        VectorError
            The file is broken.
        """


HOME = "hsi_ssl.labels.forms"
FORMS: Registry[Form] = Registry(
    "hsi_ssl.label_forms",
    "form of labels",
    {
        "ENVI ROI": f"{HOME}.envi_roi",
        "annotated": f"{HOME}.annotated",
        "tables": f"{HOME}.tables",
        "Shapefile": f"{HOME}.shapefile",
        "zipped": f"{HOME}.zipped",
        "OGR": f"{HOME}.ogr",
    },
)


FOLDERS = {".gdb"}
"""Suffixes of folders that are one file to those who use them: ArcGIS keeps layers so."""


def form_of(file: Path) -> Form | None:
    """The form of a file of drawn labels; None for other files, and folders called like one."""
    if file.is_dir() and file.suffix.lower() not in FOLDERS:
        return None
    return next((form for form in FORMS.values() if form.takes(file)), None)
