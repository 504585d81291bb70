"""The mean field on a grid against the one over a table of neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.models.spatial_grid import mean_field_on_grid
from hsi_ssl.settings import LARGEST_STRENGTH


@pytest.mark.parametrize("strength", [0.0, 0.7, 2.5, LARGEST_STRENGTH])
@pytest.mark.parametrize("shape", [(23, 31), (1, 9), (2, 1)])
def test_it_is_that_of_the_list_of_pixels(strength: float, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.softmax(4 * torch.randn(5, *shape, generator=generator), 0)
    log_f = p.clamp(min=1e-12).log()
    valid = torch.rand(shape, generator=generator) > 0.2
    valid[0, 0] = True
    place = valid.nonzero().numpy()
    table = torch.from_numpy(neighbour_table(np.zeros(len(place), np.int16), place)).long()
    listed = mean_field(log_f[:, valid].T.contiguous(), table, strength)
    found = mean_field_on_grid(log_f, valid, strength)
    torch.testing.assert_close(found[:, valid].T, listed, atol=1e-5, rtol=0)
    assert not found[:, ~valid].any()


def test_what_is_said_where_there_is_no_pixel_does_not_matter() -> None:
    log_f = torch.log_softmax(torch.randn(3, 6, 6), 0)
    valid = torch.ones(6, 6, dtype=torch.bool)
    valid[2:4, 3] = False
    other = torch.where(valid, log_f, 50.0)
    torch.testing.assert_close(
        mean_field_on_grid(log_f, valid, 1.0), mean_field_on_grid(other, valid, 1.0)
    )
