"""HDF-EOS5 says in one text what the axes of its fields are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Cube = np.ndarray
Agrees = Callable[[Scene, Cube], None]


def metadata(kind: str, dims: str) -> str:
    """As the library writes it; another structure with a field of the same name comes first."""
    title = kind.title()

    def structure(number: int, name: str, dims: str) -> str:
        return (
            f'\tGROUP={kind.upper()}_{number}\n\t\t{title}Name="{name}"\n\t\tGROUP=DataField\n'
            f'\t\t\tOBJECT=DataField_1\n\t\t\t\tDataFieldName="toa"\n\t\t\t\tDataType=H5T_FLOAT\n'
            f"\t\t\t\tDimList={dims}\n\t\t\t\tMaxdimList={dims}\n\t\t\tEND_OBJECT=DataField_1\n"
            f"\t\tEND_GROUP=DataField\n\tEND_GROUP={kind.upper()}_{number}\n"
        )

    both = structure(1, "OTHER", '("YDim","XDim","Band")') + structure(2, "HSI", dims)
    return f"GROUP={title}Structure\n{both}END_GROUP={title}Structure\nEND\n"


def write(path: Path, stored: Cube, kind: str, dims: str, *, cut: int = 32_000) -> Path:
    text = metadata(kind, dims).encode()
    with h5py.File(path, "w") as file:
        file[f"HDFEOS/{kind.upper()}S/HSI/Data Fields/toa"] = stored
        for number, start in enumerate(range(0, len(text), cut)):
            part = np.bytes_(text[start : start + cut])
            file[f"HDFEOS INFORMATION/StructMetadata.{number}"] = part
    return path


@pytest.mark.parametrize(
    ("kind", "dims", "axes"),
    [
        ("swath", '("Band","nTrack","nXtrack")', (2, 0, 1)),
        ("swath", '("AlongTrack","Wavelength","CrossTrack")', (0, 2, 1)),
        ("grid", '("XDim","YDim","nBands")', (1, 0, 2)),
        ("grid", '("YDim",\n\t\t\t\t\t"Band",\n\t\t\t\t\t"XDim")', (0, 2, 1)),
    ],
)
@pytest.mark.parametrize("cut", [32_000, 150])
def test_names_of_dimensions(
    tmp_path: Path,
    cube: Cube,
    agrees: Agrees,
    kind: str,
    dims: str,
    axes: tuple[int, ...],
    cut: int,
) -> None:
    path = write(tmp_path / "a.he5", cube.transpose(axes), kind, dims, cut=cut)
    scene = open_scene(path)
    assert scene.origins.axes is not None
    assert "the names of its dimensions" in scene.origins.axes.where
    agrees(scene, cube)


def test_names_that_say_nothing_and_a_text_that_is_none(
    tmp_path: Path, cube: Cube, agrees: Agrees
) -> None:
    path = write(tmp_path / "a.he5", cube, "grid", '("a1","a2","a3")')
    agrees(open_scene(path), cube)
    with h5py.File(path, "r+") as file:
        del file["HDFEOS INFORMATION/StructMetadata.0"]
        file["HDFEOS INFORMATION/StructMetadata.0"] = np.zeros(3)
    agrees(open_scene(path), cube)


@pytest.mark.parametrize("unit", ["um", b"um", np.array(["um"], object), np.array([b"um"])])
def test_attributes_of_one_text_or_an_array_of_one(
    tmp_path: Path, cube: Cube, unit: object
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"], file["wavelength"] = cube, np.linspace(0.4, 2.5, 7)
        file["wavelength"].attrs["units"] = unit
        file["cube"].attrs["units"] = np.array(["reflectance"], object)
    with open_scene(tmp_path / "a.h5") as scene:
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, np.linspace(400, 2500, 7))
        assert (scene.notes, scene.units is not None and scene.units.kind) == ((), "reflectance")
