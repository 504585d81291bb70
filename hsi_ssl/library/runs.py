"""A trained classifier, opened from its run folder and applied to whatever a program has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.checking import checked
from hsi_ssl.errors import LabelError, ModelError, SettingsError
from hsi_ssl.inference.checkpoint import model_name
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.dataset_prior import strength_of
from hsi_ssl.inference.discovered import MapClasses, load_discovered, map_classes
from hsi_ssl.inference.generation import Generator
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet, indices_to_codes
from hsi_ssl.library.among import among_neighbours, grid_neighbours
from hsi_ssl.library.scenes import PathLike
from hsi_ssl.library.spectra import Fitted, fitted_spectra
from hsi_ssl.library.telling import TELLING
from hsi_ssl.maps.classify import classify_scenes, classify_sources
from hsi_ssl.maps.one_map import ClassifyResult
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.settings import ClassifySettings, prior_strength
from hsi_ssl.watcher import Watcher

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
CUBE = 3
"""Axes of an array whose pixels are neighbours."""
NAMED = 8
"""Classes that a `repr` names."""


@dataclass(frozen=True, repr=False)
class Run:
    """A trained classifier of one label set or several; `load_run` gives it.

    `path` is its folder, `classifiers` one for each label set, `watcher` hears what was guessed of
    spectra and scenes.
    """

    path: Path
    classifiers: tuple[Classifier, ...]
    watcher: Watcher

    @cached_property
    def label_sets(self) -> tuple[LabelSet, ...]:
        """Codes, names and colours of the classes, those that were discovered among them."""
        return tuple(classes.label_set for classes in self._classes)

    @property
    def wavelengths_nm(self) -> list[float] | None:
        """Of the bands that the model uses, None where its files told none."""
        return self.classifiers[0].wavelengths_nm

    def predict(
        self,
        spectra: npt.ArrayLike,
        *,
        label_set: str | None = None,
        wavelengths_nm: npt.ArrayLike | None = None,
        spatial: float | str = 0.0,
        scale: float | None = None,
        resample: bool = False,
        force: bool = False,
    ) -> Codes:
        """Codes of the classes `(...)` of spectra `(..., bands)`, of a cube or a list or one.

        0 where a spectrum holds no measurement, or lies in a free slot in which nothing was
        discovered, as on maps.

        Parameters
        ----------
        spectra
            Raw numbers of any type and byte order, in the unit of the scenes that the model learnt
            from; or a `DataArray` of three dimensions. NaN, what a masked array masks, and spectra
            of zeros are no measurement.
        label_set
            Which one, where the run has several.
        wavelengths_nm
            One a band: by them bands are found where there are others than the model's files had.
        spatial
            Strength of the Potts prior between the pixels of a cube `(rows, cols, bands)`: a
            number, `learnt` or `tuned`; 0 for none.
        scale
            What numbers are multiplied by to be in the unit wanted, as `classify --scale`.
        resample
            Interpolate other bands to the model's.
        force
            Go on where numbers are in another range than those that the model learnt from.

        Raises
        ------
        SceneError
            There are no numbers, or not one spectrum holds a measurement.
        BandsError, UnitsError
            The bands or numbers are not the model's.
        ModelError
            The run has several label sets and none is named; no strength was tuned.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([3, 7], 60)
        >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
        >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
        >>> fast.fit(X, y).save("runs/example")
        >>> run = hsi_ssl.load_run("runs/example")
        >>> run.predict([[10, 10, 10, 10, 10], [20, 20, 20, 20, 20], [0, 0, 0, 0, 0]]).tolist()
        [3, 7, 0]
        >>> run.predict(X.reshape(12, 10, 5).astype(">f4")).shape
        (12, 10)
        """
        place, found = self._brought(spectra, label_set, wavelengths_nm, scale, resample, force)
        p = self._posterior(place, found, spatial)
        classes = self._classes[place]
        best = p.argmax(1)
        indices = np.where(np.isfinite(p[np.arange(len(p)), best]), classes.indices(best), -1)
        codes = indices_to_codes(indices, classes.label_set)
        return found.spread(codes, UNLABELLED_CODE)

    def predict_proba(
        self,
        spectra: npt.ArrayLike,
        *,
        label_set: str | None = None,
        wavelengths_nm: npt.ArrayLike | None = None,
        spatial: float | str = 0.0,
        scale: float | None = None,
        resample: bool = False,
        force: bool = False,
    ) -> Floats:
        """Probabilities `(..., K)` of the classes in the order of `label_sets`, as `predict`.

        NaN where a spectrum holds no measurement. They sum to 1, or, in a run with free slots, to
        less: what is missing lies in those in which nothing was discovered.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([3, 7], 60)
        >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
        >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
        >>> fast.fit(X, y).save("runs/probabilities")
        >>> p = hsi_ssl.load_run("runs/probabilities").predict_proba(X)
        >>> p.shape, bool(np.allclose(p.sum(axis=1), 1))
        ((120, 2), True)
        """
        place, found = self._brought(spectra, label_set, wavelengths_nm, scale, resample, force)
        p = self._posterior(place, found, spatial)
        return found.spread(p[:, self._classes[place].columns], np.nan)

    def encode(
        self,
        spectra: npt.ArrayLike,
        *,
        wavelengths_nm: npt.ArrayLike | None = None,
        scale: float | None = None,
        resample: bool = False,
        force: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Where spectra `(..., bands)` lie in latent space, `(..., J)`; NaN without measurement.

        The mean of M1's q(z|x) in the units that M2 reads; without M1 that of M2's q(z|x, y), y
        being the most probable class. Parameters and errors as for `predict`.

        Raises
        ------
        ModelError
            It is an M2 of several label sets without M1.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([3, 7], 60)
        >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
        >>> fast = hsi_ssl.SemiSupervisedClassifier(
        ...     epochs=2, supervised_epochs=5, settings={"latent": 4}, random_state=0
        ... )
        >>> fast.fit(X, y).save("runs/latent")
        >>> hsi_ssl.load_run("runs/latent").encode(X).shape
        (120, 4)
        """
        _, found = self._brought(
            spectra, self.label_sets[0].name, wavelengths_nm, scale, resample, force
        )
        means = Generator(self.classifiers[0]).latent_means(found.raw)
        return found.spread(means, np.nan)

    def generate(
        self, label: int | str, n: int = 1, *, random_state: int = 0
    ) -> npt.NDArray[np.float64]:
        """What might be measured of a class, given by code or name: spectra `(n, used bands)`.

        Draws of p(x|y) with the sensor's noise, in the unit of the files that the model learnt
        from where its scaling leads back to it.

        Raises
        ------
        LabelError
            There is no such class.
        ModelError
            The run has several label sets.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([3, 7], 60)
        >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
        >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
        >>> fast.fit(X, y).save("runs/generated")
        >>> hsi_ssl.load_run("runs/generated").generate(7, n=10).shape
        (10, 5)
        """
        generator = Generator(self.classifiers[0], random_state)
        known = self.classifiers[0].label_set
        which = [k for k, c in enumerate(known.classes) if label in (c.code, c.name)]
        if not which:
            raise LabelError(f"no class {label!r}; expected one of {_named(known, len(known))}")
        return generator.sampled(which[0], n)

    def classify(
        self,
        scenes: Scene | PathLike | Iterable[Scene | PathLike],
        output: PathLike | None = None,
        *,
        overwrite: bool = False,
        **settings: Any,
    ) -> list[ClassifyResult]:
        """Write the class maps of scenes, as `hsi-ssl classify` does.

        Parameters
        ----------
        scenes
            Files, folders, names from `hsi-ssl catalog list`, or open scenes; or one of them.
        output
            A map (`.tif`, `.img`), a folder, or a mosaic (`.vrt`); by default
            `<scene>_classes.tif` in the current folder.
        overwrite
            Replace maps that are there.
        **settings
            Those of `[classify]` in `hsi-ssl.toml`: `confidence`, `probabilities`, `reject`,
            `spatial`, `area` and so on; `workers`, `scheduler` and `shard` of many scenes.

        Returns
        -------
        list
            What was made, a map for each scene and label set: `map` is its path, `counts` its
            pixels by code.

        Raises
        ------
        ScenesError
            Some of several scenes failed; the other maps are made.
        HsiSslError
            As `hsi_ssl.maps.classify.classify`.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([3, 7], 60)
        >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
        >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
        >>> fast.fit(X, y).save("runs/mapping")
        >>> np.save("flight.npy", X.reshape(12, 10, 5))
        >>> run = hsi_ssl.load_run("runs/mapping")
        >>> [made] = run.classify("flight.npy", "map.tif", confidence=True)
        >>> made.map.name, made.classified
        ('map.tif', 120)
        """
        if {"model", "device", "scenes"} & set(settings):
            raise SettingsError(
                "model and device are those of the run: give them to load_run; scenes come first"
            )
        each = [scenes] if isinstance(scenes, (Scene, str, os.PathLike)) else list(scenes)
        opened = [scene for scene in each if isinstance(scene, Scene)]
        chosen = checked(
            ClassifySettings,
            {
                **settings,
                "scenes": tuple(os.fspath(s) for s in each if not isinstance(s, Scene)),
                "model": self.path,
                "output": output,
            },
            where="classify",
        )
        if not opened:
            return classify_sources(
                self.classifiers, chosen, overwrite=overwrite, watcher=self.watcher
            )
        if chosen.scenes:
            raise SettingsError("expected open scenes or names of scenes, found both: give either")
        if chosen.reading != ClassifySettings().reading:
            raise SettingsError(
                "an open scene is read as it was opened: give variable, wavelengths, scale, axes "
                "and masks to open_scene"
            )
        return classify_scenes(
            opened, self.classifiers, chosen, overwrite=overwrite, watcher=self.watcher
        )

    def __repr__(self) -> str:
        first = self.classifiers[0]
        card, bands = first.card, len(first.used_bands)
        ends = first.wavelengths_nm
        at = "" if ends is None else f" from {min(ends):.1f} to {max(ends):.1f} nm"
        lines = [f"<Run {self.path}: {model_name(card)} on {bands} bands{at}"]
        for label_set, one in zip(self.label_sets, self.classifiers, strict=True):
            score = one.card["metrics"].get("validation", {}).get("macro_f1")
            told = "" if score is None else f", validation macro-F1 {score:.3f}"
            lines.append(
                f"  {label_set.name}: {len(label_set)} classes{told}: {_named(label_set, NAMED)}"
            )
        return "\n".join(lines) + ">"

    @cached_property
    def _classes(self) -> tuple[MapClasses, ...]:
        return tuple(
            map_classes(one.label_set, load_discovered(self.path, one.card))
            for one in self.classifiers
        )

    def _brought(
        self,
        spectra: npt.ArrayLike,
        label_set: str | None,
        wavelengths_nm: npt.ArrayLike | None,
        scale: float | None,
        resample: bool,
        force: bool,
    ) -> tuple[int, Fitted]:
        """Which label set is meant, and the spectra as its classifier takes them."""
        names = [one.name for one in self.label_sets]
        if label_set is None and len(names) > 1:
            raise ModelError(
                f"{self.path} has several label sets ({', '.join(names)}): name one with label_set="
            )
        if label_set is not None and label_set not in names:
            raise ModelError(
                f"{self.path} has no label set {label_set}; expected one of {', '.join(names)}"
            )
        place = 0 if label_set is None else names.index(label_set)
        found = fitted_spectra(
            spectra,
            self.classifiers[place].card,
            wavelengths_nm=wavelengths_nm,
            scale=scale,
            resample=resample,
            force=force,
            watcher=self.watcher,
        )
        return place, found

    def _posterior(self, place: int, found: Fitted, spatial: float | str) -> Floats:
        """Of the valid spectra, `(n, K + free slots)`."""
        classifier = self.classifiers[place]
        try:
            asked = prior_strength(spatial)
        except ValueError as error:
            raise SettingsError(f"spatial: expected {error} (found {spatial!r})") from None
        strength = strength_of(classifier.card, asked)
        if not strength:
            return classifier.posterior(found.raw)
        if len(found.shape) != CUBE - 1:
            raise SettingsError(
                f"spatial={spatial!r} needs a cube (rows, cols, bands), whose pixels are "
                f"neighbours; found spectra of shape {found.shape}"
            )
        table = grid_neighbours(found.valid.reshape(found.shape))
        return among_neighbours(classifier, found.raw, table, strength)


