"""A scale bar and an arrow to the north, drawn below the picture of a map."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow, Rectangle

from hsi_ssl.scenes.ground import Ground

INK, PAPER = "#1d2733", "#ffffff"

ROOM = 0.62
"""Inches below the map that bar and arrow need."""
SHARE = 0.3
"""Of the map's width, at most, that the bar takes."""
KILOMETRE = 1000.0


def round_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(n * power for n in (1, 2, 5) if n * power <= most * (1 + 1e-9))


def in_words(metres: float) -> str:
    """A length as people say it: 500 m, 2 km, 5 cm."""
    if metres >= KILOMETRE:
        return f"{metres / KILOMETRE:,.0f} km"
    if metres >= 1:
        return f"{metres:.0f} m"
    return f"{100 * metres:g} cm" if metres >= 0.01 else f"{1000 * metres:g} mm"  # noqa: PLR2004


def draw_ground(
    figure: Figure, ground: Ground, *, cells: int, width: float, left: float, top: float
) -> None:
    """Draw what a picture may say of the ground.

    `cells` of the map lie side by side on `width` inches, from `left`; the room for it begins
    `top` inches above the figure's lower edge.
    """
    wide, tall = figure.get_size_inches()

    def add(x: float, y: float, w: float, h: float, colour: str) -> None:
        figure.add_artist(
            Rectangle(
                (x / wide, y / tall), w / wide, h / tall, facecolor=colour, edgecolor=INK, lw=0.6
            )
        )

    if ground.across is not None:
        metres = round_length(SHARE * cells * ground.across)
        inches = metres / ground.across * width / cells
        add(left, top - 0.2, inches / 2, 0.07, INK)
        add(left + inches / 2, top - 0.2, inches / 2, 0.07, PAPER)
        words = in_words(metres) + ("" if ground.square else " from left to right")
        figure.text(left / wide, (top - 0.28) / tall, words, va="top", fontsize=9)
    if ground.north is not None:
        right, down = ground.north
        x, y = left + width - 0.3, top - 0.3
        figure.add_artist(
            FancyArrow(
                x - 0.13 * right,
                y + 0.13 * down,
                0.26 * right,
                -0.26 * down,
                width=0.012,
                head_width=0.11,
                head_length=0.13,
                length_includes_head=True,
                color=INK,
                transform=figure.dpi_scale_trans,
            )
        )
        figure.text(
            (x + 0.27 * right) / wide,
            (y - 0.27 * down) / tall,
            "N",
            ha="center",
            va="center",
            fontsize=9,
            weight="bold",
        )
