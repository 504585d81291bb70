"""Products as their sensors deliver them, one file each, asked in this order.

To add one: a module with a `Product` as `hsi_ssl.scenes.product` describes it, and a line in
`PRODUCTS`; in another package, an entry point in the group `hsi_ssl.products`. What is none goes to
the readers of formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hsi_ssl.registry import Registry
from hsi_ssl.scenes.product import Candidate, Product

HOME = "hsi_ssl.scenes.products"
PRODUCTS: Registry[Product] = Registry(
    "hsi_ssl.products",
    "product",
    {
        "EMIT": f"{HOME}.emit:PRODUCT",
        "PACE OCI": f"{HOME}.pace:PRODUCT",
        "PRISMA": f"{HOME}.prisma:PRODUCT",
        "Tanager": f"{HOME}.tanager:PRODUCT",
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
            known = variable is None or variable.strip("/").split("/")[-1] in product.variables
            return Member(product, main) if known else None
    return None