def load_run(path: PathLike, *, device: str = "auto", watcher: Watcher = TELLING) -> Run:
    """Open a classifier that `hsi-ssl train-m2` or `SemiSupervisedClassifier.save` has written.

    Parameters
    ----------
    path
        Its run folder.
    device
        `auto`, `cpu`, `cuda`, `cuda:i`, or another that torch has here, such as `mps`.
    watcher
        Hears what is guessed of spectra and scenes; by default warnings are Python's, and notes are
        logged by `hsi_ssl`.

    Raises
    ------
    ModelError
        The folder is missing or broken, or holds no classifier.
    DeviceError
        The device is not there.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([3, 7], 60)
    >>> X = np.where(y == 3, 10.0, 20.0)[:, None] + rng.normal(0, 1, (120, 5))
    >>> fast = hsi_ssl.SemiSupervisedClassifier(epochs=2, supervised_epochs=5, random_state=0)
    >>> fast.fit(X, y).save("runs/loaded")
    >>> hsi_ssl.load_run("runs/loaded")  # doctest: +ELLIPSIS
    <Run runs/loaded: M2 on 5 bands
      labels: 2 classes, validation macro-F1 1.000: 3 (3), 7 (7)>
    """
    run = Path(path)
    return Run(run, tuple(load_classifiers(run, device)), watcher)


def _named(label_set: LabelSet, most: int) -> str:
    """The first classes by name and code."""
    shown = ", ".join(f"{c.name} ({c.code})" for c in label_set.classes[:most])
    return shown if len(label_set) <= most else f"{shown}, ... "
