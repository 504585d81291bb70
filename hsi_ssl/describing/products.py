"""Products that come as folders, archives or formats which are not read as they are."""

from __future__ import annotations

import re
from pathlib import Path

HDF4 = b"\x0e\x03\x13\x01"
ASD = (b"ASD", b"as6", b"as7", b"as8")
STACK = "stack its bands, `gdalbuildvrt -separate scene.vrt BANDS...`, and give that"
UNPACK = "unpack it, and give the folder or any file in it"
PRODUCTS = tuple(
    (re.compile(pattern, re.IGNORECASE), name, advice)
    for pattern, name, advice in (
        (r"^S2[A-D]_.*(\.SAFE|\.zip)?$|^MTD_MSI\w*\.xml$", "Sentinel-2 product", STACK),
        (r"\.SEN3$", "Sentinel-3 product", "give a netCDF file in it"),
        (r"\.SAFE$", "Sentinel product", STACK),
        (r"^L[COTEM]0[1-9]_.*(_MTL\.\w+|\.tar(\.gz)?)?$", "Landsat product", STACK),
        (r"^ENMAP\d.*(\.zip|\.tar(\.gz)?|\.tgz)$", "EnMAP product", UNPACK),
        (r"^DESIS-.*(\.zip|\.tar(\.gz)?|\.tgz)$", "DESIS product", UNPACK),
        (r"^PRS_L\w+(\.zip)?$", "PRISMA product", "give the .he5 file in it"),
        (r"^EO1H\w*(\.zip|\.tgz|\.tar(\.gz)?)?$", "Hyperion product", STACK),
    )
)
"""Name of a file or folder -> what it is, and what to give instead."""


def unread_product(path: Path) -> str | None:
    """A sentence that names a product which cannot be read as it is; None: it is none known."""
    name = path.name
    start = b""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(4)
    if start.startswith(HDF4):
        kind = "Hyperion scene in HDF4" if name.upper().startswith("EO1H") else "file in HDF4"
        return (
            f"{path} is a {kind}, which is not read; convert it with a GDAL that has HDF4, "
            "`gdal_translate -of ENVI`"
        )
    if start.startswith(ASD):
        return (
            f"{path} is a binary spectrum of an ASD instrument, which is not read; export it "
            "as text, and give that to `match`"
        )
    for pattern, kind, advice in PRODUCTS:
        if pattern.search(name):
            whole = "folder" if path.is_dir() else "file"
            article = "an" if kind[0] in "AEIOU" else "a"
            return f"{path} is the {whole} of {article} {kind}, which is not read whole; {advice}"
    return None
