"""Which array of a file is meant: the one of the right shape, or the one asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hsi_ssl.errors import SceneError, SceneNotFoundError

CUBE = 3
PLANE = 2
KINDS = {
    CUBE: "an array of three dimensions (rows, cols, bands)",
    PLANE: "a label plane of two dimensions (rows, cols)",
}
MOST_NAMED = 12


def choose(
    arrays: Mapping[str, tuple[int, ...]],
    variable: str | None,
    *,
    path: Path,
    dimensions: int,
    shape: tuple[int, int] | None = None,
    texts: Mapping[str, tuple[int, ...]] | None = None,
) -> str:
    """Name of the array meant, among a file's numeric `arrays` (name -> shape).

    Parameters
    ----------
    variable
        The name asked for; None for the only array of `dimensions` dimensions (and, if given, of
        that `shape`) which is no mere vector.
    texts
        Arrays of text, where class names may be meant: numbers go before them.

    Raises
    ------
    SceneNotFoundError
        There is no array of the name asked for.
    SceneError
        The array asked for has another number of dimensions; there is none to choose, or several.
    """
    all_ = {**arrays, **(texts or {})}
    if variable is not None:
        name = variable.strip("/")
        if name not in all_:
            raise SceneNotFoundError(f"{path} holds no {variable}; it holds {_listed(all_)}")
        if len(all_[name]) != dimensions and not _may_be_plane(all_[name], dimensions, shape):
            raise SceneError(
                f"{variable} in {path} has shape {all_[name]}; expected {KINDS[dimensions]}"
            )
        return name
    fit = _fitting(arrays, dimensions, shape) or _fitting(texts or {}, dimensions, shape)
    if not fit:
        fit = {n: found for n, found in all_.items() if _may_be_plane(found, dimensions, shape)}
    if not fit:
        raise SceneError(f"{path} does not hold {KINDS[dimensions]}; it holds {_listed(all_)}")
    if len(fit) > 1:
        raise SceneError(
            f"{path} holds several arrays that could be meant: {_listed(fit)}; choose one with "
            f"--variable{f', or labels as --labels {path}:NAME' if dimensions == PLANE else ''}"
        )
    return next(iter(fit))


def _fitting(
    arrays: Mapping[str, tuple[int, ...]], dimensions: int, shape: tuple[int, int] | None
) -> dict[str, tuple[int, ...]]:
    """Those of so many dimensions that are no mere vectors; of `shape`, where there are such."""
    fit = {
        name: found
        for name, found in arrays.items()
        if len(found) == dimensions and (dimensions == CUBE or min(found) > 1 or found == shape)
    }
    if shape is not None and len(fit) > 1:
        fit = {name: found for name, found in fit.items() if found == shape} or fit
    return fit


def _may_be_plane(found: tuple[int, ...], dimensions: int, shape: tuple[int, int] | None) -> bool:
    """Whether an array of another number of dimensions may be labels of a scene of `shape`."""
    if dimensions != PLANE or shape is None:
        return False
    if sum(size > 1 for size in found) <= 1:
        return max(found, default=0) == shape[0] * shape[1]
    return len(found) == CUBE and shape in {found[:2], found[1:]}


def _listed(arrays: Mapping[str, tuple[int, ...]]) -> str:
    if not arrays:
        return "no numeric array at all"
    names = [f"{name} {shape}" for name, shape in list(arrays.items())[:MOST_NAMED]]
    more = [f"and {len(arrays) - MOST_NAMED} more"] if len(arrays) > MOST_NAMED else []
    return ", ".join(names + more)
