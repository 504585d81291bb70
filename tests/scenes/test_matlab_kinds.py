"""Kinds of arrays that only MATLAB knows: sparse matrices, and cells within structs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from hsi_ssl.describing.planes import planes_beside
from hsi_ssl.errors import SceneError
from hsi_ssl.labels.legends import legend_of
from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.scenes.opening import open_scene, read_plane

LABELS = np.zeros((13, 11))
LABELS[3:5, 2:9], LABELS[7, 1] = 4, 2
NAMES = np.array([["oak", "", "bare soil"], ["", "oak", ""]], dtype=object)


def write_5(path: Path, arrays: dict[str, Any]) -> Path:
    """`arrays` may hold sparse matrices, object arrays of texts and dictionaries: structs."""
    scipy.io.savemat(path, arrays)
    return path


def write_73(path: Path, arrays: dict[str, Any]) -> Path:
    """The same as MATLAB's version 7.3 keeps it."""
    with h5py.File(path, "w", userblock_size=512) as file:
        put(file, arrays, file.create_group("#refs#"))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def put(group: h5py.Group, arrays: dict[str, Any], refs: h5py.Group) -> None:
    for name, value in arrays.items():
        if isinstance(value, dict):
            kind = "struct"
            put(group.create_group(name), value, refs)
        elif isinstance(value, scipy.sparse.csc_matrix):
            kind, columns = "double", value
            inside = group.create_group(name)
            inside.attrs["MATLAB_sparse"] = np.uint64(columns.shape[0])
            inside["jc"] = columns.indptr.astype(np.uint64)
            if columns.nnz:
                inside["data"] = columns.data
                inside["ir"] = columns.indices.astype(np.uint64)
        elif value.dtype == object:
            kind, found = "cell", np.empty(value.T.shape, h5py.ref_dtype)
            for place, text in np.ndenumerate(value.T):
                cell = refs.create_dataset(
                    f"c{len(refs)}", data=np.frombuffer(text.encode("utf-16-le"), "u2")[:, None]
                )
                cell.attrs["MATLAB_empty"] = np.uint8(not text)
                found[place] = cell.ref
            group.create_dataset(name, data=found, dtype=h5py.ref_dtype)
        else:
            kind, group[name] = value.dtype.name.replace("float64", "double"), value.T
        group[name].attrs["MATLAB_class"] = np.bytes_(kind)


Write = Callable[[Path, dict[str, Any]], Path]
both = pytest.mark.parametrize("write", [write_5, write_73])


@both
@pytest.mark.parametrize("inside", [False, True])
def test_sparse_labels(tmp_path: Path, write: Write, inside: bool) -> None:
    sparse = {"gt": scipy.sparse.csc_matrix(LABELS)}
    path = write(tmp_path / "gt.mat", {"data": sparse} if inside else sparse)
    np.testing.assert_array_equal(read_label_plane(path), LABELS)
    name = "data.gt" if inside else "gt"
    np.testing.assert_array_equal(read_label_plane(path, variable=name), LABELS)


@both
def test_sparse_labels_beside_a_cube(tmp_path: Path, write: Write) -> None:
    cube = np.random.default_rng(0).random((13, 11, 7))
    path = write(tmp_path / "a.mat", {"cube": cube, "gt": scipy.sparse.csc_matrix(LABELS)})
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read(), cube)
        np.testing.assert_array_equal(own_labels(scene), LABELS)
    assert planes_beside(path, 13, 11) == {"gt": {4: 14, 2: 1}}


@both
def test_a_sparse_matrix_of_zeros(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "gt.mat", {"gt": scipy.sparse.csc_matrix((3, 4))})
    np.testing.assert_array_equal(read_plane(path)[0], np.zeros((3, 4)))


@both
def test_a_large_sparse_matrix_that_nobody_asks_for_stays_sparse(
    tmp_path: Path, write: Write
) -> None:
    cube = np.random.default_rng(0).random((13, 11, 7))
    links = scipy.sparse.csc_matrix((10**6, 10**6))  # 8 TB of zeros
    path = write(tmp_path / "a.mat", {"data": {"cube": cube, "links": links}, "links": links})
    with open_scene(path) as scene:
        np.testing.assert_array_equal(scene.read(), cube)


def test_a_broken_sparse_matrix(tmp_path: Path) -> None:
    path = write_73(tmp_path / "gt.mat", {"gt": scipy.sparse.csc_matrix(LABELS)})
    with h5py.File(path, "r+") as file:
        file["gt/ir"][0] = 99
    with pytest.raises(SceneError, match=r"gt in .* is a broken sparse matrix"):
        read_plane(path)


@both
def test_names_of_classes_within_a_struct(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "gt.mat", {"data": {"gt": NAMES}})
    for variable in (None, "data.gt"):
        np.testing.assert_array_equal(read_plane(path, variable)[0], NAMES.astype(str))


@both
def test_a_list_of_names_within_a_struct(tmp_path: Path, write: Write) -> None:
    codes = np.array([[0.0, 1, 2], [2, 1, 0]])
    names = np.array([["oak", "bare soil"]], dtype=object)
    path = write(tmp_path / "gt.mat", {"data": {"gt": codes, "class_names": names}})
    np.testing.assert_array_equal(read_label_plane(path), codes)
    assert legend_of(path).names == {1: "oak", 2: "bare soil"}
