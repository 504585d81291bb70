"""What scenes are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsi_ssl.scenes.names import name_of


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("scene.h5", "scene"),
        ("scene.dat.gz", "scene"),
        ("scene", "scene"),
        ("flight.1.tif", "flight.1"),
        ("flight.1.dat.gz", "flight.1"),
        ("flight.1", "flight.1"),
        ("flight.1.tar.gz", "flight.1"),
        ("PACE_OCI.20240501T101010.L2.SFREFL.V3_0.nc", "PACE_OCI.20240501T101010.L2.SFREFL.V3_0"),
        ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"),
        (".scene.h5", ".scene"),
        (".h5", ".h5"),
        ("scene.tar.7z", "scene"),
    ],
)
def test_an_ending_is_cut_and_numbers_stay(file: str, name: str) -> None:
    assert name_of(Path("some.where") / file) == name
