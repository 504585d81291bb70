"""What both estimators do: check what they are given, train in a folder that goes, keep the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy.typing as npt
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hsi_ssl.checking import Settings, checked
from hsi_ssl.claims import claimed
from hsi_ssl.errors import SettingsError
from hsi_ssl.inference.checkpoint import CARD, WEIGHTS, check_run_folder, load_run, save_run
from hsi_ssl.library.positions import Positions, as_positions, columns_of
from hsi_ssl.library.scenes import PathLike
from hsi_ssl.library.spectra import as_numbers

S = TypeVar("S", bound=Settings)
T = TypeVar("T")
RunFiles = dict[str, bytes]
"""The files of a run folder by name: the card in JSON, the weights as safetensors."""
WRITTEN = {
    "schema", "hsi_ssl", "torch", "git_commit", "created", "weights_sha256", "metrics_sha256",
}  # fmt: skip
"""What `save_run` says of a card by itself."""


def seed_of(random_state: Any) -> int:
    """A seed for a training, drawn as scikit-learn draws."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def spectra_of(
    estimator: Any, values: npt.NDArray[Any], positions: npt.ArrayLike | None
) -> tuple[npt.NDArray[Any], Positions | None]:
    """Spectra `(n, bands)` of what scikit-learn has checked, and positions beside it or in it.

    Raises
    ------
    SceneError
        As `as_positions` and `columns_of`.
    SettingsError
        Positions are given in both ways.
    """
    values, columns = as_numbers(values), estimator.position_columns
    if columns is None:
        return values, None if positions is None else as_positions(positions, len(values))
    if positions is not None:
        raise SettingsError(
            f"positions are given and position_columns={columns!r} too; expected one of them"
        )
    names = getattr(estimator, "feature_names_in_", None)
    places, bands = columns_of(columns, values.shape[1], names)
    return values[:, bands], as_positions(values[:, places], len(values))


def stage_settings(
    kind: type[S], own: Mapping[str, Any], more: Mapping[str, Any] | None, managed: set[str]
) -> S:
    """Settings of a stage: an estimator's `own`, and what its user gives `more`.

    Raises
    ------
    SettingsError
        One of them is unknown or unfit, or is for the estimator to set.
    """
    given = dict(more or {})
    taken = sorted(set(given) & (managed | set(own)))
    if taken:
        raise SettingsError(
            f"settings: {', '.join(taken)} cannot be given here; parameters of the estimator say "
            "it, or nothing does"
        )
    return checked(kind, {**own, **given}, where="settings")


def in_folder(work: Callable[[Path], T]) -> T:
    """What `work` makes of an empty folder, which then goes."""
    with tempfile.TemporaryDirectory(prefix="hsi-ssl-") as folder:
        return work(Path(folder))


def files_of(run: Path) -> RunFiles:
    """A run folder's model, in memory."""
    return {name: (run / name).read_bytes() for name in (CARD, WEIGHTS)}


def opened(files: RunFiles, load: Callable[[Path], T]) -> T:
    """What `load` makes of a run folder with these files."""

    def work(folder: Path) -> T:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return load(folder)

    return in_folder(work)


def save_files(files: RunFiles, kind: str, path: PathLike, *, overwrite: bool) -> None:
    """Write a run folder as the stages do.

    Raises
    ------
    OutputError
        It holds something already, or cannot be written.
    """
    run = Path(path)
    with claimed(run):
        check_run_folder(run, resume=False, overwrite=overwrite)
        card, tensors = opened(files, lambda folder: load_run(folder, kind))
        save_run(run, tensors, {key: value for key, value in card.items() if key not in WRITTEN})


class HoldsRun(Generic[T]):
    """An estimator that holds its trained run: the files in memory, and what they open to.

    It is pickled as the files alone. `kind` is what run folders of it are called, m1 or m2.
    """

    kind: ClassVar[str]
    _files: RunFiles
    _model: T

    def _load(self, run: Path) -> T:
        """The model in a run folder."""
        raise NotImplementedError

    def _hold(self, files: RunFiles) -> None:
        """Take the files of a run that has been trained."""
        self._files = files
        self._model = opened(files, self._load)

    def _save(self, path: PathLike, *, overwrite: bool) -> None:
        check_is_fitted(self)
        save_files(self._files, self.kind, path, overwrite=overwrite)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {key: value for key, value in state.items() if key != "_model"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        if "_files" in state:
            self._model = opened(self._files, self._load)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_files")
