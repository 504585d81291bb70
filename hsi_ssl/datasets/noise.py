"""Noise of each band, measured by its regression on the others that measure by themselves.

A regression takes for noise what no other band tells. Where a band is a copy of another,
interpolated from its neighbours or smoothed with them, the others tell its noise too: they are
left out of its regression here. All is algebra on the covariance matrix of the bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Band = Callable[[int], str]

RIDGE = 1e-10
"""Least ridge on the correlation matrix: rounding of float32 lies below."""
FLOOR = 30
"""No noise below the median divided by this, in units of each band's spread."""
QUIET = 8
"""Times below its neighbours from which a band's noise is suspected to be told by copies."""
EXACT = 1e-9
"""Share of a band's variance below which what others do not tell is rounding."""
JUMP = 3
"""Times by which noise must rise once copies are left out, for them to be copies."""
PARTNERS, PARTIAL, PARTIAL_LAST = 24, 0.01, 0.2
"""Bands left out of one band's regression, at most; squared partial correlation from which one is,
while the band is quiet and once it is no more."""
LIGHT = 1.1
"""Sum of squared weights below which a band is a mean of others."""
SMOOTHED, SMOOTHED_EVERYWHERE = 4, 1.6
"""Variance of differences of neighbours over that of regressions' residuals from which spectra are
smoothed: in most bands around, and in the median of all. Independent noise: 1."""
SMOOTHED_SHARE = 0.3
"""Share of the bands around that may be below that."""
AROUND = 10
"""Bands to each side with which a band is compared."""
NAMED = 12
"""Bands or groups that a sentence names, at most."""
REACH = 16
"""Bands to each side, at most, that are left out of the regression in smoothed spectra."""
LEVEL = 1.1
"""Growth of the noise's variance by leaving out one more neighbour that ends the kernel."""
EXTRA = 4
"""Windows are wider than that by one in so many, for the ends of long kernels."""
BANDS_LEAST = 16
"""Fewer bands tell nothing of smoothing."""


@dataclass(frozen=True)
class Noise:
    """Noise of each band in raw units, and which bands do not measure independently."""

    sd: Floats
    """Standard deviation of the noise that each band holds, `(bands,)`; 0 for constant bands."""
    independent: Floats
    """Noise of the independent measurement that a band is worth `(bands,)`, at least `sd`.

    Divided by it, features that are broader than the dependence have noise of one, and no band
    counts for more than it tells: k copies count as one band. In smoothed spectra it is the noise
    before smoothing.
    """
    copies: tuple[tuple[int, ...], ...] = ()
    """Groups of bands that are the same up to factor and offset."""
    interpolated: tuple[int, ...] = ()
    """Bands that few others determine."""
    smoothed: Bools | None = None
    """Bands whose noise is smoothed along wavelength `(bands,)`; None: none is."""
    reach: int = 0
    """Neighbours to each side that share their noise, in smoothed spectra."""

    def sentences(self, band: Band = lambda b: str(b + 1)) -> list[str]:
        """What a user should know, for a watcher; `band` names a band."""
        told = []
        if self.copies:
            groups = [" = ".join(map(band, group[:NAMED])) for group in self.copies]
            told.append(f"bands that are copies of each other, counted as one: {_listed(groups)}")
        if self.interpolated:
            told.append(
                "bands that are interpolated or averaged from others, counted for no more than "
                f"those measure: {_listed(list(map(band, self.interpolated)))}"
            )
        if self.smoothed is not None:
            where = "" if self.smoothed.all() else f" in {np.count_nonzero(self.smoothed)} bands"
            told.append(
                f"spectra were smoothed or resampled to finer bands{where}: noise is shared over "
                f"up to {self.reach} bands to each side, and is taken as it was before"
            )
        return told


