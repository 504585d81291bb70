"""hsi-ssl: class maps of hyperspectral images from few labelled and many unlabelled pixels.

What is listed in `__all__` is the library; `docs/library.md` shows it at work. Nothing is imported
before it is asked for, so that `import hsi_ssl` and the command line start at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsi_ssl.datasets.store import Dataset as Dataset
    from hsi_ssl.errors import HsiSslError as HsiSslError
    from hsi_ssl.errors import HsiSslWarning as HsiSslWarning
    from hsi_ssl.library.classifying import SemiSupervisedClassifier as SemiSupervisedClassifier
    from hsi_ssl.library.features import M1Features as M1Features
    from hsi_ssl.library.runs import Run as Run
    from hsi_ssl.library.runs import load_run as load_run
    from hsi_ssl.library.scenes import from_xarray as from_xarray
    from hsi_ssl.library.scenes import open_dataset as open_dataset
    from hsi_ssl.library.scenes import open_scene as open_scene
    from hsi_ssl.library.scenes import prepare as prepare
    from hsi_ssl.scenes.scene import Scene as Scene

__version__ = "0.1.0"

_PLACES = {
    "Dataset": "datasets.store",
    "HsiSslError": "errors",
    "HsiSslWarning": "errors",
    "M1Features": "library.features",
    "Run": "library.runs",
    "Scene": "scenes.scene",
    "SemiSupervisedClassifier": "library.classifying",
    "from_xarray": "library.scenes",
    "load_run": "library.runs",
    "open_dataset": "library.scenes",
    "open_scene": "library.scenes",
    "prepare": "library.scenes",
}
"""Public name -> module below this one that has it."""

__all__ = [
    "Dataset",
    "HsiSslError",
    "HsiSslWarning",
    "M1Features",
    "Run",
    "Scene",
    "SemiSupervisedClassifier",
    "__version__",
    "from_xarray",
    "load_run",
    "open_dataset",
    "open_scene",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
