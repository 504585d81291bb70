"""The scalings by name, a file a family: the choices of `prepare --scaling`.

To add one: a class as `hsi_ssl.datasets.scaling.Scaler` describes it, and a line in `SCALINGS`; in
another package, an entry point in the group `hsi_ssl.scalings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.datasets.scaling import Scaler

HOME = "hsi_ssl.datasets.scalings"
SCALINGS: Registry[type[Scaler]] = Registry(
    "hsi_ssl.scalings",
    "scaling",
    {
        "noise": f"{HOME}.components:NoiseComponents",
        "mnf": f"{HOME}.components:MinimumNoiseFraction",
        "max": f"{HOME}.levels:Maximum",
        "minmax": f"{HOME}.levels:UnitInterval",
        "standard": f"{HOME}.levels:Standard",
        "snv": f"{HOME}.shapes:StandardNormalVariate",
        "continuum": f"{HOME}.shapes:ContinuumRemoved",
        "derivative": f"{HOME}.derivative:Derivative",
        "none": f"{HOME}.levels:AsItIs",
    },
    carried={"resampled": f"{HOME}.resampled:Resampled"},
)
"""What the setting `scaling` of `[prepare]` names; and what `training.transfer` makes."""
