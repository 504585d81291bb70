"""What a file of named variables says of a cube among them: axes, bands, unit, place (CF).

One truth for netCDF-3 and Zarr, whose variables have names, dimensions and attributes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from hsi_ssl.scenes.axes import Asked, Decided, Dimension, decide, names_wavelengths, plain_text
from hsi_ssl.scenes.readers.cf_grid import Placed, placed
from hsi_ssl.scenes.readers.choosing import PLANE
from hsi_ssl.scenes.readers.hdf5_metadata import listed
from hsi_ssl.scenes.scene import Array
from hsi_ssl.scenes.units import Units, kind_in, units_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, unit_in

UNIT_NAMES = ("units", "unit", "wavelength_units", "wavelength_unit")
WIDTHS = ("fwhm", "bandwidth", "sensor_band_fwhm")
GOOD = ("bbl", "good", "good_wavelengths", "good_bands", "goodbands")


class Variable(Protocol):
    """A variable of a file; its name is its path there."""

    @property
    def name(self) -> str:
        """With the groups that it lies in, `/` between them."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of its axes, empty where there is none."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As it is stored."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What is said of it."""


V = TypeVar("V", bound=Variable)


@dataclass(frozen=True)
class CfFile(Generic[V]):
    """A file's `variables` by name, its own `attributes`, and how to read the values of one."""

    path: Path
    variables: Mapping[str, V]
    attributes: Mapping[str, Any]
    values: Callable[[V], Array]

    def near(self, variable: Variable, name: str) -> V | None:
        """The variable of that name in the same group as another, or in one around it."""
        groups = variable.name.split("/")[:-1]
        for depth in range(len(groups), -1, -1):
            found = self.variables.get("/".join([*groups[:depth], name]))
            if found is not None:
                return found
        return None

    def group(self, variable: Variable) -> dict[str, V]:
        """The variables in the same group as another, by their own names."""
        folder = variable.name.rpartition("/")[0]
        return {
            name.rpartition("/")[2]: one
            for name, one in self.variables.items()
            if name.rpartition("/")[0] == folder
        }

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Shapes of those that hold numbers."""
        return {
            name: one.shape
            for name, one in self.variables.items()
            if one.dtype.kind in "iuf" and np.prod(one.shape)
        }

    def dimensions(self, variable: Variable) -> list[Dimension]:
        """Its axes, with the numbers and attributes of their coordinates."""
        found = []
        for name, size in zip(variable.dimensions, variable.shape, strict=True):
            own = self.near(variable, name)
            if own is None or own.shape != (size,) or own.dtype.kind not in "iuf":
                found.append(Dimension(size, name))
            else:
                values = self.values(own).astype(np.float64)
                found.append(Dimension(size, name, own.attributes, values))
        return found

    def decided(self, cube: Variable, dimensions: list[Dimension], asked: Asked) -> Decided:
        """Which axis is which.

        Raises
        ------
        SceneError
            As `decide`.
        """
        first, second, third = cube.shape
        vectors = [(one.name, one.shape[0]) for one in self._vectors(cube, dimensions)]
        vectors += [
            (name, size)
            for name, value in (*cube.attributes.items(), *self.attributes.items())
            if names_wavelengths(name) and (size := np.size(listed(value))) > 1
        ]
        planes = {n: v.shape for n, v in self.variables.items() if len(v.shape) == PLANE}
        return decide(
            (first, second, third), asked, of=cube.name, path=self.path, dimensions=dimensions,
            vectors=vectors, planes=planes,
        )  # fmt: skip

    def placed(self, cube: Variable, dimensions: list[Dimension], decided: Decided) -> Placed:
        """Where its pixels lie, by coordinates and by the grid mapping that it names."""
        named = plain_text(cube.attributes.get("grid_mapping", "")).split(":")[0].strip()
        mapping = self.near(cube, named) if named else None
        return placed(dimensions, decided, mapping.attributes if mapping is not None else {})

    def band_facts(
        self, cube: Variable, dimensions: list[Dimension], decided: Decided
    ) -> BandFacts:
        """Wavelengths, widths and bad bands, by variables or attributes."""
        bands = decided.sizes(cube.shape)[2]
        widths, _ = self._beside(cube, bands, WIDTHS)
        good, good_from = self._beside(cube, bands, GOOD)
        centres, units, found_in = None, None, ""
        for variable in self._vectors(cube, dimensions):
            if variable.shape == (bands,):
                centres, units = self.values(variable), _unit(variable.attributes, variable.name)
                found_in = f"the variable {variable.name}"
                break
        else:
            for attributes in (cube.attributes, self.attributes):
                for name, value in attributes.items():
                    if centres is None and names_wavelengths(name):
                        numbers = listed(value)
                        if np.size(numbers) == bands:
                            own = {k: v for k, v in attributes.items() if k.lower() != "units"}
                            centres, units = numbers, _unit(own, name)
                            found_in = f"the attribute {name}"
        return band_facts(
            bands,
            where=self.path.name,
            wavelengths=centres,
            units=units,
            fwhm=widths,
            bad_band_list=None if good is None else np.asarray(good).astype(np.int64),
            wavelengths_from=found_in,
            good_from=good_from,
        )

    def _vectors(self, cube: Variable, dimensions: list[Dimension]) -> list[V]:
        """Variables that hold wavelengths: the cube's own coordinate first."""
        own = {one.name for one in dimensions if one.wavelengths is not None}
        found = [
            variable
            for name, variable in self.group(cube).items()
            if len(variable.shape) == 1 and variable.dtype.kind in "iuf"
            and (name in own or names_wavelengths(name) or _says_wavelength(variable.attributes))
        ]  # fmt: skip
        found += [
            near
            for name in own
            if (near := self.near(cube, name)) is not None and near not in found
        ]
        return sorted(found, key=lambda one: one.name.split("/")[-1] not in cube.dimensions)

    def _beside(
        self, cube: Variable, bands: int, names: tuple[str, ...]
    ) -> tuple[Array | None, str]:
        """Numbers, one a band, of a variable or an attribute of such a name, and which it is."""
        for name, variable in self.group(cube).items():
            if name.lower() in names and variable.shape == (bands,):
                return self.values(variable), f"the variable {variable.name}"
        for name, value in (*cube.attributes.items(), *self.attributes.items()):
            if name.lower() in names and np.size(listed(value)) == bands:
                return np.asarray(listed(value)), f"the attribute {name}"
        return None, ""


def cf_units(cube: Variable, bands: int) -> Units | None:
    """What its numbers mean: `scale_factor`, `add_offset`, and what its texts call them."""
    said = {name.lower(): value for name, value in cube.attributes.items()}
    texts = [said[name] for name in ("units", "long_name", "standard_name") if name in said]
    return units_of(
        bands,
        scale=said.get("scale_factor"),
        offset=said.get("add_offset"),
        kind=kind_in(cube.name.split("/")[-1], *texts),
        source="scale_factor",
    )


def _says_wavelength(attributes: Mapping[str, Any]) -> bool:
    return "radiation_wavelength" in plain_text(attributes.get("standard_name", ""))


def _unit(attributes: Mapping[str, Any], name: str) -> str | None:
    said = {key.lower(): plain_text(value) for key, value in attributes.items()}
    return next((said[key] for key in UNIT_NAMES if key in said), unit_in(name))
