"""Colours and names that a vector layer has in QGIS: its style in the file, or a `.qml` beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.forms import ogr
from hsi_ssl.labels.layers import LayerFacts
from hsi_ssl.labels.qgis_styles import LayerStyle, layer_style, whole, xml_root
from hsi_ssl.labels.texts import plain_name
from hsi_ssl.scenes.encoding import decoded
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.watcher import SILENT, Watcher


def with_style(
    file: Path, facts: LayerFacts, column: str | None, watcher: Watcher = SILENT
) -> LayerFacts:
    """`facts` with the colours and the names of the values of a field, as QGIS shows them.

    The first style that says something of the field counts: the file's own, then `NAME.qml` beside
    the file. Colours that the form of the file tells itself go before. A broken style is told of
    and left out.
    """
    if column is None:
        return facts
    for where, text in _styles(file, facts):
        try:
            style = layer_style(xml_root(text, where), column)
        except LabelError as error:
            watcher.say(f"colours of {facts.path} are left out: {error}")
            continue
        if style is not None:
            watcher.say(f"{facts.path}: colours are those of {where}")
            return _styled(facts, style)
    return facts


def _styles(file: Path, facts: LayerFacts) -> Iterator[tuple[str, str]]:
    """Where styles of a layer stand, and their text."""
    yield from ((f"the QGIS style in {file}", text) for text in ogr.styles(file, facts.name))
    beside = file.with_suffix(".qml")
    if not is_virtual(file) and beside.is_file():
        try:
            yield str(beside), decoded(beside.read_bytes())
        except OSError as error:
            raise LabelError(f"{beside} cannot be read: {error.strerror}") from error


def _styled(facts: LayerFacts, style: LayerStyle) -> LayerFacts:
    """Facts with what a style says of classes; numbers are written as such."""
    colours = {_written(value): colour for value, colour in style.colours.items()}
    names: dict[int, str] = {}
    for value, label in style.labels.items():
        code, name = whole(value), plain_name(label)
        if code is not None and name and whole(name) != code:
            names[code] = name
    colours.pop("", None)
    return replace(facts, colours={**colours, **facts.colours}, names=names)


def _written(value: str) -> str:
    code = whole(value)
    return plain_name(value) if code is None else str(code)
