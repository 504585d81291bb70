"""Everything that a user can set right: one family of errors, one clear sentence each.

The message says what was expected, what was found and what to do. The command line prints it
without a traceback and exits with code 2; anything else that escapes is our bug (code 1).
"""

from typing import Any

from hsi_ssl.hidden import visible


class HsiSslError(Exception):
    """Root of the family: the user must change something."""

    def __str__(self) -> str:
        """The sentence; of what is being written it names the place where it is to be."""
        return visible(super().__str__())


class SettingsError(HsiSslError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class SceneError(HsiSslError, ValueError):
    """A cube can be found but not used: broken, ambiguous, or without a valid pixel."""


class DamagedSceneError(SceneError):
    """A file of a format that is known is not whole: a scene that was, not some other file."""


class SceneNotFoundError(HsiSslError, FileNotFoundError):
    """A file, or a data set inside it, is not there."""


class LabelError(HsiSslError, ValueError):
    """Labels do not fit their scene, or are no class codes, or are too few to learn from."""


class VectorError(HsiSslError, ValueError):
    """A layer of polygons, lines or points is broken, or does not fit the scene."""


class CatalogError(HsiSslError, LookupError):
    """No catalog entry of that name, or its files cannot be had."""


class FetchError(HsiSslError, OSError):
    """A download failed or its checksum is wrong."""


class DatasetError(HsiSslError, ValueError):
    """A prepared dataset is missing, broken, or does not suit what is asked of it."""


class ModelError(HsiSslError, ValueError):
    """A run folder is missing, broken, or does not suit the data."""


class BandsError(ModelError):
    """A scene's bands are not those that the model was trained on."""


class UnitsError(HsiSslError, ValueError):
    """Numbers are not in the unit that is expected, or nobody can tell."""


class LibraryError(HsiSslError, ValueError):
    """A spectral library is missing, broken, or does not cover the bands."""


class DeviceError(HsiSslError, RuntimeError):
    """The device asked for is not there."""


class ProcessError(HsiSslError, RuntimeError):
    """Of the processes of one training another has ended, or sees something else."""


class ToldElsewhereError(HsiSslError, RuntimeError):
    """Another process of the same training has said already why all end."""


class OutputError(HsiSslError, OSError):
    """An output cannot be written: it exists, the folder is read-only, the disk is full."""


class WorkerError(HsiSslError, RuntimeError):
    """A process that works for this one died, or a cluster's is not there or not like this one."""


class ScenesError(HsiSslError, RuntimeError):
    """Some of many scenes failed and the others are done.

    `failed` are their names and the reasons, `results` what `--json` tells of the others.
    """

    def __init__(
        self, failed: list[tuple[str, str]], scenes: int, results: list[dict[str, Any]]
    ) -> None:
        self.failed, self.results = failed, results
        lines = "".join(f"\n  {name}: {reason}" for name, reason in failed)
        super().__init__(
            f"{len(failed)} of {scenes} scenes failed; the other maps are there, and the same "
            f"command tries these again:{lines}"
        )


class HsiSslWarning(UserWarning):
    """Something that whoever uses the library should look at."""


class PictureWarning(UserWarning):
    """A picture shows something otherwise than it is called."""
