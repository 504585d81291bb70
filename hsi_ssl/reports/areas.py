"""Areas of classes from a map and the mistakes of its test pixels (Olofsson et al. 2014).

Counting a map's pixels is biased: what is wrongly given to a class need not weigh what is wrongly
taken from it. The confusion matrix of the test pixels says how much of each mapped class is truly
what, and how well that is known.

Olofsson, Foody, Herold, Stehman, Woodcock, Wulder: Good practices for estimating area and assessing
accuracy of land change. Remote Sensing of Environment 148 (2014) 42-57.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from hsi_ssl.reports.metrics import Floats, Ints, listed, number

Z = float(norm.ppf(0.975))
"""Standard errors on each side of a 95 % confidence interval."""


@dataclass(frozen=True)
class Areas:
    """Areas of K classes in pixels of the map, each array `(K,)`.

    `mapped`: counted on the map; `estimated` with its standard `error`, NaN where a mapped class
    has a single test pixel; `users` and `producers`: accuracies on the map's area. `oa` and
    `oa_error`: overall accuracy on the map's area. `left_out`: which mapped classes no test pixel
    was taken for; nothing is known of their area: their own is NaN, and the others leave it out.
    """

    mapped: Ints
    estimated: Floats
    error: Floats
    users: Floats
    producers: Floats
    oa: float
    oa_error: float
    left_out: npt.NDArray[np.bool_]

    def to_json(self, codes: Sequence[int], hectares: float | None) -> dict[str, Any]:
        """As JSON, in hectares where a pixel's are known, else in pixels."""
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
                    "producers_accuracy": number(self.producers[k]),
                }
                for k, code in enumerate(codes)
            ],
        }

    def words(self, names: Sequence[str]) -> Iterator[str]:
        """Say in sentences what the estimates do not cover."""
        lost = [name for name, out in zip(names, self.left_out, strict=True) if out]
        if lost:
            share = self.mapped[self.left_out].sum() / self.mapped.sum()
            yield (
                f"no test pixel was taken for {listed(lost)}, {100 * share:.1f} % of the mapped "
                "area: what is truly there is not known, and the estimated areas leave it out"
            )


def estimated_areas(mapped: Ints, confusion: Ints) -> Areas:
    """Estimate areas from pixels mapped `(K,)` and from a confusion matrix `(K, K)`.

    Rows of the matrix are true, columns mapped classes, as everywhere here; the paper has it the
    other way round.
    """
    sample = confusion.T.astype(np.float64)
    n = sample.sum(1)
    used = (n > 0) & (mapped > 0)
    total = mapped[used].sum()
    weight = np.where(used, mapped, 0) / max(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Equation 4: share of the area mapped as the row and truly of the column's class.
        p = np.where(used[:, None], weight[:, None] * sample / n[:, None], 0.0)
        share = p.sum(0)  # equation 9
        spread = np.where(used[:, None], (weight[:, None] * p - p**2) / (n[:, None] - 1), 0.0)
        error = np.sqrt(spread.sum(0))  # equation 10
        users = np.where(n > 0, np.diag(sample) / n, np.nan)  # equation 2
        producers = np.diag(p) / share  # equation 3
        of_row = np.where(used, weight**2 * users * (1 - users) / (n - 1), 0.0)  # equation 5
    unknown = (mapped > 0) & ~used
    return Areas(
        mapped=mapped,
        estimated=np.where(unknown, np.nan, share * total),  # equation 11
        error=np.where(unknown, np.nan, error * total),
        users=users,
        producers=producers,
        oa=float(np.trace(p)),  # equation 1
        oa_error=float(np.sqrt(of_row.sum())),
        left_out=unknown,
    )
