"""What a reader knows of a scene, it knows from somewhere, and says from where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
from rasterio.transform import Affine
from scipy.io import netcdf_file

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

CUBE = np.arange(1, 4 * 5 * 3 + 1, dtype=np.int16).reshape(4, 5, 3)
PLACE = {"crs": "EPSG:32633", "transform": Affine(30, 0, 1000, 0, -30, 2000)}
TAGS = [{"wavelength": 400 + band, "wavelength_units": "nm", "bbl": int(band != 2)} for band in
        (1, 2, 3)]  # fmt: skip

Make = Callable[[Path], Path]


def geotiff(path: Path, **more: object) -> Path:
    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 3, "dtype": "int16"} | more
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(CUBE.transpose(2, 0, 1))
    return path


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def tagged(folder: Path) -> Path:
    path = geotiff(folder / "a.tif", nodata=-9, **PLACE)
    with rasterio.open(path, "r+") as dataset:
        for band, tags in enumerate(TAGS, start=1):
            dataset.update_tags(band, **tags)
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2022-07-24T10:30:02Z")
    return path


def tagged_beside(folder: Path) -> Path:
    path = geotiff(folder / "a.tif")
    path.chmod(0o444)
    bands = "".join(
        f'<PAMRasterBand band="{band}"><NoDataValue>-9</NoDataValue><Scale>0.5</Scale><Metadata>'
        + "".join(f'<MDI key="{key}">{value}</MDI>' for key, value in tags.items())
        + "</Metadata></PAMRasterBand>"
        for band, tags in enumerate(TAGS, start=1)
    )
    Path(f"{path}.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32633</SRS><GeoTransform>1000, 30, 0, 2000, 0, -30</GeoTransform>"
        f"{bands}</PAMDataset>"
    )
    return path


def by_world_file(folder: Path) -> Path:
    (folder / "a.tfw").write_text("30\n0\n0\n-30\n1015\n1985\n")
    return geotiff(folder / "a.tif")


def in_imagery(folder: Path) -> Path:
    path = geotiff(folder / "a.tif")
    with rasterio.open(path, "r+") as dataset:
        for band in dataset.indexes:
            dataset.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"0.40{band}")
    return path


def with_domain_envi(folder: Path) -> Path:
    path = geotiff(folder / "a.tif")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="ENVI", wavelength="{401, 402, 403}", wavelength_units="nm",
                            acquisition_time="2022-07-24T10:30:02")  # fmt: skip
    return path


def header(*more: str) -> str:
    plain = ("ENVI", "samples = 5", "lines = 4", "bands = 3", "data type = 2", "byte order = 0")
    return "\n".join((*plain, *more)) + "\n"


def envi(folder: Path) -> Path:
    CUBE.transpose(0, 2, 1).tofile(folder / "a.img")
    (folder / "a.hdr").write_text(
        header(
            "interleave = bil", "data ignore value = -9", "wavelength = {0.401, 0.402, 0.403}",
            "wavelength units = Micrometers", "bbl = {1, 0, 1}", "data gain values = {2, 2, 2}",
            "acquisition time = 2022-07-24T10:30:02Z",
            "map info = {UTM, 1, 1, 1000, 2000, 30, 30, 33, North, WGS-84}",
        )
    )  # fmt: skip
    return folder / "a.img"


def envi_through_a_link(folder: Path) -> Path:
    path = envi(folder)
    (folder / "a.hdr").write_text((folder / "a.hdr").read_text() + "; a comment\n")
    return path


def companion(folder: Path) -> Path:
    (folder / "a.hdr").write_text(header("wavelength = {401, 402, 403}"))
    return geotiff(folder / "a.tif")


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["cube"], file["wavelengths_nm"] = CUBE, np.array([401.0, 402, 403])
        file["cube"].attrs.update(
            {"_FillValue": np.int16(-9), "valid_range": np.array([0, 99], "i2"),
             "scale_factor": 0.5, "bbl": [1, 0, 1]}
        )  # fmt: skip
        file.attrs["time_coverage_start"] = "2022-07-24T10:30:02Z"
    return folder / "a.h5"


def said(of: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(of, name, value)


def netcdf3(folder: Path) -> Path:
    with netcdf_file(folder / "a.nc", "w") as file:
        for name, values, unit in (
            ("wavelength", [401.0, 402, 403], "nm"),
            ("y", 1985 - 30.0 * np.arange(4), "m"),
            ("x", 1015 + 30.0 * np.arange(5), "m"),
        ):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = values
            said(variable, units=unit)
        wkt = rasterio.crs.CRS.from_epsg(32633).to_wkt()
        said(file.createVariable("crs", "i4", ()), spatial_ref=wkt)
        cube = file.createVariable("reflectance", "i2", ("wavelength", "y", "x"))
        said(cube, grid_mapping="crs", missing_value=np.int16(-9), scale_factor=0.5)
        cube[:] = CUBE.transpose(2, 0, 1)
        said(file, time_coverage_start="2022-07-24T10:30:02Z")
    return folder / "a.nc"


def matlab(folder: Path) -> Path:
    scipy.io.savemat(folder / "a.mat", {"cube": CUBE, "wavelength_um": [0.401, 0.402, 0.403]})
    return folder / "a.mat"


def archive(folder: Path) -> Path:
    np.savez(folder / "a.npz", cube=CUBE, wavelengths=np.array([401.0, 402, 403]))
    return folder / "a.npz"


def array(folder: Path) -> Path:
    np.save(folder / "a.npy", CUBE)
    return folder / "a.npy"


def idx(folder: Path) -> Path:
    path = folder / "a-idx3-ubyte"
    path.write_bytes(b"\0\0\x08\x03" + np.array([4, 1, 5], ">u4").tobytes() + bytes(range(20)))
    return path


ALL = (tagged, tagged_beside, by_world_file, in_imagery, with_domain_envi, envi,
       envi_through_a_link, companion, hdf5, netcdf3, matlab, archive, array, idx)  # fmt: skip


@pytest.mark.parametrize("make", ALL)
def test_no_fact_without_an_origin_and_no_origin_without_a_fact(tmp_path: Path, make: Make) -> None:
    with open_scene(make(tmp_path)) as scene:
        origins = scene.origins
        assert origins.axes is not None
        for fact, origin in (
            (scene.wavelengths_nm, origins.wavelengths),
            (None if scene.good.all() else scene.good, origins.bad_bands),
            (scene.nodata, origins.nodata or origins.mask),
            (scene.grid.crs, origins.crs),
            (scene.grid.transform, origins.transform),
            (scene.acquired, origins.acquired),
        ):
            assert (fact is None) == (origin is None)


def told(scene: Scene) -> dict[str, str]:
    return {name: str(origin) for name, origin in vars(scene.origins).items() if origin}


ALONE = "from their order alone, which nothing contradicts (rows,cols,bands), guessed"
AUX = "in the .aux.xml beside it"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            tagged,
            {
                "wavelengths": "from the tags `wavelength` of the bands (in nm)",
                "bad_bands": "from the tags `bbl` of the bands",
                "nodata": "from the raster's nodata value (tag GDAL_NODATA)",
                "crs": "from the GeoTIFF keys",
                "transform": "from the GeoTIFF keys",
                "acquired": "from `ACQUISITIONDATETIME` in GDAL's domain IMAGERY",
            },
        ),
        (
            tagged_beside,
            {
                "wavelengths": f"from the tags `wavelength` of the bands {AUX} (in nm)",
                "nodata": f"from the nodata value {AUX}",
                "crs": f"from the coordinate system {AUX}",
                "transform": f"from the transform {AUX}",
            },
        ),
        (by_world_file, {"transform": "from the world file a.tfw"}),
        (
            in_imagery,
            {"wavelengths": "from `CENTRAL_WAVELENGTH_UM` in GDAL's domain IMAGERY (in um)"},
        ),
        (
            with_domain_envi,
            {
                "wavelengths": "from the field `wavelength` of its domain ENVI (in nm)",
                "acquired": "from the field `acquisition time` of its domain ENVI",
            },
        ),
        (
            envi,
            {
                "axes": "from the field `interleave` of the header (bil)",
                "wavelengths": "from the field `wavelength` of the header (in Micrometers)",
                "bad_bands": "from the field `bbl` of the header",
                "nodata": "from the field `data ignore value` of the header",
                "crs": "from the field `map info` of the header",
                "transform": "from the field `map info` of the header",
                "acquired": "from the field `acquisition time` of the header",
            },
        ),
        (envi_through_a_link, {"crs": "from the field `map info` of the header"}),
        (companion, {"wavelengths": "from the field `wavelength` of a.hdr (no unit), guessed"}),
        (
            hdf5,
            {
                "axes": "from the length of wavelengths_nm (rows,cols,bands)",
                "wavelengths": "from the array wavelengths_nm (in nm)",
                "bad_bands": "from the attribute bbl of /cube",
                "nodata": "from the attribute _FillValue and the attribute valid_range",
                "acquired": "from the attribute time_coverage_start",
            },
        ),
        (
            netcdf3,
            {
                "axes": "from the names of its dimensions, wavelength, y, x (bands,rows,cols)",
                "wavelengths": "from the variable wavelength (in nm)",
                "nodata": "from the attribute missing_value and netCDF's default fill value of "
                "int16",
                "crs": "from the attribute spatial_ref of its grid mapping",
                "transform": "from the coordinates y and x",
                "acquired": "from the attribute time_coverage_start",
            },
        ),
        (matlab, {"wavelengths": "from the array wavelength_um (in um)"}),
        (
            archive,
            {"wavelengths": "from the array wavelengths (no unit), guessed"},
        ),
        (
            array,
            {"axes": ALONE},
        ),
    ],
)
def test_what_says_so(tmp_path: Path, make: Make, expected: dict[str, str]) -> None:
    with open_scene(make(tmp_path)) as scene:
        found = told(scene)
        assert {name: found[name] for name in expected} == expected
        if scene.acquired is not None:
            assert scene.acquired == datetime(2022, 7, 24, 10, 30, 2, tzinfo=UTC)


def test_the_user_says_so(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("wavelength_nm,bbl\n401,1\n402,0\n403,1\n")
    with open_scene(
        array(tmp_path), wavelengths=tmp_path / "w.csv", axes="cols,rows,bands"
    ) as scene:
        found = told(scene)
    assert found["wavelengths"] == "from the column wavelength_nm of w.csv (in nm)"
    assert found["bad_bands"] == "from the column bbl of w.csv"
    assert found["axes"] == "from --axes (cols,rows,bands)"


@pytest.mark.parametrize("where", ["beside", "inside", "alpha", "tag"])
def test_what_hides_pixels(tmp_path: Path, where: str) -> None:
    path = geotiff(tmp_path / "a.tif", dtype="uint8")
    if where == "alpha":
        profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 4, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(np.full((3, 4, 5), 7, np.uint8), [1, 2, 3])
            dataset.write(np.uint8(255) * (np.arange(20).reshape(4, 5) > 3), 4)
    elif where == "tag":
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(NODATA_VALUES="1 2 3")
    else:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=where == "inside"):
            with rasterio.open(path, "r+") as dataset:
                dataset.write_mask(np.arange(20).reshape(4, 5) > 3)
    with open_scene(path) as scene:
        assert (
            told(scene)["mask"]
            == {
                "beside": "from the mask file beside it (.msk)",
                "inside": "from the mask in the file",
                "alpha": "from band 4, which is transparency",
                "tag": "from the tag NODATA_VALUES, of values that together are nothing",
            }[where]
        )


def contradicting(folder: Path, driver: str) -> Path:
    """A raster and an `.aux.xml` beside it that say different things of the same."""
    path = folder / {"GTiff": "a.tif", "ENVI": "a.img", "PNG": "a.png"}[driver]
    profile: dict[str, Any] = {"height": 4, "width": 5, "count": 3, "dtype": "int16"}
    profile |= {"count": 1, "dtype": "uint8"} if driver == "PNG" else {"nodata": -9, **PLACE}
    with rasterio.open(path, "w", driver=driver, **profile) as dataset:
        dataset.write(np.ones((profile["count"], 4, 5), profile["dtype"]))
    if driver == "PNG":
        (folder / "a.pgw").write_text("7\n0\n0\n-7\n1015\n1985\n")
    bands = "".join(
        f'<PAMRasterBand band="{band}"><NoDataValue>7</NoDataValue></PAMRasterBand>'
        for band in range(1, profile["count"] + 1)
    )
    Path(f"{path}.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32632</SRS><GeoTransform>1, 3, 0, 2, 0, -3</GeoTransform>"
        f"{bands}</PAMDataset>"
    )
    return path


@pytest.mark.parametrize(
    ("driver", "pixel", "nodata", "expected"),
    [
        ("GTiff", 3, 7, {"transform": f"the transform {AUX}", "crs": f"the coordinate system {AUX}",
                         "nodata": f"the nodata value {AUX}"}),
        ("ENVI", 30, 7, {"transform": "the field `map info` of the header",
                         "nodata": f"the nodata value {AUX}"}),
        ("PNG", 7, 7, {"transform": "the world file a.pgw", "crs": f"the coordinate system {AUX}",
                       "nodata": f"the nodata value {AUX}"}),
    ],
)  # fmt: skip
def test_what_counts_where_two_sources_differ(
    tmp_path: Path, driver: str, pixel: float, nodata: float, expected: dict[str, str]
) -> None:
    with open_scene(contradicting(tmp_path, driver)) as scene:
        assert scene.grid.transform is not None
        assert (scene.grid.transform[0], scene.nodata) == (pixel, nodata)
        found = {name: origin.where for name, origin in vars(scene.origins).items() if origin}
    assert {name: found[name] for name in expected} == expected
