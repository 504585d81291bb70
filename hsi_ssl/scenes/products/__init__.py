"""Products as their sensors deliver them, one file each, asked in this order.

To add one: a module with a `Product` as `hsi_ssl.scenes.product` describes it, and a line in
`PRODUCTS`; in another package, an entry point in the group `hsi_ssl.products`. What is none goes to
the readers of formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py

from hsi_ssl.errors import SceneError
from hsi_ssl.registry import Registry
from hsi_ssl.scenes.product import Candidate, Product
from hsi_ssl.scenes.readers.hdf5_file import opened

HOME = "hsi_ssl.scenes.products"
STORE = ".zarr"
PRODUCTS: Registry[Product] = Registry(
    "hsi_ssl.products",
    "product",
    {
        "AVIRIS": f"{HOME}.aviris:PRODUCT",
        "AVIRIS, ENVI": f"{HOME}.aviris_envi:PRODUCT",
        "DESIS": f"{HOME}.desis:PRODUCT",
        "EMIT": f"{HOME}.emit:PRODUCT",
        "EnMAP": f"{HOME}.enmap:PRODUCT",
        "HYPSO": f"{HOME}.hypso:PRODUCT",
        "NEON": f"{HOME}.neon:PRODUCT",
        "PACE OCI": f"{HOME}.pace:PRODUCT",
        "PRISMA": f"{HOME}.prisma:PRODUCT",
        "STAC Item": f"{HOME}.stac_item:PRODUCT",
        "Tanager": f"{HOME}.tanager:PRODUCT",
        "Zarr": f"{HOME}.zarr_cube:PRODUCT",
        "netCDF, a variable a band": f"{HOME}.band_planes:PRODUCT",
    },
)


class Member(NamedTuple):
    """A product, and the file of it that holds its cube."""

    product: Product
    main: Path


def product_at(path: Path, variable: str | None = None) -> Member | None:
    """The product that a folder, a metadata file or any other member belongs to, or None.

    None also where the user names an array, `variable`, that is none of the product's own.

    Raises
    ------
    SceneError
        A product is meant, but what holds its cube is not there, or several could be.
    """
    candidate = Candidate(path)
    for product in PRODUCTS.values():
        main = product.main(candidate)
        if main is not None:
            named = None if variable is None else variable.strip("/").split("/")[-1]
            known = named is None or product.variables is None or named in product.variables
            return Member(product, main) if known else None
    return None


def mains_in(folder: Path) -> list[Path]:
    """The files that hold the cubes of products whose members lie in a folder, each once.

    Of folders in it only stores are looked at, by their suffix.
    """
    found: dict[Path, None] = {}
    for path in sorted(folder.iterdir()):
        try:
            member = product_at(path) if path.is_file() or path.suffix == STORE else None
        except SceneError:  # who opens it says what is wrong
            continue
        if member is not None:
            found[member.main] = None
    return list(found)


def refuse_broken(folder: Path) -> None:
    """Refuse a folder for what is wrong with the first member of a product in it; pass if nothing.

    Raises
    ------
    SceneError
        A product in it lacks a member, or a file of HDF5 is broken.
    """
    for path in sorted(folder.iterdir()):
        if path.is_file():
            product_at(path)
            if h5py.is_hdf5(path):
                with opened(path):
                    pass


def product_in(folder: Path, variable: str | None = None) -> Member | None:
    """The product that a folder delivers, whatever the folder is called: the only one in it.

    None where it holds several, or none; arguments and errors as of `product_at`.
    """
    whole = product_at(folder, variable)
    if whole is not None:
        return whole
    mains = mains_in(folder)
    return product_at(mains[0], variable) if len(mains) == 1 else None


def refuse_folder(folder: Path) -> None:
    """Refuse a folder that is no product by itself: it holds several, or none.

    Raises
    ------
    SceneError
        Always; where what is in it is broken, for that.
    """
    mains = mains_in(folder)
    if not mains:
        refuse_broken(folder)
        raise SceneError(f"{folder} is a folder; give the files in it")
    if len(mains) == 1:
        raise SceneError(f"{folder} is a folder; give the file in it, {mains[0].name}")
    names = " and ".join(path.name for path in mains[:2])
    more = f" and {len(mains) - 2} more" if len(mains) > 2 else ""  # noqa: PLR2004
    raise SceneError(f"{folder} holds {len(mains)} products, {names}{more}; give one of them")
