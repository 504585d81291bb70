"""Import of the 2016 work's M1: same q(z|x) as the plain formula, and reported as collapsed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hearing import Hears

from hsi_ssl.errors import ModelError
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.training.anglepy import import_m1, read_ndict


@pytest.mark.slow
def test_the_imported_m1_gives_the_plain_formula_and_is_told_to_have_collapsed(
    real_data: Callable[[str], Path], tmp_path: Path, hears: Hears
) -> None:
    folder = real_data("alhue-m1-2016")
    card = import_m1(folder, tmp_path / "m1", watcher=hears)
    assert card["metrics"]["active_units"] == 2
    assert len(card["metrics"]["kl_per_unit"]) == 50
    assert [w for w in hears.warned if w.startswith("this M1 has collapsed: 2 of 50")]

    v = {k: a.astype(np.float64) for k, a in read_ndict(folder / "v_best.ndict.tar.gz").items()}

    def plain(x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], ...]:
        h = x.T.astype(np.float64)
        for i in range(2):
            h = np.log1p(np.exp(v[f"w{i}"] @ h + v[f"b{i}"]))
        return (v["mean_w"] @ h + v["mean_b"]).T, (v["logvar_w"] @ h + v["logvar_b"]).T

    m1 = load_m1(tmp_path / "m1", "cpu")
    z = torch.randn(200, 50, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x = m1.model.decode(z).numpy()
    for found, expected in zip(m1.features(x), plain(x), strict=True):
        # Sums of 500 products in float32, which processors add in different orders.
        assert found is not None
        np.testing.assert_allclose(found, expected, atol=1e-4)
    # In float32 a log-variance of -7 is off by 2e-5 itself; in float64 nothing is.
    x = np.random.default_rng(0).random((200, 268)).astype(np.float32)
    with torch.no_grad():
        exact = m1.model.double().encode(torch.from_numpy(x).double())
    for tensor, expected in zip(exact, plain(x), strict=True):
        assert tensor is not None
        np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-9)


def write_ndict(path: Path, arrays: dict[str, np.ndarray]) -> None:
    blob = io.BytesIO()
    np.savez(blob, *arrays.values())
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (
            ("names.txt", "\n".join(arrays).encode()),
            ("arrays.npz", blob.getvalue()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the folder"):
        import_m1(tmp_path, tmp_path / "m1")
    (tmp_path / "v_best.ndict.tar.gz").write_bytes(b"no tar at all")
    with pytest.raises(ModelError, match="holds no weights"):
        import_m1(tmp_path, tmp_path / "m1")
    write_ndict(tmp_path / "v_best.ndict.tar.gz", {"w0": np.zeros((3, 4), np.float32)})
    write_ndict(tmp_path / "w_best.ndict.tar.gz", {"w0": np.zeros((3, 4), np.float32)})
    with pytest.raises(ModelError, match="do not fit together"):
        import_m1(tmp_path, tmp_path / "m1")
    assert not (tmp_path / "m1").exists()


def test_pickled_arrays_are_not_loaded(tmp_path: Path) -> None:
    write_ndict(tmp_path / "v.tar.gz", {"w0": np.array([{"code": 1}], dtype=object)})
    with pytest.raises(ModelError, match="holds no weights"):
        read_ndict(tmp_path / "v.tar.gz")
