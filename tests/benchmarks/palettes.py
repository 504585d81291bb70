"""How far apart K colours can look to all eyes: the package's, and the best that a search finds.

    python tests/benchmarks/palettes.py --most 18
    python tests/benchmarks/palettes.py --own     # colours of figures and pages themselves

Candidates are colours on a grid of 16 levels a channel that show on white and on what is not
classified. The search begins at random, adds colours far from those chosen, and exchanges one of
the nearest two while that helps; it proves nothing, so the true best may be somewhat higher.
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from hsi_ssl.labels.colour_vision import CLEAR, Floats, distances, nearest_two, seen
from hsi_ssl.labels.palette import LIGHTNESS, PAPER, distinct_colour
from hsi_ssl.masks.codes import COLOURS
from hsi_ssl.reports.figures import BLUE, GREY, LINES, ORANGE, PART_COLOURS

REPORT = Path(str(files("hsi_ssl.reports"))) / "templates/style.css"
VIEW = Path(str(files("hsi_ssl.view"))) / "static/view.css"
LEVELS = 16
FROM_PAPER = 0.09
SLACK = 0.9


def candidates() -> Floats:
    """Distances between all candidates `(n, n)`, infinite from one to itself."""
    steps = np.linspace(0, 255, LEVELS).round().astype(int).tolist()
    looks = seen([f"#{r:02x}{g:02x}{b:02x}" for r in steps for g in steps for b in steps])
    light = looks[0, :, 0]
    fit = (light >= LIGHTNESS[0]) & (light <= LIGHTNESS[1])
    looks = looks[:, fit & (distances(looks, seen([PAPER]))[:, 0] >= FROM_PAPER)]
    apart = np.concatenate([distances(looks[:, [i]], looks) for i in range(looks.shape[1])])
    np.fill_diagonal(apart, np.inf)
    return apart


def best_of(apart: Floats, count: int, tries: int, rng: np.random.Generator) -> float:
    """The largest smallest distance of `count` candidates that was found."""
    top = 0.0
    for _ in range(tries):
        chosen = [int(rng.integers(len(apart)))]
        near = apart[chosen[0]].copy()
        while len(chosen) < count:
            there = np.where(np.isinf(near), -1, near)
            there[chosen] = -1
            chosen.append(int(rng.choice(np.flatnonzero(there >= SLACK * there.max()))))
            near = np.minimum(near, apart[chosen[-1]])
        top = max(top, _exchanged(apart, np.array(chosen)))
    return top


def _exchanged(apart: Floats, chosen: np.ndarray) -> float:
    while True:
        among = apart[np.ix_(chosen, chosen)]
        least = float(among.min())
        for out in np.unravel_index(int(among.argmin()), among.shape):
            rest = np.delete(chosen, out)
            there = apart[:, rest].min(axis=1)
            there[rest] = -1
            if there.max() > least + 1e-6:
                chosen = np.append(rest, there.argmax())
                break
        else:
            return least


def own() -> dict[str, list[str]]:
    """Colours that figures and pages put beside each other, whatever classes there are."""
    found = {
        "curves of figures": list(LINES),
        "training and validation": [BLUE, ORANGE],
        "macro-F1 and accuracy over epochs": [ORANGE, GREY, BLUE],
        "parts of a dataset": list(PART_COLOURS),
        "masks": list(COLOURS.values()),
    }
    for sight in ("light", "dark"):
        report, view = (variables(path)[sight == "dark"] for path in (REPORT, VIEW))
        found[f"right and wrong in a confusion matrix, {sight} page"] = [
            report["accent"],
            report["test"],
            report["empty"],
        ]
        found[f"spectra of `view`, {sight} page"] = [view["ink"], view["accent"], view["card"]]
    return found


def variables(style: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Colours that a style sheet names, on a light page and on a dark one."""
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style.read_text(encoding="utf-8"), re.S)[:2]
    )
    return light, {**light, **dark}


def main() -> None:
    """Print the table of reports/colours.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=18)
    parser.add_argument("--tries", type=int, default=150)
    parser.add_argument("--own", action="store_true")
    asked = parser.parse_args()
    if asked.own:
        print("| colours | how many | nearest two |\n|---|---|---|")
        for name, colours in own().items():
            print(f"| {name} | {len(colours)} | {nearest_two(colours)[0]:.3f} |")
        return
    apart, rng = candidates(), np.random.default_rng(0)
    print("| classes | these colours | best found |\n|---|---|---|")
    for count in range(2, asked.most + 1):
        ours = nearest_two([distinct_colour(i) for i in range(count)])[0]
        best = best_of(apart, count, asked.tries, rng)
        print(f"| {count} | {ours:.3f} | {best:.3f}{'' if best >= CLEAR else ' (not clear)'} |")


if __name__ == "__main__":
    main()
