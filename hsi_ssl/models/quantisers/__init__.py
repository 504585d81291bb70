"""Quantisers by name: many spectra told by a few prototypes among them.

A method is added by a file here and a line in `QUANTISERS`, or by another package's entry point
in the group `hsi_ssl.quantisers` that names a class as `Quantiser` in `base.py` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.models.quantisers.base import Quantiser

QUANTISERS: Registry[type[Quantiser]] = Registry(
    "hsi_ssl.quantisers",
    "quantiser",
    {
        "kohonen": "hsi_ssl.models.quantisers.kohonen:Kohonen",
        "som": "hsi_ssl.models.quantisers.som:SelfOrganisingMap",
        "lvq": "hsi_ssl.models.quantisers.lvq:LVQ",
    },
)
