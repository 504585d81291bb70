"""A PRISMA file of full size through `prepare` and `classify`, beside h5py and a tiled GeoTIFF.

    python tests/benchmarks/product_speed.py --folder /tmp/product-speed

Writes files of 1200 x 1200 pixels and 66 + 173 bands (688 MB of numbers) in three layouts, the same
numbers, sorted, as GeoTIFFs of tiles, a small PRISMA file of 48 x 36, labels of a seventh of the
pixels, and a classifier of prototypes; all stays in the folder. Each run is a process of its own,
all in turn, files in the system's cache; medians of processor time and of wall time, imports not
counted. Prints a table and writes reports/products.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from machine import machine_in_words, today

REPORT = Path(__file__).parents[2] / "reports" / "products.md"
ROWS, COLS = 1200, 1200
DETECTORS = {"VNIR": np.linspace(402, 972, 66), "SWIR": np.linspace(943, 2497, 173)}
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}
LAYOUTS: dict[str, dict[str, Any]] = {
    "in one piece": {},
    "a packed chunk a band": {"chunks": (ROWS, 1, COLS), **PACKED},
    "packed rows": {"chunks": (16, None, COLS), **PACKED},
}
"""Of the cubes, (rows, bands, cols); None: all bands."""
CLASSES, FIELD = 4, 60
MOST_MB = 1000

READ = """
import h5py
with h5py.File({path!r}, "r") as file:
    for detector in ("VNIR", "SWIR"):
        cube = file["HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/" + detector + "_Cube"]
        high, deep, _ = cube.chunks or (16, cube.shape[1], 0)
        for band in range(0, cube.shape[1], deep):
            for row in range(0, cube.shape[0], high):
                cube[row : row + high, band : band + deep]
"""
PREPARE = """
from pathlib import Path
from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.settings import PrepareSettings
prepare(PrepareSettings(sources=({path!r},), labels=(Path({labels!r}),), output=Path({out!r})),
        overwrite=True)
"""
CLASSIFY = """
from pathlib import Path
from hsi_ssl.maps.classify import classify
from hsi_ssl.settings import ClassifySettings
classify(ClassifySettings(scenes=({path!r},), model=Path({model!r}), output=Path({out!r})),
         overwrite=True)
