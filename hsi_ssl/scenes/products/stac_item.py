"""A GeoTIFF with a STAC Item beside it that tells its bands, as of Wyvern's Dragonettes.

By the STAC specification (see `stac_bands`) and Wyvern's Data Product Guide 1.5 and 2.0, read
beside Wyvern's public resources (nrevyw/wyvern-public-resources). A Dragonette scene is a folder
`wyvern_dragonette-003_<time>_<id>[_l2a]` of `<name>.tiff` (the cube), `<name>.json` (the Item),
`<name>_data_mask.tiff` and the like; its asset "Cloud optimized GeoTiff" lists 23 or 31 bands. L1B
is radiance, float32, W/(m2 sr um), nodata -9999; L2A reflectance, uint16, nodata 65535.

What the Item alone tells: the scale. GeoTIFFs of L2A carry a GDAL scale of 1, their Items 0.0001
in `raster:bands`. Wavelengths stand in both, and must agree.
"Data Mask": bands QA_CLEAR_MASK, QA_CLOUD_MASK and, from guide 2.0 on, QA_HAZE_MASK and
QA_CLOUD_SHADOW_MASK; 255 is no data. Where the clear mask is 0 a pixel is doubtful. The mask of
interpolated values, one a band, hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.readers import geotiff
from hsi_ssl.scenes.readers.gdal_opening import looked_into
from hsi_ssl.scenes.scene import Bools, Scene
from hsi_ssl.scenes.stac_bands import Asset, Item, item_at, items_beside
from hsi_ssl.scenes.times import time_of
from hsi_ssl.scenes.units import Kind, kind_in, units_of
from hsi_ssl.scenes.wavelengths import ROUNDED_NM, with_facts

WYVERN = "wyvern_dragonette"
CLEAR = "QA_CLEAR_MASK"
KINDS: dict[str, Kind] = {"L1": "radiance", "L2": "reflectance"}
"""Of Wyvern's levels, by their beginning."""
RASTERS = {".tif", ".tiff"}


def main(candidate: Candidate) -> Path | None:
    """The cube: itself, the one that an Item names, or that beside another asset of its Item.

    A folder is a product where all its GeoTIFFs are assets of one Item.
    """
    path = candidate.path
    if candidate.is_folder:
        return _in_folder(candidate)
    if path.suffix.lower() == ".json":
        item = item_at(path)
        return None if item is None or not item.cubes else _cube_of(item)
    for item in items_beside(path):
        if item.cubes:
            return _cube_of(item)
    return None


def lacks_item(path: Path) -> str | None:
    """What to say of a file that is called as Wyvern's cubes are, and has no Item beside it."""
    name = path.name
    ours = path.suffix.lower() in RASTERS and name.lower().startswith(WYVERN)
    if not ours or any(True for _ in items_beside(path)):
        return None
    return (
        f"{name} is called as a scene of Wyvern's, and no STAC Item lies beside it: what that says "
        "of bands and numbers is not known; put both into one folder"
    )


def _in_folder(candidate: Candidate) -> Path | None:
    rasters = {p.name for suffix in RASTERS for p in candidate.members(f"*{suffix}")}
    items = [item for path in candidate.members("*.json") if (item := item_at(path)) is not None]
    items = [item for item in items if item.cubes]
    if len(items) == 1 and rasters <= {asset.name for asset in items[0].assets}:
        return _cube_of(items[0])
    if rasters or items:
        return None
    # Delivered whole: a catalog, and one folder with the scene.
    inside = [path for path in candidate.path.iterdir() if path.is_dir()]
    if len(inside) == 1 and candidate.members("*catalog*.json"):
        return _in_folder(Candidate(inside[0]))
    return None


