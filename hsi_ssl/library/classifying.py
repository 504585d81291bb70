"""M2 and M1+M2 as a classifier of scikit-learn, with labelled and unlabelled pixels in one X."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hsi_ssl.errors import HsiSslWarning, LabelError, SettingsError
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.library.among import among_neighbours
from hsi_ssl.library.arrays import dataset_of_arrays, label_set_of
from hsi_ssl.library.features import M1Features
from hsi_ssl.library.fitting import (
    HoldsRun,
    RunFiles,
    files_of,
    in_folder,
    seed_of,
    spectra_of,
    stage_settings,
)
from hsi_ssl.library.positions import neighbours_of
from hsi_ssl.library.scenes import PathLike
from hsi_ssl.library.telling import TELLING
from hsi_ssl.settings import M2Settings, prior_strength
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

MANAGED = {"dataset", "output", "m1", "label_set", "generation", "inference", "free_slots"}
"""Settings that no user of the estimator gives: some need what arrays cannot say."""
LEAST_CLASSES = 2


class SemiSupervisedClassifier(HoldsRun[Classifier], ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The classifier M2, or M1+M2 (Kingma et al. 2014), on labelled and unlabelled spectra.

    X holds both: where y is -1 a spectrum has no label, as for scikit-learn's own semi-supervised
    estimators. A supervised classifier is trained first, then the whole model with the unlabelled
    spectra; the one that does better on validation spectra is kept.

    With positions, neighbouring pixels tell each other their class by a Potts prior, while it
    learns and when it predicts. They are given beside X (`fit(X, y, positions=...)`) or, since
    scikit-learn passes nothing beside X to `predict` in cross-validation, in columns of X
    (`position_columns`). What is predicted without them has no such prior, and that is warned of.

    Parameters
    ----------
    epochs, supervised_epochs
        Passes over the spectra of the whole model, and of the supervised part before it.
    scaling, components
        As of `prepare`: `noise` divides each band by its measured noise and keeps the leading
        components; `standard`, `minmax` and so on.
    validation_fraction
        Share of each class's labelled spectra that chooses the state to keep and calibrates
        probabilities. With positions it is drawn in blocks, and labels at their border are left
        out. 0: none, and the last state is kept.
    m1
        An `M1Features` to be trained on the same spectra first, whose features are then used
        (M1+M2); None: M2 on spectra.
    spatial
        Strength of the prior in `predict`: `tuned` on validation spectra, `learnt`, or a number.
    position_columns
        Numbers or names of the columns of X that hold row and column, or scene, row and column.
    wavelengths_nm
        One a band of X, for the run that `save` writes: scenes are matched by them.
    unlabelled
        What stands for no label in y; None: every value is a class.
    settings
        Others of `[m2]` in `hsi-ssl.toml`, such as `{"latent": 20, "alpha": 0.1}`.
    random_state
        Seed of all random numbers, the choice of validation spectra among them.
    device
        `auto`, `cpu`, `cuda`, `cuda:i`, or another that torch has here, such as `mps`.

    Attributes
    ----------
    classes_
        The classes, in the order of the columns of `predict_proba`.
    n_iter_
        Epochs that the whole model was trained for.
    strength_
        Strength of the prior in `predict`.
    card_
        What `hsi-ssl train-m2` writes into the card of a run: settings, scaling, scores, what
        unlabelled spectra gained.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> rng = np.random.default_rng(0)
    >>> classes = np.repeat([3, 7], 100)
    >>> X = np.where(classes == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (200, 5))
    >>> y = np.where(rng.random(200) < 0.2, classes, -1)  # four fifths without a label
    >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
    >>> fast.fit(X, y).score(X, classes)
    1.0
    """

    kind = "m2"
    strength_: float
    _warned: bool

    def __init__(
        self,
        *,
        epochs: int = 12,
        supervised_epochs: int = 20,
        scaling: str = "noise",
        components: int = 30,
        validation_fraction: float = 0.2,
        m1: M1Features | None = None,
        spatial: float | str = "tuned",
        position_columns: Sequence[int | str] | None = None,
        wavelengths_nm: npt.ArrayLike | None = None,
        unlabelled: Any = -1,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.epochs = epochs
        self.supervised_epochs = supervised_epochs
        self.scaling = scaling
        self.components = components
        self.validation_fraction = validation_fraction
        self.m1 = m1
        self.spatial = spatial
        self.position_columns = position_columns
        self.wavelengths_nm = wavelengths_nm
        self.unlabelled = unlabelled
        self.settings = settings
        self.random_state = random_state
        self.device = device

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, positions: npt.ArrayLike | None = None
    ) -> Self:
        """Learn from spectra `(n, bands)` with classes `y (n,)`, `unlabelled` where there is none.

        `positions (n, 2)`: row and column of each pixel; `(n, 3)`: scene, row and column.

        Raises
        ------
        ValueError
            X or y is not what scikit-learn's estimators take.
        HsiSslError
            Fewer than two classes are labelled; positions or parameters are unfit; spectra are all
            equal; training diverged.
        """
        self._check()
        values, labels = validate_data(self, X, y, ensure_min_samples=2)
        spectra, places = spectra_of(self, values, positions)
        self.classes_, label = self._indices(labels)
        seed = seed_of(self.random_state)

        def work(folder: Path) -> RunFiles:
            dataset = dataset_of_arrays(
                folder / "dataset.h5",
                spectra,
                label,
                label_set_of(list(self.classes_)),
                positions=places,
                validation=self.validation_fraction,
                scaling=self.scaling,
                components=self.components,
                wavelengths_nm=self.wavelengths_nm,
                seed=seed,
                watcher=TELLING,
            )
            m1 = None
            if self.m1 is not None:
                m1 = folder / "m1"
                train_m1(self.m1.stage(dataset.path, m1, seed), watcher=TELLING)
            own = {
                "dataset": dataset.path, "output": folder / "m2", "m1": m1, "epochs": self.epochs,
                "supervised_epochs": self.supervised_epochs, "spatial": places is not None,
                "seed": seed, "device": self.device,
            }  # fmt: skip
            train_m2(stage_settings(M2Settings, own, self.settings, MANAGED), watcher=TELLING)
            return files_of(folder / "m2")

        return self._keep(in_folder(work), places is not None)

    def predict(self, X: npt.ArrayLike, positions: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """The most probable class `(n,)` of spectra `(n, bands)`.

        `positions` as in `fit`: pixels of X that lie side by side then hear of each other.
        """
        p = self.predict_proba(X, positions)
        found: npt.NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return found

    def predict_proba(
        self, X: npt.ArrayLike, positions: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float64]:
        """Probability `(n, K)` of each class of `classes_`; `positions` as in `predict`."""
        check_is_fitted(self)
        spectra, places = spectra_of(self, validate_data(self, X, reset=False), positions)
        if places is None and self._with_positions and self.strength_ and not self._warned:
            self._warned = True
            warnings.warn(
                "this classifier learnt with positions and predicts without, and so without its "
                "spatial prior: give positions, or carry them in X (position_columns), as "
                "cross-validation needs",
                HsiSslWarning,
                stacklevel=2,
            )
        if places is None or not self.strength_:
            p = self._model.posterior(spectra)
        else:
            p = among_neighbours(self._model, spectra, neighbours_of(places), self.strength_)
        whole = p.astype(np.float64)
        found: npt.NDArray[np.float64] = whole / whole.sum(axis=1, keepdims=True)
        return found

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write a run folder, as `hsi-ssl train-m2` does, for `load_run` and `hsi-ssl classify`.

        Classes that are whole numbers from 1 to 65535 are codes there; others are numbered from 1
        in the order of `classes_`, which become names.

        Raises
        ------
        OutputError
            It holds something already, or cannot be written.
        """
        self._save(path, overwrite=overwrite)

    def _check(self) -> None:
        """Refuse parameters that are unfit."""
        if not 0 <= self.validation_fraction < 1:
            raise SettingsError(
                f"validation_fraction {self.validation_fraction!r}; expected a share from 0 to "
                "below 1"
            )
        try:
            prior_strength(self.spatial)
        except ValueError as error:
            raise SettingsError(f"spatial {self.spatial!r}; expected {error}") from None
        if self.m1 is not None and (self.m1.scaling, self.m1.components) != (
            self.scaling,
            self.components,
        ):
            raise SettingsError(
                f"m1 scales by {self.m1.scaling} to {self.m1.components} components and the "
                f"classifier by {self.scaling} to {self.components}; expected the same of both"
            )

    def _indices(self, y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """The classes, and each pixel's index among them, -1 without label.

        Raises
        ------
        LabelError
            They are fewer than two.
        """
        # numpy does not compare arrays of text with numbers.
        comparable = y.dtype.kind not in "US" or isinstance(self.unlabelled, str)
        labelled = np.ones(len(y), bool)
        if self.unlabelled is not None and comparable:
            labelled = np.asarray(y != self.unlabelled)
        check_classification_targets(y[labelled])
        classes, index = np.unique(y[labelled], return_inverse=True)
        if len(classes) < LEAST_CLASSES:
            raise LabelError(
                f"labels of {len(classes)} class{'' if len(classes) == 1 else 'es'} among {len(y)} "
                f"pixels; expected two classes or more ({self.unlabelled!r} is no label)"
            )
        label = np.full(len(y), UNLABELLED, np.int64)
        label[labelled] = index
        return classes, label

    def _keep(self, files: RunFiles, with_positions: bool) -> Self:
        self._hold(files)
        self._with_positions, self._warned = with_positions, False
        self.card_ = self._model.card
        self.n_iter_ = max(1, int(self.card_["training"]["epochs"]))
        self.strength_ = self._strength()
        return self

    def _strength(self) -> float:
        asked = prior_strength(self.spatial)
        if not isinstance(asked, str):
            return asked
        if asked == "learnt":
            return float(self.card_["spatial_strength"])
        tuned = self.card_["spatial_tuned"]
        if tuned is None and self._with_positions:
            TELLING.warn(
                "no validation spectra to tune the spatial prior on: it is not used in predict; "
                "give validation_fraction, or spatial='learnt' or a number"
            )
        return 0.0 if tuned is None else float(tuned["strength"])

    def _load(self, run: Path) -> Classifier:
        return load_classifier(run, self.device)