def measure_noise(covariance: Floats, n: int) -> Noise:
    """Noise of each band, from the covariance `(bands, bands)` of n spectra.

    The residual of the band's linear regression on all other bands (Roger & Arnold 1996;
    Bioucas-Dias & Nascimento 2008, algorithm 1). With P the inverse of the correlation matrix R
    of n pixels, row j of P / P_jj applied to a standardised spectrum is that residual, so its
    variance is (P R P)_jj / P_jj^2, times n - 1 over the degrees of freedom left. A ridge makes R
    regular; it grows where pixels are so few that the regression would use up more than half of
    their degrees of freedom.

    Of a group G of bands regressed on all bands but G, the residuals are inv(P_GG) P_G, with
    covariance inv(P_GG) (P R P)_GG inv(P_GG). So a band's own row of it, for a group that holds
    all bands that share its noise, has the variance of its noise and the covariance with each.

    Smoothed spectra: differences (-1, 2, -1) / 2 of neighbours at distance one or two, of the
    residuals of a window, are noise at high frequencies. Of independent noise they hold as much
    as the regression on all bands leaves; of smoothed noise far more, since that regression finds
    the combination of neighbours that smoothing has left almost without noise. Each band is then
    regressed on those beyond a window, as wide as leaving more out still adds to the noise.

    Copies: a band many times quieter than those around leaves out of its regression, one after
    another, the band of largest partial correlation, until it is so no more.

    A band's independent noise is its sd times the root of the sum of the correlations of its
    noise with others': the spectral density at frequency zero.
    """
    spread = np.sqrt(covariance.diagonal())
    varies = np.flatnonzero(spread > 0)
    if not len(varies):
        return Noise(np.zeros_like(spread), np.zeros_like(spread), (), (), None, 0)
    correlation = covariance[np.ix_(varies, varies)] / np.outer(spread[varies], spread[varies])
    regressions, loss = _regressions(correlation, n)
    bands = len(varies)
    own = regressions.own()
    groups = [np.array([b]) for b in range(bands)]
    smoothed, reach = np.zeros(bands, bool), 0
    if bands >= BANDS_LEAST:
        smoothed = regressions.smoothed(own)
        if smoothed.any():
            reach = regressions.reach(np.flatnonzero(smoothed))
            for b in map(int, np.flatnonzero(smoothed)):
                groups[b] = _window(b, reach, bands)
                own[b] = regressions.left(groups[b], b)[0]
    usual = (_running(own, 0.5) / QUIET**2).clip(min=EXACT)
    quiet = [int(b) for b in np.flatnonzero(own < usual)]
    measured = own.copy()
    for b in quiet:
        group, variance = regressions.without_copies(b, groups[b], usual[b])
        if variance < usual[b]:
            # Copies that determine each other hide what each tells of b: all that are alike go.
            others = sorted(set(quiet) - {b}, key=lambda c: -abs(correlation[b, c]))
            group = np.union1d(groups[b], [b, *others[:PARTNERS]])
            variance = regressions.left(group, b)[0]
        if variance > max(JUMP**2 * own[b], usual[b]):
            groups[b], measured[b] = group, variance
    shared = [b for b in range(bands) if len(groups[b]) > 1]
    worth = np.ones(bands)
    for b in shared:
        row = regressions.left(groups[b], b)[1] / np.sqrt(measured[b] * measured[groups[b]])
        row = row.clip(-1, 1)
        worth[b] = max(1.0, row.sum() if smoothed[b] and b not in quiet else np.abs(row).sum())
    relative = np.sqrt(measured * loss)
    relative = relative.clip(min=max(np.median(relative) / FLOOR, 1e-6))
    sd, independent = np.zeros_like(spread), np.zeros_like(spread)
    sd[varies] = spread[varies] * relative
    independent[varies] = sd[varies] * np.sqrt(worth)
    dependent = [b for b in quiet if len(groups[b]) > 1]
    copies = _copies(dependent, groups, correlation, measured)
    copied = {b for group in copies for b in group}
    interpolated = [b for b in dependent if b not in copied and regressions.averages(b, groups[b])]
    whole = np.zeros(len(spread), bool)
    whole[varies] = smoothed
    return Noise(
        sd,
        independent,
        tuple(tuple(int(varies[b]) for b in group) for group in copies),
        tuple(int(varies[b]) for b in interpolated),
        whole if smoothed.any() else None,
        reach,
    )