"""
TIMED = """
import json, resource, sys, time
{imports}
before, started = time.process_time(), time.perf_counter()
{work}
print(json.dumps({{
    "wall": time.perf_counter() - started,
    "processor": time.process_time() - before,
    "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}}))
"""


def codes(rows: int, cols: int) -> np.ndarray:
    """Fields of classes, smaller ones in a small scene."""
    row, col = np.indices((rows, cols)) // field(rows)
    return ((row + 2 * col) % CLASSES + 1).astype(np.uint8)


def field(rows: int) -> int:
    """Pixels that a field is high and wide."""
    return FIELD * rows // ROWS or 4


def cube_of(rows: int, cols: int, nm: np.ndarray, seed: int) -> np.ndarray:
    """Numbers (rows, bands, cols), bands from long wavelengths to short ones."""
    rng = np.random.default_rng(seed)
    bends = 0.2 + 0.3 * np.exp(-(((nm[::-1] - 700 - 450 * np.arange(CLASSES)[:, None]) / 300) ** 2))
    pure = (bends * 65535).astype(np.float32)
    found = np.empty((rows, len(nm), cols), np.uint16)
    plane = codes(rows, cols)
    for row in range(rows):
        noise = rng.normal(0, 300, (len(nm), cols)).astype(np.float32)
        found[row] = pure[plane[row] - 1].T + noise
    return found


def write_prisma(path: Path, rows: int, cols: int, layout: dict[str, Any]) -> None:
    """A file of level 2D."""
    if path.exists():
        return
    with h5py.File(path, "w") as file:
        for name, nm in DETECTORS.items():
            cube = cube_of(rows, cols, nm, len(nm))
            stored = dict(layout)
            if stored:
                high, deep, wide = stored["chunks"]
                stored["chunks"] = min(high, rows), deep or len(nm), min(wide, cols)
            place = f"HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/{name}_Cube"
            file.create_dataset(place, data=cube, **stored)
            title = name.title()
            file.attrs[f"List_Cw_{title}"], file.attrs[f"List_Fwhm_{title}"] = nm[::-1], 11 + 0 * nm
            file.attrs[f"L2Scale{title}Min"], file.attrs[f"L2Scale{title}Max"] = 0.0, 1.0
        file.attrs["Epsg_Code"] = 32633
        for key, (row, col) in {"UL": (0, 0), "LR": (rows - 1, cols - 1)}.items():
            file.attrs[f"Product_{key}corner_easting"] = 400_015.0 + 30 * col
            file.attrs[f"Product_{key}corner_northing"] = 5_600_000.0 - 15 - 30 * row


def write_geotiff(path: Path, prisma: Path, **stored: Any) -> None:
    """The same numbers, sorted by wavelength, in tiles."""
    if path.exists():
        return
    nm = np.concatenate([*DETECTORS.values()])
    order = np.argsort(nm, kind="stable")
    with (
        h5py.File(prisma) as file,
        rasterio.open(
            path, "w", driver="GTiff", height=ROWS, width=COLS, count=len(nm), dtype="uint16",
            crs="EPSG:32633", transform=rasterio.Affine(30, 0, 4e5, 0, -30, 5.6e6), tiled=True,
            blockxsize=256, blockysize=256, interleave="pixel", **stored,
        ) as raster,
    ):  # fmt: skip
        raster.scales = [1 / 65535] * len(nm)
        for band, wavelength in enumerate(nm[order], 1):
            raster.update_tags(band, wavelength=f"{wavelength:.4f}", wavelength_units="nm")
        fields = file["HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"]
        for row in range(0, ROWS, 256):
            rows = slice(row, min(row + 256, ROWS))
            both = [fields[f"{name}_Cube"][rows][:, ::-1] for name in DETECTORS]
            values = np.concatenate(both, axis=1)[:, order].transpose(1, 0, 2)
            raster.write(values, window=((rows.start, rows.stop), (0, COLS)))


def write_labels(path: Path, rows: int, cols: int) -> None:
    """A seventh of the fields."""
    plane = codes(rows, cols)
    row, col = np.indices((rows, cols)) // field(rows)
    plane[(3 * row + col) % 7 != 0] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=1, dtype="uint8", nodata=0,
        crs="EPSG:32633", transform=rasterio.Affine(30, 0, 4e5, 0, -30, 5.6e6),
    ) as raster:  # fmt: skip
        raster.write(plane, 1)


def timed(code: str) -> dict[str, float]:
    """What a piece of work takes in a process of its own."""
    imports = "\n".join(line for line in code.splitlines() if line.startswith(("import ", "from ")))
    work = "\n".join(line for line in code.splitlines() if line not in imports.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(imports=imports, work=work)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--layouts", nargs="*", default=list(LAYOUTS))
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "labels.tif", ROWS, COLS)
    write_labels(folder / "small_labels.tif", 36, 48)
    works: dict[str, str] = {}
    for name in given.layouts:
        path, small = (folder / f"{kind}{name.replace(' ', '-')}.he5" for kind in ("", "small-"))
        write_prisma(path, ROWS, COLS, LAYOUTS[name])
        write_prisma(small, 36, 48, LAYOUTS[name])
        tiles = folder / ("tiles.tif" if name == "in one piece" else "packed.tif")
        packed = {} if name == "in one piece" else {"compress": "deflate", "zlevel": 1}
        write_geotiff(tiles, path, **packed)
        model = folder / "run"
        if not model.exists():
            subprocess.run([sys.executable, "-c", PREPARE.format(
                path=str(path), labels=str(folder / "labels.tif"), out=str(folder / "set.h5"),
            )], check=True)  # fmt: skip
            hsi_ssl = [sys.executable, "-m", "hsi_ssl.cli", "train-m2", str(folder / "set.h5")]
            subprocess.run(
                [*hsi_ssl, "--no-m1", "--model", "lvq", "-o", str(model), "-q"], check=True
            )
        works |= {
            f"h5py reads, {name}": READ.format(path=str(path)),
            f"prepare, {name}": PREPARE.format(
                path=str(path), labels=str(folder / "labels.tif"), out=str(folder / "a.h5")
            ),
            f"prepare 48 x 36, {name}": PREPARE.format(
                path=str(small), labels=str(folder / "small_labels.tif"), out=str(folder / "b.h5")
            ),
            f"classify, {name}": CLASSIFY.format(
                path=str(path), model=str(model), out=str(folder / "map.tif")
            ),
            f"classify GeoTIFF, {name}": CLASSIFY.format(
                path=str(tiles), model=str(model), out=str(folder / "map.tif")
            ),
        }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for turn in range(given.runs + 1):
        for name, code in works.items():
            found = timed(code)
            if turn:  # the first brings files into the cache
                runs[name].append(found)
    report = in_words(runs, given.layouts)
    print(report)
    REPORT.write_text(report, encoding="utf-8")


def in_words(runs: dict[str, list[dict[str, float]]], layouts: list[str]) -> str:
    """The report."""
    middle = {
        name: {key: statistics.median(one[key] for one in found) for key in ("wall", "processor")}
        for name, found in runs.items()
    }
    peak = {name: max(one["mb"] for one in found) for name, found in runs.items()}
    lines = [
        "# A PRISMA file of 1200 x 1200 x 239 (688 MB) as it is delivered",
        "",
        "Each run in a fresh process, files in the system's cache, imports not counted; medians of "
        f"{len(next(iter(runs.values())))} runs in turn; peak memory the largest. `prepare`: with "
        "labels on a seventh of the fields. The GeoTIFF holds the same numbers in tiles of 256 x "
        "256, packed where the cubes are. Goals: `prepare`, less that of 48 x 36, at most 1.5 of "
        "one read by h5py in the order of its chunks; `classify` at most 1.15 of the GeoTIFF's; "
        f"below {MOST_MB} MB.",
        "",
        "| layout | what | wall, s | processor, s | peak, MB |",
        "|---|---|---|---|---|",
    ]
    for name, found in middle.items():
        what, _, layout = name.rpartition(", ")
        lines.append(
            f"| {layout} | {what} | {found['wall']:.2f} | {found['processor']:.2f} | "
            f"{peak[name]:.0f} |"
        )
    lines.append("")
    for layout in layouts:
        ratios = [
            f"{(middle[f'prepare, {layout}'][key] - middle[f'prepare 48 x 36, {layout}'][key]) / middle[f'h5py reads, {layout}'][key]:.2f}"  # noqa: E501
            for key in ("wall", "processor")
        ]
        beside = [
            f"{middle[f'classify, {layout}'][key] / middle[f'classify GeoTIFF, {layout}'][key]:.2f}"
            for key in ("wall", "processor")
        ]
        lines.append(
            f"- {layout}: `prepare` took {ratios[0]} of one read ({ratios[1]} of its processor "
            f"time), `classify` {beside[0]} of the GeoTIFF's time ({beside[1]})."
        )
    lines += [
        "",
        f"`python tests/benchmarks/product_speed.py --folder DIR`, {machine_in_words()}, {today()}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
