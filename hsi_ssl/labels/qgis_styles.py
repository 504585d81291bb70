"""QGIS's styles (`.qml`): what those of rasters and those of vector layers say of classes.

A raster's: the entries of a paletted renderer, or of exact colour ramps. A layer's: a renderer by
categories of a field, or by rules of the form "field" = 'value'; a class has the colour of the
first layer of its symbol, written as `<prop k="color" v="r,g,b,a"/>` by older versions and as
`<Option name="color" value="r,g,b,a,rgb:..."/>` by newer ones. Other renderers say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.colours import hex_of

FIELD = re.compile(r'"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>\w+)')
RULE = re.compile(
    rf"\s*(?P<field>{FIELD.pattern})\s*=\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(\.\d+)?))\s*"
)
COLOUR_KEYS = ("color", "line_color")
"""Of fills and markers, and of lines."""
OUTLINE = "outline_color"


@dataclass(frozen=True)
class LayerStyle:
    """What a style says of the values of one field: colours `#rrggbb` and labels, by value."""

    colours: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def xml_root(text: str, where: str) -> ET.Element:
    """The root of XML that needs no entities of its own; `where` it stands, for people.

    Raises
    ------
    LabelError
        It is no XML, or declares entities.
    """
    try:
        root: ET.Element = fromstring(text)
        return root
    except DefusedXmlException:
        raise LabelError(
            f"{where} declares entities, which a style has none of; save it again"
        ) from None
    except (ET.ParseError, ValueError) as error:
        raise LabelError(f"{where} is no XML ({error}); save the style again") from error


def whole(text: str | None) -> int | None:
    """The whole number that a text is, also as 3.0; None where it is none."""
    try:
        number = float(text or "")
        return int(number) if number == int(number) else None
    except (ValueError, OverflowError):
        return None


def palette(root: ET.Element) -> tuple[dict[int, str], dict[int, str]]:
    """Names and colours by code of a raster's style."""
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    ramps = (r for r in root.iter("colorrampshader") if r.get("colorRampType") == "EXACT")
    for entry in [*root.iter("paletteEntry"), *(i for ramp in ramps for i in ramp.iter("item"))]:
        code, label = whole(entry.get("value")), (entry.get("label") or "").strip()
        if code is None:
            continue
        if label and label != str(code):
            names[code] = label
        colour = hex_of(entry.get("color") or "")
        if colour is not None:
            colours[code] = colour
    return names, colours


def layer_style(root: ET.Element, column: str) -> LayerStyle | None:
    """What a layer's style says of the values of a field; None where it speaks of another."""
    renderer = root.find("renderer-v2")
    if renderer is None:
        return None
    if renderer.get("type") == "categorizedSymbol":
        found = _field(renderer.get("attr") or "")
        entries = _categories(renderer) if found == column else iter(())
    elif renderer.get("type") == "RuleRenderer":
        entries = _rules(renderer.find("rules"), column)
    else:
        return None
    symbols = {s.get("name") or "": s for s in renderer.iterfind("symbols/symbol")}
    style = LayerStyle()
    for value, label, symbol in entries:
        colour = _colour(symbols.get(symbol))
        if colour is not None:
            style.colours.setdefault(value, colour)
        if label:
            style.labels.setdefault(value, label)
    return style if style.colours or style.labels else None


def _field(expression: str) -> str | None:
    """The field that an expression is, quoted or not."""
    match = FIELD.fullmatch(expression.strip())
    if match is None:  # a name with blanks or signs in it is written as it is
        return expression
    return match["plain"] or match["quoted"].replace('""', '"')


def _categories(renderer: ET.Element) -> Iterator[tuple[str, str, str]]:
    """Value, label and symbol of each category; one may stand for several values."""
    for category in renderer.iterfind("categories/category"):
        values = [v.get("value") or "" for v in category.iterfind("val")]
        for value in values or [category.get("value") or ""]:
            label = "" if len(values) > 1 else (category.get("label") or "").strip()
            yield value, label, category.get("symbol") or ""


def _rules(rules: ET.Element | None, column: str) -> Iterator[tuple[str, str, str]]:
    """The same of rules for values of a field; those within rules with a filter say more."""
    for rule in rules if rules is not None else ():
        condition = (rule.get("filter") or "").strip()
        match = RULE.fullmatch(condition)
        if match and _field(match["field"]) == column:
            value = match["number"] or (match["text"] or "").replace("''", "'")
            yield value, (rule.get("label") or "").strip(), rule.get("symbol") or ""
        elif not condition:
            yield from _rules(rule, column)


def _colour(symbol: ET.Element | None) -> str | None:
    """The colour of a symbol's first layer; where its area is not filled, of the outline."""
    layer = None if symbol is None else symbol.find("layer")
    if layer is None:
        return None
    settings: Mapping[str, str] = {
        **{p.get("k") or "": p.get("v") or "" for p in layer.iterfind("prop")},
        **{o.get("name") or "": o.get("value") or "" for o in layer.iterfind("Option/Option")},
    }
    keys = (OUTLINE,) if settings.get("style") == "no" else COLOUR_KEYS
    return next((hex_of(settings[key]) for key in keys if key in settings), None)
