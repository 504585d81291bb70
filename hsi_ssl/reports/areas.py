"""Areas of classes from a map and the mistakes of its test pixels (Olofsson et al. 2014).

Counting a map's pixels is biased: what is wrongly given to a class need not weigh what is wrongly
taken from it. The confusion matrix of the test pixels says how much of each mapped class is truly
what, and how well that is known.

Olofsson, Foody, Herold, Stehman, Woodcock, Wulder: Good practices for estimating area and assessing
accuracy of land change. Remote Sensing of Environment 148 (2014) 42-57.

A map may have further classes that are no true ones (rejected pixels, say): strata like all others,
in which nothing is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from hsi_ssl.inference.scores import Floats, Ints
from hsi_ssl.reports.metrics import listed, number

Z = float(ndtri(0.975))
"""Standard errors on each side of a 95 % confidence interval."""


@dataclass(frozen=True)
class Areas:
    """Areas of K true classes in pixels of a map of M classes, the first K of which are these.

    Arrays are `(K,)` but for `mapped (M,)`, pixels counted on the map, and `left_out (M,)`: which
    mapped classes no test pixel was taken for; nothing is known of their area: their own is NaN,
    and the others leave it out. `estimated` areas have the standard `error`; `users` and
    `producers` accuracies on the map's area, with `users_error` and `producers_error`, as have
    `oa` and `oa_error`, the overall accuracy on the map's area. Errors are NaN where a mapped
    class has a single test pixel.
    """

    mapped: Ints
    estimated: Floats
    error: Floats
    users: Floats
    users_error: Floats
    producers: Floats
    producers_error: Floats
    oa: float
    oa_error: float
    left_out: npt.NDArray[np.bool_]
    alone: npt.NDArray[np.bool_]
    """Which mapped classes a single test pixel was taken for, `(M,)`: no error can be told."""

    def to_json(self, codes: Sequence[int], hectares: float | None) -> dict[str, Any]:
        """As JSON, in hectares where a pixel's are known, else in pixels; `codes` of the K."""
        size = hectares or 1.0
        return {
            "unit": "pixel" if hectares is None else "ha",
            "oa": number(self.oa),
            "oa_standard_error": number(self.oa_error),
            "classes": [
                {
                    "code": code,
                    "mapped": float(self.mapped[k] * size),
                    "estimated": number(self.estimated[k] * size),
                    "standard_error": number(self.error[k] * size),
                    "users_accuracy": number(self.users[k]),
                    "users_standard_error": number(self.users_error[k]),
                    "producers_accuracy": number(self.producers[k]),
                    "producers_standard_error": number(self.producers_error[k]),
                }
                for k, code in enumerate(codes)
            ],
        }

    def words(self, names: Sequence[str], what: str = "test") -> Iterator[str]:
        """Say in sentences what the estimates do not cover; `names` of the M, `what` pixels."""
        lost = [name for name, out in zip(names, self.left_out, strict=True) if out]
        if lost:
            share = self.mapped[self.left_out].sum() / self.mapped.sum()
            yield (
                f"no {what} pixel was taken for {listed(lost)}, {100 * share:.1f} % of the mapped "
                "area: what is truly there is not known, and the estimated areas leave it out"
            )
        single = [name for name, one in zip(names, self.alone, strict=True) if one]
        if single:
            yield (
                f"a single {what} pixel was taken for {listed(single)}, which tells nothing of how "
                "often that is right: the half-widths of areas, and of the overall accuracy on the "
                f"map's area, are not known; label two {what} pixels or more there"
            )


def estimated_areas(mapped: Ints, confusion: Ints) -> Areas:
    """Estimate areas from pixels mapped `(M,)` and from a confusion matrix `(K, M)`, M >= K.

    Rows of the matrix are true, columns mapped classes, as everywhere here; the paper has it the
    other way round. The mapped classes beyond the first K are no true classes.
    """
    K = len(confusion)
    sample = confusion.T.astype(np.float64)
    n = sample.sum(1)
    used = (n > 0) & (mapped > 0)
    counted = np.where(used, mapped, 0)
    total = counted.sum()
    weight = counted / max(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share_of_row = sample / n[:, None]
        # Equation 4: share of the area mapped as the row and truly of the column's class.
        p = np.where(used[:, None], weight[:, None] * share_of_row, 0.0)
        share = p.sum(0)  # equation 9
        # The terms of the sums of equations 7 and 10.
        spread = (weight**2)[:, None] * share_of_row * (1 - share_of_row) / (n[:, None] - 1)
        spread = np.where(used[:, None], spread, 0.0)
        error = np.sqrt(spread.sum(0))  # equation 10
        users = np.where(n[:K] > 0, np.diagonal(sample) / n[:K], np.nan)  # equation 2
        of_users = users * (1 - users) / (n[:K] - 1)  # equation 6
        producers = np.diagonal(p) / share  # equation 3
        own = np.diagonal(spread)
        of_producers = (1 - producers) ** 2 * own + producers**2 * (spread.sum(0) - own)
        of_producers = of_producers / share**2  # equation 7
        right = np.where(used[:K], own, 0.0)  # equation 5; where nothing is right there is none
    unknown = (mapped > 0) & ~used
    return Areas(
        mapped=mapped,
        estimated=np.where(unknown[:K], np.nan, share * total),  # equation 11
        error=np.where(unknown[:K], np.nan, error * total),
        users=users,
        users_error=np.sqrt(of_users),
        producers=producers,
        producers_error=np.sqrt(of_producers),
        oa=float(np.trace(p)),  # equation 1
        oa_error=float(np.sqrt(right.sum())),
        left_out=unknown,
        alone=used & (n == 1),
    )
