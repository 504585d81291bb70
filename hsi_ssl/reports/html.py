"""Pages in one file: templates with their style inside, pictures as data, nothing fetched."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.image import imsave

from hsi_ssl import __version__
from hsi_ssl.reports.figures import percent, svg_text

DASH = "\N{EN DASH}"


def page(template: str, **values: Any) -> str:
    """Render a template of `hsi_ssl/reports/templates`; values are escaped unless Markup."""
    return _environment().get_template(template).render(version=__version__, **values)


def inline_svg(figure: Figure) -> Markup:
    """Give a figure drawn with `style(SENTINEL)` as an element of the page."""
    # Only this package's figures come here; matplotlib escapes the texts in them.
    return Markup(svg_text(figure))


def picture_uri(picture: npt.NDArray[np.uint8]) -> str:
    """Give a picture `(rows, cols, 3 or 4)` as a data URI."""
    buffer = io.BytesIO()
    imsave(buffer, picture, format="png", pil_kwargs={"optimize": True})
    return data_uri(buffer.getvalue(), "png")


def data_uri(content: bytes, kind: str) -> str:
    """Give the content of an image file of that kind (png, jpeg) as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hsi_ssl.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "count": lambda n: DASH if n is None else f"{n:,}",
        "counted": counted,
        "short": short,
        "score": score,
        "range": score_range,
        "area": area,
        "wrapping": wrapping,
        "log_ticks": log_ticks,
        "log_place": log_place,
    }
    return environment


def counted(n: int | None, what: str) -> str:
    """Give a number of things: `1 pixel`, `2,000 pixels`."""
    return f"{DASH if n is None else format(n, ',')} {what}{'' if n == 1 else 's'}"


def wrapping(name: str) -> Markup:
    """Let a line break after an underscore, so that long names fit narrow columns."""
    return escape(name).replace("_", Markup("_<wbr>"))


def score(value: float | None) -> str:
    """Give a share in percent without the sign, 83.4; a dash where undefined."""
    return DASH if value is None or math.isnan(value) else f"{100 * value:.1f}"


def score_range(limits: Sequence[float]) -> str:
    """Give the two limits of an interval of shares as percentages without the sign."""
    return f"{score(limits[0])}{DASH}{score(limits[1])}"


def area(value: float | None) -> str:
    """Give an area with three digits at least, and none behind the point from 100 on."""
    if value is None:
        return DASH
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value))) if 0 < value < 100 else 0}f}"  # noqa: PLR2004


def short(count: int) -> str:
    """Give a power of ten in few letters: 100, 10k, 1M."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count // size}{letter}"
    return str(count)


def log_ticks(counts: Sequence[int]) -> list[int]:
    """Powers of ten from 1 to the first that is not below any of the counts."""
    return [10**i for i in range(max(1, math.ceil(math.log10(max(counts)))) + 1)]


def log_place(count: int, top: int) -> float:
    """Place of a count on a logarithmic axis from 1 (0) to `top` (100)."""
    return round(100 * math.log10(count) / math.log10(top), 2)