@dataclass(frozen=True)
class _Regressions:
    """Residuals of groups of bands regressed on all others; standardised bands."""

    precision: Floats
    """P, `(bands, bands)`."""
    middle: Floats
    """P R P, `(bands, bands)`."""

    def own(self) -> Floats:
        """Variance of each band's residual on all others `(bands,)`."""
        found: Floats = self.middle.diagonal() / self.precision.diagonal() ** 2
        return found

    def residuals(self, group: npt.NDArray[np.intp]) -> Floats:
        """Covariance of the residuals of `group (..., k)` on all other bands `(..., k, k)`."""
        at = group[..., :, None], group[..., None, :]
        inverse = np.linalg.inv(self.precision[at])
        found: Floats = inverse @ self.middle[at] @ inverse
        return found

    def left(self, group: npt.NDArray[np.intp], band: int) -> tuple[float, Floats]:
        """Variance of one band of `group`, and its covariance with each of the group."""
        at = int(np.flatnonzero(group == band)[0])
        row: Floats = self.residuals(group)[at]
        return float(row[at]), row

    def smoothed(self, own: Floats) -> Bools:
        """Which bands lie where differences of neighbours exceed what regressions leave."""
        bands = len(own)
        wide = min(AROUND - 2, bands // 6)
        scale = np.sqrt(own.clip(min=RIDGE))
        inner = np.arange(2, bands - 2)
        starts = (inner - wide).clip(0, bands - 2 * wide - 1)
        windows = starts[:, None] + np.arange(2 * wide + 1)
        covariances = self.residuals(windows) / (
            scale[windows][:, :, None] * scale[windows][:, None]
        )
        ratio = np.pad(_second_differences(covariances, inner - starts), 2, mode="edge")
        most = SMOOTHED_EVERYWHERE if np.median(ratio) > SMOOTHED_EVERYWHERE else SMOOTHED
        # A few bands that are interpolated are no smoothing: most around must be.
        found: Bools = _running(ratio, SMOOTHED_SHARE) > most
        from scipy import ndimage  # slow to import

        near: Bools = ndimage.maximum_filter1d(found, 2 * AROUND + 1, mode="constant")
        return found | (near & (ratio > most))

    def reach(self, bands: npt.NDArray[np.intp]) -> int:
        """Neighbours to each side that share the noise of `bands`: leaving more out adds none."""
        total = len(self.precision)
        some = bands[:: max(1, len(bands) // 40)]
        most = max(2, min(REACH, total // 6))
        before = None
        for wide in range(most + 1):
            now = np.array([self.left(_window(b, wide, total), b)[0] for b in some])
            if before is not None and np.median(now / before) < LEVEL and wide > 1:
                return min(most, wide + wide // EXTRA)
            before = now
        return most

    def without_copies(
        self, band: int, group: npt.NDArray[np.intp], usual: float
    ) -> tuple[npt.NDArray[np.intp], float]:
        """`group` with the bands that determine `band`, and the variance that they leave.

        `usual`: variance below which it is still suspected to be determined.
        """
        members = list(group)
        variance = 0.0
        for _ in range(PARTNERS + 1):
            others = [b for b in members if b != band]
            P = self.precision
            row, diagonal = P[band], P.diagonal()
            if others:
                part = P[others]
                solved = np.linalg.solve(P[np.ix_(others, others)], part)
                row = row - P[band, others] @ solved
                diagonal = diagonal - (part * solved).sum(axis=0)
            partial = row**2 / (row[band] * diagonal.clip(min=1e-12))
            partial[members] = 0
            variance = self.left(np.array(members), band)[0]
            best = int(partial.argmax())
            enough = PARTIAL if variance < usual else PARTIAL_LAST
            if partial[best] < enough:
                break
            members.append(best)
        return np.array(members), variance

    def averages(self, band: int, group: npt.NDArray[np.intp]) -> bool:
        """Whether `band` is a mean of others in `group` rather than one of what a mean is of.

        Weights of a mean are below one, those of what solves for one of its terms above.
        """
        others = group[group != band]
        weights = self.precision[band, others] / self.precision[band, band]
        return float((weights**2).sum()) < LIGHT


def _regressions(correlation: Floats, n: int) -> tuple[_Regressions, float]:
    """Regressions, and n - 1 over the degrees of freedom that they leave."""
    values, vectors = np.linalg.eigh(correlation)
    values = values.clip(min=0)
    ridges = np.geomspace(RIDGE / 100, 10 * len(values), 200)
    freedoms = (values / (values + ridges[:, None])).sum(axis=1)
    fits = np.flatnonzero(freedoms <= max(1, n - 1) / 2)
    ridge, freedom = (ridges[fits[0]], freedoms[fits[0]]) if len(fits) else (ridges[-1], 0.0)
    ridge = max(ridge, RIDGE)
    precision = (vectors / (values + ridge)) @ vectors.T
    middle = (vectors * (values / (values + ridge) ** 2)) @ vectors.T
    return _Regressions(precision, middle), (n - 1) / max(1.0, n - freedom)


def _window(band: int, wide: int, bands: int) -> npt.NDArray[np.intp]:
    """`wide` bands to each side of `band`, and itself."""
    return np.arange(max(0, band - wide), min(bands, band + wide + 1))


def _second_differences(covariances: Floats, at: npt.NDArray[np.intp]) -> Floats:
    """Variance of (-1, 2, -1) / 2 around `at` of each window, the larger of distance 1 and 2.

    From covariances `(n, k, k)`; 1 for independent noise of variance 1.
    """
    rows = np.arange(len(at))
    found = []
    for step in (1, 2):
        weights = np.zeros(covariances.shape[:2])
        for place, weight in ((at - step, -0.5), (at, 1), (at + step, -0.5)):
            weights[rows, place] = weight
        variance = np.einsum("ni,nij,nj->n", weights, covariances, weights, optimize=True)
        found.append(variance / (weights**2).sum(axis=1))
    larger: Floats = np.maximum(found[0], found[1])
    return larger


def _running(numbers: Floats, share: float) -> Floats:
    """Quantile of `AROUND` to each side of each of `numbers (n,)`, as many in all at the ends."""
    if len(numbers) <= 2 * AROUND + 1:
        return np.full(len(numbers), np.quantile(numbers, share))
    windows = np.lib.stride_tricks.sliding_window_view(numbers, 2 * AROUND + 1)
    found: Floats = np.pad(np.quantile(windows, share, axis=1), AROUND, mode="edge")
    return found


def _copies(
    dependent: Sequence[int],
    groups: Sequence[npt.NDArray[np.intp]],
    correlation: Floats,
    noise: Floats,
) -> list[tuple[int, ...]]:
    """Groups among bands that others determine in which one alone determines the other."""
    group_of: dict[int, set[int]] = {}
    for b in dependent:
        for other in groups[b]:
            unlike = 1 - correlation[b, other] ** 2
            if other != b and unlike * QUIET**2 < max(noise[b], QUIET**2 * RIDGE):
                joint = group_of.get(b, {b}) | group_of.get(int(other), {int(other)})
                for member in joint:
                    group_of[member] = joint
    return sorted({tuple(sorted(int(b) for b in group)) for group in group_of.values()})


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
