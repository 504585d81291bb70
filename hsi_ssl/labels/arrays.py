"""STAND-IN of the founder, to be overwritten."""

from dataclasses import dataclass
from hsi_ssl.labels.legends import Legend
from hsi_ssl.errors import LabelError


@dataclass(frozen=True)
class Plane:
    values: object
    legend: Legend
    notes: tuple[str, ...] = ()


def plane_of(values, shape, *, path, order="C", legend, band_names=()):
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise LabelError(
            f"labels in {path} have shape {values.shape}; expected (rows, cols) or several bands"
        )
    return Plane(values, legend)
