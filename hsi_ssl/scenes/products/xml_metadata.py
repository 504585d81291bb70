"""Metadata in XML: products of DLR's ground segments tell in one file what their images do not.

Read by defusedxml, which refuses entities that would expand without end or fetch something.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.scene import Floats


def read_xml(path: Path) -> Element:
    """The root of an XML file; the last few are kept at hand, since each member asks.

    Raises
    ------
    SceneError
        It cannot be read, is cut short or broken, or holds entities of its own.
    """
    try:
        known = path.stat()
        return _read(path, known.st_mtime_ns, known.st_size)
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise SceneError(
            f"{path} is cut short or broken XML ({error}); get the product again"
        ) from error


@lru_cache(4)
def _read(path: Path, changed: int, size: int) -> Element:
    del changed, size  # a file that has changed is another
    root: Element | None = parse(path).getroot()
    if root is None:
        raise ValueError("no element")
    return root


def text_at(root: Element, place: str) -> str | None:
    """The text of the first element at a place such as `base/level`; None for nothing."""
    found = (root.findtext(place) or "").strip()
    return found or None


def number_at(root: Element, place: str) -> float | None:
    """The number there; None where there is none, or none that is finite."""
    try:
        found = float(text_at(root, place) or "")
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def numbers_of(elements: Iterable[Element], tag: str) -> Floats:
    """The number that each element has under a tag `(n,)`, NaN where it has none."""
    found = [number_at(one, tag) for one in elements]
    return np.array([np.nan if one is None else one for one in found])
