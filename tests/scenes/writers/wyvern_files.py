"""A writer of tiny Wyvern scenes: GeoTIFF, STAC Item and mask, as its Data Product Guide says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from delivered import CRS, NORTH, WEST, Ground, reflectance

NM = np.array([445, 464, 480, 503, 520, 550, 584, 614, 650, 669, 690, 712, 750, 799, 849, 870.0])
WIDTHS = np.linspace(16, 32, len(NM))
NAME = "wyvern_dragonette-003_20250508T092313_a60915a4"


def write_wyvern(folder: Path, ground: Ground, *, level: str = "L2A", tags: bool = True) -> Path:
    """The delivered folder: the cube, its Item, a mask of clear pixels; gives the cube.

    Classes differ here, as a Dragonette sees no farther than 870 nm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{NAME}_{level.lower()}"
    spectra = reflectance(ground.codes, 400 + (NM - 400) * 4)
    rows, cols = ground.x.shape
    if level == "L2A":
        cube, nodata, scale = np.round(spectra / 1e-4).astype(np.uint16), 65535, 1e-4
    else:
        cube, nodata, scale = (spectra * 300).astype(np.float32), -9999, 1.0
    cube[0, 0] = nodata
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": rows, "width": cols, "crs": CRS,
        "transform": rasterio.Affine(30, 0, WEST, 0, -30, NORTH),
    }  # fmt: skip
    path = folder / f"{name}.tiff"
    with rasterio.open(
        path, "w", count=len(NM), dtype=cube.dtype, nodata=nodata, compress="lzw", **profile
    ) as raster:
        raster.write(cube.transpose(2, 0, 1))
        for band, (nm, width) in enumerate(zip(NM, WIDTHS, strict=True), start=1):
            raster.set_band_description(band, f"Band_{nm:.0f}")
            if tags:
                raster.update_tags(
                    band, wavelength=f"{nm:.0f}", FWHM=f"{width:.0f}", Wavelength_Units="nm"
                )
    clear = np.ones((2, rows, cols), np.uint8)
    clear[1] = 0
    clear[:, 0, 0] = 255
    clear[:, 2, 3:5] = [[0], [1]]
    with rasterio.open(
        folder / f"{name}_data_mask.tiff", "w", count=2, dtype="uint8", nodata=255, **profile
    ) as raster:
        raster.write(clear)
    (folder / f"{name}.json").write_text(json.dumps(item(name, level, nodata, scale, rows, cols)))
    return path


def item(name: str, level: str, nodata: int, scale: float, rows: int, cols: int) -> dict[str, Any]:
    """The Item of a scene, with the fields that tell something of the cube."""
    unit = {"unit": "W / (m2 * sr * µm)"} if level == "L1B" else {}
    cube = {
        "href": f"./{name}.tiff",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "title": "Cloud optimized GeoTiff",
        "eo:bands": [
            {
                "name": f"Band_{nm:.0f}",
                "center_wavelength": round(nm / 1000, 4),
                "full_width_half_max": round(width / 1000, 4),
                "solar_illumination": 1800.0,
            }
            for nm, width in zip(NM, WIDTHS, strict=True)
        ],
        "raster:bands": [
            {"nodata": nodata, "sampling": "area", "scale": scale, "offset": 0, **unit}
        ] * len(NM),
        "proj:shape": [rows, cols],
        "roles": ["data"],
    }  # fmt: skip
    mask = {
        "href": f"./{name}_data_mask.tiff",
        "title": "Data Mask",
        "eo:bands": [{"name": "QA_CLEAR_MASK"}, {"name": "QA_CLOUD_MASK"}],
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "properties": {
            "datetime": "2025-05-08T09:23:13Z",
            "platform": "dragonette-003",
            "processing:level": level,
            "product_type": "hyperspectral",
        },
        "geometry": None,
        "assets": {"Cloud optimized GeoTiff": cube, "Data Mask": mask},
        "links": [],
    }
