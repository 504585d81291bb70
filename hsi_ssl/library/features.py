"""M1 as a transformer of scikit-learn: spectra in, latent features out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (  # type: ignore[import-untyped, unused-ignore]
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from hsi_ssl.inference.extractor import Extractor, load_m1
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.library.arrays import dataset_of_arrays
from hsi_ssl.library.fitting import (
    HoldsRun,
    RunFiles,
    files_of,
    in_folder,
    seed_of,
    spectra_of,
    stage_settings,
)
from hsi_ssl.library.scenes import PathLike
from hsi_ssl.library.telling import TELLING
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.m1_stage import train_m1

MANAGED = {"dataset", "output"}
"""Settings that no user of the estimator gives."""


class M1Features(
    HoldsRun[Extractor],
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """The latent-feature model M1 (Kingma et al. 2014), or another extractor, as a transformer.

    It learns from every spectrum of X, and no label. `transform` gives the mean of q(z|x), or
    another extractor's features, one column a unit, float32.

    Parameters
    ----------
    extractor
        `vae`, which is M1, or another: `pca`, `ae`, `denoising`, ... (`docs/extractors.md`).
    options
        The extractor's own, such as `{"noise": 0.2}`.
    latent
        Units: features a spectrum.
    hidden
        Widths of the hidden layers of each network.
    epochs, patience, learning_rate
        Passes over the spectra at most; those without improvement on held-out spectra (a tenth)
        before it stops; Adam's rate.
    scaling, components
        As of `prepare`: `noise` divides each band by its measured noise and keeps the leading
        components; `standard`, `minmax` and so on.
    position_columns
        Numbers or names of the columns of X that hold row and column (or scene, row and column)
        rather than bands: `scaling="mnf"` measures noise between neighbours, and nothing else of M1
        looks at them.
    settings
        Others of `[m1]` in `hsi-ssl.toml`, such as `{"warm_up": 10}`.
    random_state
        Seed of all random numbers.
    device
        `auto`, `cpu`, `cuda`, `cuda:i`, or another that torch has here, such as `mps`.

    Attributes
    ----------
    n_iter_
        Epochs that it was trained for.
    card_
        What `hsi-ssl train-m1` writes into the card of a run: settings, scaling, bounds, units in
        use.

    Raises
    ------
    ValueError
        From `fit` and `transform`: X is no finite array of numbers, or of another width.
    HsiSslError
        The same of what the project itself refuses, such as spectra that are all equal.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> X = np.random.default_rng(0).normal(size=(200, 6)) + np.linspace(5, 9, 6)
    >>> m1 = hsi_ssl.M1Features(latent=3, hidden=(16,), epochs=2, random_state=0)
    >>> m1.fit_transform(X).shape
    (200, 3)
    >>> pca = hsi_ssl.M1Features(extractor="pca", latent=2).fit(X)
    >>> pca.card_["extractor"], pca.transform(X).shape
    ('pca', (200, 2))
    """

    kind = "m1"

    def __init__(
        self,
        *,
        extractor: str = "vae",
        options: Mapping[str, bool | int | float | str] | None = None,
        latent: int = 50,
        hidden: Sequence[int] = (500, 500),
        epochs: int = 200,
        patience: int = 20,
        learning_rate: float = 1e-3,
        scaling: str = "noise",
        components: int = 30,
        position_columns: Sequence[int | str] | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.extractor = extractor
        self.options = options
        self.latent = latent
        self.hidden = hidden
        self.epochs = epochs
        self.patience = patience
        self.learning_rate = learning_rate
        self.scaling = scaling
        self.components = components
        self.position_columns = position_columns
        self.settings = settings
        self.random_state = random_state
        self.device = device

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Learn from spectra `(n, bands)`; `y` is not looked at."""
        values = validate_data(self, X, ensure_min_samples=2)
        spectra, positions = spectra_of(self, values, None)
        seed = seed_of(self.random_state)

        def work(folder: Path) -> RunFiles:
            dataset = dataset_of_arrays(
                folder / "dataset.h5",
                spectra,
                np.full(len(spectra), -1, np.int64),
                LabelSet("labels", ()),
                positions=positions,
                validation=0,
                scaling=self.scaling,
                components=self.components,
                wavelengths_nm=None,
                seed=seed,
                watcher=TELLING,
            )
            train_m1(self.stage(dataset.path, folder / "m1", seed), watcher=TELLING)
            return files_of(folder / "m1")

        return self._keep(in_folder(work))

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Features `(n, latent)` of spectra `(n, bands)`; those of M1 are the mean of q(z|x)."""
        check_is_fitted(self)
        spectra, _ = spectra_of(self, validate_data(self, X, reset=False), None)
        return self._model.features(spectra)[0]

    def stage(self, dataset: Path, run: Path, seed: int) -> M1Settings:
        """Settings of the stage `train-m1` on a dataset.

        Raises
        ------
        SettingsError
            A parameter is unfit.
        """
        own = {
            "dataset": dataset, "output": run, "extractor": self.extractor,
            "options": dict(self.options or {}), "latent": self.latent,
            "hidden": tuple(self.hidden), "epochs": self.epochs, "patience": self.patience,
            "learning_rate": self.learning_rate, "seed": seed, "device": self.device,
        }  # fmt: skip
        return stage_settings(M1Settings, own, self.settings, MANAGED)

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write a run folder, as `hsi-ssl train-m1` does, for `hsi-ssl features` and others.

        Raises
        ------
        OutputError
            It holds something already, or cannot be written.
        """
        self._save(path, overwrite=overwrite)

    def _keep(self, files: RunFiles) -> Self:
        self._hold(files)
        self.card_ = self._model.card
        self.n_iter_ = max(1, int(self.card_["training"]["epochs"]))
        self._n_features_out = self._model.model.units
        return self

    def _load(self, run: Path) -> Extractor:
        return load_m1(run, self.device)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
