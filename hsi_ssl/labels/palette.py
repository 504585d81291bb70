"""Colours for classes that have none: by what their names mean, else ones that eyes tell apart.

Distances are those of `colour_vision`, the smallest of four kinds of eyes. `FIRST` was found by
annealing so that its first K colours come near the best K that a search finds
(`tests/benchmarks/palettes.py`); the colours of meanings were chosen within the hues that people
expect so that their first shades lie as far apart as such hues can.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hsi_ssl.labels.colour_vision import CLEAR, Floats, distances, nearest_two, seen
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.meanings import shades_of

FIRST = (
    "#770022", "#ffcc44", "#5555dd", "#dd4400", "#44ccff", "#442288",
    "#885577", "#4499dd", "#dd9900", "#998888", "#aabb99", "#aa2200",
)  # fmt: skip
"""What classes get whose names mean nothing here, in this order."""
PAPER = "#d9dde2"
"""What is not classified, on pictures of maps: no class may look like it."""
FROM_PAPER = 0.06
LIGHTNESS = (0.33, 0.9)
LEVELS = 9
SEARCHED = 64
"""Colours that are looked for one by one; of more classes neighbours alone differ clearly."""
NEARLY = 0.09
"""From here on a shade of the right hue is taken: all first shades lie so far apart."""
STILL = 0.05
"""Below this distance a shade of the right hue is no use, and two colours are called alike."""


def distinct_colour(i: int) -> str:
    """The i-th of endlessly many colours `#rrggbb`; the first dozens as far apart as there are."""
    if i < SEARCHED:
        return _ordered()[i]
    hue = (i * 0.618033988749895) % 1.0  # golden angle
    lightness = (0.45, 0.62, 0.33)[(i // 8) % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def colours_for(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Colours `#rrggbb` for classes called so, beside others that are `taken`.

    Names that mean something come first, and get a shade of it while one is left; each of the rest
    gets the first of the order of `distinct_colour` that all eyes tell from the others, or the
    farthest.
    """
    taken = [*taken]
    found: dict[int, str] = {}
    for meant in (True, False):
        for i, name in enumerate(names):
            if i in found:
                continue
            colour = _shade(name, taken) if meant else _free(taken)
            if colour is not None:
                found[i] = colour
                taken.append(colour)
    return [found[i] for i in range(len(names))]


def next_colour(name: str, taken: Sequence[str]) -> str:
    """The colour of one more class, as `colours_for`."""
    return colours_for([name], taken)[0]


def by_meaning(names: Sequence[str]) -> str:
    """Which of these classes are coloured by what their names mean, in words; empty where none."""
    found = [name for name in names if shades_of(name)]
    if not found:
        return ""
    rest = "" if len(found) == len(names) else "; the others are coloured to be told apart"
    return f"colours by what names mean: {listed(found, len(found))}{rest}"


def alike(names: Sequence[str], colours: Sequence[str]) -> str | None:
    """Which two classes not all eyes tell apart by their colours, in words; None where all do."""
    if len(colours) < 2:  # noqa: PLR2004
        return None
    apart, i, j = nearest_two(colours)
    if apart >= STILL:
        return None
    return (
        f"colours of {names[i]} ({colours[i]}) and {names[j]} ({colours[j]}) are hard to tell "
        f"apart, for some colour-blind eyes at least ({apart:.2f} in OKLab; {CLEAR} is clear)"
    )


def _shade(name: str, taken: Sequence[str]) -> str | None:
    """A shade of what a name means, None where it means nothing or all of them are taken."""
    shades = shades_of(name)
    if not shades or len(taken) >= SEARCHED:
        return None
    apart = _apart(shades, taken)
    fit = np.flatnonzero(apart >= NEARLY)
    best = int(fit[0]) if len(fit) else int(apart.argmax())
    return shades[best] if apart[best] >= STILL else None


def _free(taken: Sequence[str]) -> str:
    if len(taken) >= SEARCHED:
        return distinct_colour(len(taken))
    known = _ordered()
    apart = _apart(known, taken)
    clear = np.flatnonzero(apart >= CLEAR)
    return known[int(clear[0]) if len(clear) else int(apart.argmax())]


def _apart(candidates: Sequence[str], taken: Sequence[str]) -> Floats:
    """How far each candidate is from the nearest that is taken."""
    if not taken:
        return np.full(len(candidates), np.inf)
    return np.asarray(distances(_seen(tuple(candidates)), seen(taken)).min(axis=1))


@lru_cache(maxsize=64)
def _seen(colours: tuple[str, ...]) -> Floats:
    return seen(colours)


@lru_cache(maxsize=1)
def _ordered() -> tuple[str, ...]:
    """`FIRST`, then one by one the colour that is farthest from all before it."""
    steps = [round(255 * level / (LEVELS - 1)) for level in range(LEVELS)]
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r in steps for g in steps for b in steps]
    looks = seen(colours)
    light = looks[0, :, 0]
    fit = (light >= LIGHTNESS[0]) & (light <= LIGHTNESS[1])
    fit &= distances(looks, seen([PAPER]))[:, 0] >= FROM_PAPER
    looks, colours = looks[:, fit], [c for c, good in zip(colours, fit, strict=True) if good]
    found = list(FIRST)
    apart = distances(looks, seen(found)).min(axis=1)
    while len(found) < SEARCHED:
        best = int(apart.argmax())
        found.append(colours[best])
        np.minimum(apart, distances(looks, looks[:, [best]])[:, 0], out=apart)
    return tuple(found)