def _cube_of(item: Item) -> Path:
    """The file of an Item's cube.

    Raises
    ------
    SceneError
        It is not there, or there are several.
    """
    if len(item.cubes) > 1:
        names = ", ".join(asset.name for asset in item.cubes)
        raise SceneError(f"{item.path} names {len(item.cubes)} cubes, {names}; give one of them")
    there = item.path.with_name(item.cubes[0].name)
    if not there.is_file():
        raise SceneError(
            f"{item.path} is a STAC Item whose cube, {there.name}, does not lie beside it; put "
            "both into one folder, under the names that they were delivered with"
        )
    return there


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the GeoTIFF, with what its Item says of bands, numbers and time.

    Raises
    ------
    SceneError
        The Item is of another scene: it lists other bands, wavelengths, pixels or another place.
    """
    item = next(item for item in items_beside(path) if item.named(path.name) in item.cubes)
    asset = item.named(path.name)
    assert asset is not None
    scene = geotiff.open_cube(path)
    try:
        _refuse_other(scene, item, asset)
        scene = _with_bands(scene, item, asset)
        scene = _with_numbers(scene, item, asset)
        taken = time_of(_text(item, "datetime") or _text(item, "start_datetime"), item.path.name)
        if scene.acquired is None and taken.at is not None:
            origins = replace(scene.origins, acquired=taken.origin)
            scene = replace(scene, acquired=taken.at, origins=origins)
        level = _level(item)
        if level is not None:
            scene = replace(scene, format=f"Wyvern {level}")
        return _strict(scene, item) if wanted.quality == "strict" else scene
    except BaseException:
        scene.close()
        raise


def _refuse_other(scene: Scene, item: Item, asset: Asset) -> None:
    """Refuse an Item that lists another number of bands, or of pixels, or another place."""
    other = None
    if len(asset.bands) != scene.bands:
        other = f"lists {len(asset.bands)} bands, and the file has {scene.bands}"
    shape = asset.told.get("proj:shape", item.properties.get("proj:shape"))
    if other is None and isinstance(shape, list) and shape != [scene.rows, scene.cols]:
        other = f"tells {shape} rows and columns, and the file has {[scene.rows, scene.cols]}"
    told = asset.told.get("proj:transform", item.properties.get("proj:transform"))
    if other is None and scene.grid.transform is not None and _six(told):
        pixel = max(abs(value) for value in scene.grid.transform[:2])
        if np.abs(np.subtract(told[:6], scene.grid.transform)).max() > pixel:
            other = "tells another place"
    if other is not None:
        raise SceneError(
            f"{item.path} is no Item of {scene.path.name}: it {other}; expected both of one "
            "acquisition: get them again"
        )


def _six(told: Any) -> TypeGuard[list[float]]:
    """Whether it is a list that begins with six numbers; others place nothing."""
    numbers = told[:6] if isinstance(told, list) else []
    return len(numbers) == 6 and all(isinstance(one, int | float) for one in numbers)  # noqa: PLR2004


def _with_bands(scene: Scene, item: Item, asset: Asset) -> Scene:
    facts = asset.facts(item.path)
    if scene.wavelengths_nm is not None and facts.wavelengths_nm is not None:
        away = np.nan_to_num(np.abs(scene.wavelengths_nm - facts.wavelengths_nm))
        if away.max() > ROUNDED_NM:
            band = int(np.argmax(away))
            raise SceneError(
                f"{item.path} puts band {band + 1} at {facts.wavelengths_nm[band]:.1f} nm and "
                f"{scene.path.name} at {scene.wavelengths_nm[band]:.1f} nm; expected both of one "
                "acquisition: get them again"
            )
        if scene.fwhm_nm is None and facts.fwhm_nm is not None:
            return replace(scene, fwhm_nm=facts.fwhm_nm)
    return with_facts(scene, facts)


def _with_numbers(scene: Scene, item: Item, asset: Asset) -> Scene:
    """Nodata, scale, offset and kind, where the file itself tells none."""
    notes = list(scene.notes)
    nodata = {value for value in asset.column("nodata") if value is not None}
    if len(nodata) == 1:
        (value,) = nodata
        if scene.nodata is None:
            origin = Origin(f"nodata of the STAC Item {item.path.name}")
            scene = replace(scene, nodata=value, origins=replace(scene.origins, nodata=origin))
        elif not np.isclose(value, scene.nodata, equal_nan=True):
            notes.append(
                f"{item.path.name} says that {value:g} is no data, and the file that "
                f"{scene.nodata:g} is: the file counts"
            )
    scale, offset = (
        None if any(value is None for value in asset.column(name)) else asset.column(name)
        for name in ("scale", "offset")
    )
    texts = [*(str(band.get("unit", "")) for band in asset.bands[:1]), asset.told.get("title")]
    kind = kind_in(*texts, asset.told.get("description"), asset.told.get("unit"))
    kind = kind or KINDS.get((_level(item) or "")[:2])
    units = units_of(
        scene.bands, scale=scale, offset=offset, kind=kind,
        source=f"raster:bands of {item.path.name}",
    )  # fmt: skip
    if units is not None and scene.units is not None and scene.units.said:
        if units.said and not units.same_numbers(scene.units):
            notes.append(
                f"{item.path.name} tells another scale than the file, which counts: "
                f"{scene.units.in_words}"
            )
        units = scene.units if scene.units.kind else replace(scene.units, kind=kind)
    return replace(scene, units=scene.units if units is None else units, notes=tuple(notes))


def _strict(scene: Scene, item: Item) -> Scene:
    """Without pixels that the clear mask calls unclear; where there is none, that is said."""
    for asset in item.assets:
        names = [band.get("name") for band in asset.bands]
        path = item.path.with_name(asset.name)
        if CLEAR in names and path.is_file():
            read: Callable[[], Bools] = partial(
                _unclear, path, names.index(CLEAR), (scene.rows, scene.cols)
            )
            return without(scene, read, (f"{CLEAR} of {path.name} (--quality strict)",))
    note = f"no mask of clear pixels lies beside {scene.path.name}: --quality strict hides nothing"
    return replace(scene, notes=(*scene.notes, note))


def _unclear(path: Path, band: int, size: tuple[int, int]) -> Bools:
    with looked_into(path) as raster:
        if (raster.height, raster.width) != size:
            raise SceneError(
                f"{path} has {raster.height} x {raster.width} pixels and its cube {size[0]} x "
                f"{size[1]}; expected both of one acquisition: get them again"
            )
        found: Bools = raster.read(band + 1) == 0
    return found


def _level(item: Item) -> str | None:
    """The level of a scene of Wyvern's; None of others."""
    if not str(item.told.get("id", "")).lower().startswith(WYVERN):
        return None
    return (_text(item, "processing:level") or "L1B").upper()


def _text(item: Item, name: str) -> str | None:
    value = item.properties.get(name)
    return value if isinstance(value, str) else None


def members(path: Path) -> list[Path]:
    """The Item of a cube, and what else it names that lies beside it."""
    found = []
    for item in items_beside(path):
        if item.named(path.name) in item.cubes:
            others = [item.path.with_name(asset.name) for asset in item.assets]
            found += [item.path, *(other for other in others if other.is_file())]
    return found


PRODUCT = Product("STAC Item", main, open_cube, members=members)
