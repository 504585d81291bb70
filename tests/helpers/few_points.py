"""Reports on small runs, a third of whose time would be that of t-SNE."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from little_work import few_points as patched


@pytest.fixture(autouse=True, scope="package")
def few_points() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        yield
