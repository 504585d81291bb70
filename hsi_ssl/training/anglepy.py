"""Import of an M1 that the 2016 drill-core work trained with the authors' own Theano code.

It saved two tar files, `v_best.ndict.tar.gz` = q(z|x) and `w_best.ndict.tar.gz` = p(x|z), each
with an .npz of arrays `arr_0`, `arr_1`, ... and a list of their names. There, columns are samples,
`W x + b`; layers are softplus, the likelihood is Bernoulli on values in [0, 1].
"""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.errors import ModelError
from hsi_ssl.inference.checkpoint import METRICS, check_run_folder, save_run
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.training.loop import Fit, Progress
from hsi_ssl.watcher import SILENT, Watcher

ENCODER, DECODER = "v_best.ndict.tar.gz", "w_best.ndict.tar.gz"
DRAWN = 10_000

Arrays = dict[str, npt.NDArray[np.float32]]


def read_ndict(path: Path) -> Arrays:
    """The named arrays of one tar file; runs no code of it.

    Raises
    ------
    ModelError
        The file is missing or is not such a tar.
    """
    try:
        with tarfile.open(path) as tar:
            members = {Path(m.name).name: tar.extractfile(m) for m in tar.getmembers()}
            names, arrays = members["names.txt"], members["arrays.npz"]
            if names is None or arrays is None:
                raise KeyError("a regular file names.txt and arrays.npz")
            listed = names.read().decode().split()
            with np.load(io.BytesIO(arrays.read()), allow_pickle=False) as found:
                return {name: found[f"arr_{i}"] for i, name in enumerate(listed)}
    except FileNotFoundError as error:
        raise ModelError(
            f"no {path}: give the folder that holds {ENCODER} and {DECODER}"
        ) from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} holds no weights of the 2016 work: {error}") from error


def import_m1(
    folder: Path, run: Path, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> dict[str, Any]:
    """Write the weights in `folder` as a run folder of M1; returns its card.

    Latent use is measured on spectra drawn from the model's own decoder, so no data is needed.

    Raises
    ------
    ModelError
        Files are missing or broken, or their shapes do not fit together.
    OutputError
        The run folder holds something.
    """
    with claimed(run):
        check_run_folder(run, resume=False, overwrite=overwrite)
        return _imported(folder, run, watcher)


def _imported(folder: Path, run: Path, watcher: Watcher) -> dict[str, Any]:
    model = _model_of(folder)
    architecture = model.architecture
    z = torch.randn(DRAWN, architecture.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        spectra = model.decode(z)
        bound = -float(model.cost(spectra, torch.Generator().manual_seed(0)).mean())
    use = model.use(spectra)
    watcher.say(f"on spectra drawn from its own decoder, {use.in_words()}")
    if use.collapsed:
        watcher.warn(f"this M1 has collapsed: {use.in_words()}; train a new one")
    bands = architecture.width
    card = {
        "kind": "m1",
        "extractor": "vae",
        "architecture": architecture.to_card(),
        "bands": bands,
        "used_bands": list(range(bands)),
        "wavelengths_nm": None,
        "fwhm_nm": None,
        "image_like": False,
        "dataset": {
            "path": str(folder),
            "title": "imported: values in 0..1",
            "sources": [],
            "draw": None,
            "transductive": False,
        },
        "scaling": fit_scaler("none", spectra.numpy(), components=bands).to_card(),
        "settings": {"imported_from": str(folder)},
        "training": Fit(Progress(stopped="imported"), {}, "float32").to_card(torch.device("cpu")),
        "metrics": {
            "bound_train": bound,
            "bound_validation": None,
            "active_units": use.active,
            "kl_per_unit": use.kl,
            "variance_per_unit": use.variance,
            "collapsed": use.collapsed,
            "explained_variance": model.explained(spectra),
        },
    }
    # What a model that was here before was trained and drawn with is not this one's.
    for remains in ("last", "figures"):
        shutil.rmtree(run / remains, ignore_errors=True)
    (run / METRICS).unlink(missing_ok=True)
    return save_run(run, model.state_dict(), card)


def _model_of(folder: Path) -> M1:
    """The M1 whose weights lie in a folder."""
    encoder, decoder = read_ndict(folder / ENCODER), read_ndict(folder / DECODER)
    try:
        layers = sum(name.startswith("w") for name in encoder)
        architecture = M1Architecture(
            width=encoder["w0"].shape[1],
            latent=encoder["mean_w"].shape[0],
            hidden=tuple(encoder[f"w{i}"].shape[0] for i in range(layers)),
            activation="softplus",
            likelihood="bernoulli",
            sd_floor=1.0,
        )
        model = M1(architecture, torch.Generator())
        hidden = [(f"w{i}", f"b{i}") for i in range(layers)]
        head = {
            "head_w": np.concatenate([encoder["mean_w"], encoder["logvar_w"]]),
            "head_b": np.concatenate([encoder["mean_b"], encoder["logvar_b"]]),
        }
        _fill(model.encoder, encoder | head, [*hidden, ("head_w", "head_b")])
        _fill(model.decoder, decoder, [*hidden, ("out_w", "out_b")])
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"the weights in {folder} do not fit together: {error}") from error
    return model.eval()


def _fill(network: nn.Sequential, arrays: Arrays, names: list[tuple[str, str]]) -> None:
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, (weight, bias) in zip(linears, names, strict=True):
            layer.weight.copy_(_exactly(arrays[weight], layer.weight))
            layer.bias.copy_(_exactly(arrays[bias][:, 0], layer.bias))


def _exactly(array: npt.NDArray[np.float32], place: Tensor) -> Tensor:
    if array.shape != tuple(place.shape):
        raise RuntimeError(f"found shape {array.shape} where {tuple(place.shape)} belongs")
    return torch.from_numpy(array)
