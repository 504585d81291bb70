"""Options that several commands share, and how they meet the settings file.

--project FILE    settings file, by default ./hsi-ssl.toml where there is one
--json            one JSON object on standard output and nothing else
-v, -q            say more, say less
--seed N          seed of all random numbers of the run
--device D        auto, cpu, cuda, cuda:i, or another that torch has here
--threads N       of the processor
--overwrite       replace an output that exists
--data DIR        where scenes lie that a dataset or a map remembers elsewhere

An option that is not given is None (or empty) and leaves the settings file's value, which leaves
the default.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import SIZE, Terminal, is_further_process, others_heard, several_started

if TYPE_CHECKING:
    from hsi_ssl.checking import Settings
    from hsi_ssl.scenes.reading import Reading
    from hsi_ssl.settings import Project
    from hsi_ssl.training.stage import Draw, Panels

    S = TypeVar("S", bound=Settings)

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_PROJECT = Path("hsi-ssl.toml")
FILE = click.Path(path_type=Path)

seed = click.option("--seed", type=click.IntRange(min=0), help="Seed of all random numbers.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
axes = click.option(
    "--axes",
    metavar="A,B,C",
    help="What the axes of a cube are: bands,rows,cols in the order of the array's.",
)
data = click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    metavar="DIR",
    help="Folder that holds scenes which are not where they were; known again by their content.",
)


def device(command: F) -> F:
    """Add where numbers are worked out, and by how many threads."""
    for add in (
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            expose_value=False,
            callback=_take_threads,
            help="Of the processor [default: as many as others leave cores idle].",
        ),
        click.option("--device", help="auto, cpu, cuda, cuda:i, or another that torch has here."),
    ):
        command = add(command)
    return command


def _take_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """Say it as libraries of numbers hear it when they are imported, and to torch itself."""
    del ctx, param
    if value is None:
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(value)
    import torch  # as all commands with this option do

    torch.set_num_threads(value)


class Widths(click.ParamType[list[int]]):
    """Widths of hidden layers, `500-500`; `none` for no hidden layer."""

    name = "WIDTHS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """Parse one value."""
        if value == "none":
            return []  # not (), which is what an option that was not given leaves
        try:
            return [int(width) for width in value.split("-")]
        except ValueError:
            self.fail(f"{value!r} is no list of widths such as 500-500", param, ctx)


WIDTHS = Widths()


class Assigned(click.ParamType[tuple[str, bool | int | float | str]]):
    """An option of a method's own, `penalty=0.01`."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, bool | int | float | str]:
        """Parse one value: whole number, number, yes or no, else text."""
        name, sign, text = value.partition("=")
        if not sign or not name:
            self.fail(f"{value!r} is no option such as penalty=0.01", param, ctx)
        if text in ("yes", "no", "true", "false"):
            return name.replace("-", "_"), text in ("yes", "true")
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return name.replace("-", "_"), kind(text)
        return name.replace("-", "_"), text


ASSIGNED = Assigned()


class Choice(click.ParamType[str]):
    """One of the names that a setting may have, looked up only when they are wanted."""

    name = "NAME"

    def __init__(self, settings: str, field: str) -> None:
        self.settings, self.field = settings, field

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        from hsi_ssl import settings
        from hsi_ssl.checking import choices

        return choices(getattr(settings, self.settings), self.field)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one name."""
        names = self.names
        if value not in names:
            near = difflib.get_close_matches(str(value), names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.fail(f"{value!r} is not one of {', '.join(names)}{hint}", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """All names, as a choice shows them."""
        return "[" + "|".join(self.names) + "]"


def if_other(option: str, own: Path, usual: Path | None) -> str:
    """Words that name a run to the next command, none where that takes it by itself."""
    if own == usual:
        return ""
    return f" {option} {shlex.quote(str(own))}" if option else f" {shlex.quote(str(own))}"


overlap = click.option(
    "--overlap",
    type=Choice("ReadingSettings", "overlap"),
    help="Of products: whose bands count where two detectors see the same wavelengths.",
)
quality = click.option(
    "--quality",
    type=Choice("ReadingSettings", "quality"),
    help="Of products: strict also leaves out pixels that they call doubtful, clouds say.",
)
nodata = click.option(
    "--nodata",
    type=float,
    metavar="VALUE",
    help="Raw number that stands for no data, beside those that files tell.",
)


class Codes(click.ParamType[list[int]]):
    """Whole numbers with commas between them, `255,-1`."""

    name = "CODES"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """Parse one value."""
        try:
            return [int(code) for code in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is no list of codes such as 255,-1", param, ctx)


CODES = Codes()


def label_rules(command: F) -> F:
    """Add what says how labels are taken from rasters, polygons, lines and points."""
    for add in (
        click.option(
            "--classes",
            type=FILE,
            help="CSV that remembers the codes of class names; of numeric rasters, their legend.",
        ),
        click.option(
            "--ignore-codes",
            type=CODES,
            metavar="CODES",
            help="Codes that stand for no label, with commas between them: 255,-1.",
        ),
        click.option(
            "--zero-is-a-class",
            is_flag=True,
            default=None,
            help="0 is a class in label rasters.",
        ),
        click.option(
            "--min-coverage",
            type=click.FloatRange(0, 1),
            help="Share of a pixel that a polygon or a raster's class must cover [default: 0.5]; "
            "0: its centre.",
        ),
        click.option(
            "--label-field",
            help="Field of the vector layer that holds the class; @layer: the class is the name of "
            "the layer, or of its file.",
        ),
    ):
        command = add(command)
    return command


def labels(command: F) -> F:
    """Add what says where labels are and how they are taken."""
    add = click.option(
        "--labels",
        type=FILE,
        multiple=True,
        help="Label rasters, laid on scenes by their place; or polygons, lines, points: file.gpkg, "
        "file.gpkg:layer, a shapefile or its .zip; also a folder of either.",
    )
    return add(label_rules(command))


def vectors_are_labels(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with the vector files among the sources, which can only be labels, as labels.

    So `--labels old.gpkg new.gpkg` is understood. The metadata of a product is none.
    """
    from hsi_ssl.errors import SceneError
    from hsi_ssl.labels.vectors import is_vector
    from hsi_ssl.scenes.products import product_at

    def is_drawn(path: Path) -> bool:
        try:
            return is_vector(path) and (not path.is_file() or product_at(path) is None)
        except SceneError:  # who opens it says what is wrong
            return False

    drawn = [source for source in given["sources"] if is_drawn(Path(source))]
    return {
        **given,
        "sources": tuple(source for source in given["sources"] if source not in drawn),
        "labels": (*given["labels"], *map(Path, drawn)),
    }


force = click.option(
    "--force",
    is_flag=True,
    default=None,
    help="Go on where a scene's numbers are not like those learnt from.",
)


def workers(command: F) -> F:
    """Add where tasks are done, one for each scene."""
    for add in (
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Of a Dask cluster, tcp://...: its workers take a scene each.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Processes of one thread that take a scene each [default: 1, all threads].",
        ),
    ):
        command = add(command)
    return command


def reading(command: F) -> F:
    """Add what says how scenes are read."""
    for add in (
        click.option(
            "--mask-out",
            type=FILE,
            multiple=True,
            help="Raster or polygons: what they mark is left out.",
        ),
        click.option(
            "--mask",
            type=FILE,
            multiple=True,
            help="Raster or polygons: only what one of them marks is looked at; auto: proposed.",
        ),
        click.option(
            "--scale",
            type=float,
            metavar="F",
            help="Numbers times F are in the unit wanted, whatever files say.",
        ),
        nodata,
        quality,
        overlap,
        axes,
        click.option("--wavelengths", type=FILE, help="CSV with one wavelength a band."),
        click.option("--variable", help="Name of the cube in a file that holds several arrays."),
    ):
        command = add(command)
    return command


def reading_of(given: dict[str, Any]) -> Reading:
    """The options of `reading`, for commands without settings of their own."""
    from hsi_ssl.checking import checked
    from hsi_ssl.settings import ReadingSettings

    known = {key: value for key, value in given.items() if value is not None}
    return checked(ReadingSettings, known, where="options").reading


resume = click.option("--resume", is_flag=True, help="Go on with a run that was cut off.")


def training(command: F) -> F:
    """Add what the training loop reads: epochs, learning rate, patience, resume and the like."""
    for add in (
        click.option("--watch", is_flag=True, help="Show the curves in the browser as they grow."),
        click.option(
            "--tensorboard",
            type=FILE,
            metavar="DIR",
            help="Also write the curves for TensorBoard, into DIR/<name of the run>.",
        ),
        resume,
        overwrite,
        device,
        seed,
        click.option(
            "--stream/--no-stream",
            default=None,
            help="Read spectra in every epoch anew, or keep them in memory [default: as it holds].",
        ),
        click.option("--warm-up", type=int, help="Epochs over which the KL term rises."),
        click.option("--patience", type=int, help="Epochs without improvement before the end."),
        click.option("--learning-rate", type=float),
        click.option("--epochs", type=int, help="Passes over the pixels to learn from, at most."),
    ):
        command = add(command)
    return command


def refuse_together(**flags: object) -> None:
    """Raise a usage error if more than one of the options was given."""
    given = ["--" + name.replace("_", "-") for name, value in flags.items() if value]
    if len(given) > 1:
        raise click.UsageError(" and ".join(given) + " contradict each other: give one of them")


def refuse_several(command: str) -> None:
    """Refuse to do in several processes, as `torchrun` starts them, what one does.

    Raises
    ------
    SettingsError
        There are several.
    """
    from hsi_ssl.errors import SettingsError

    if several_started():
        raise SettingsError(
            f"hsi-ssl {command} works in one process, and {os.environ[SIZE]} were started "
            f"({SIZE}): start it without torchrun, which is for train-m1 and train-m2"
        )


def drawing(run: Path) -> Draw:
    """Draw the generated spectra of a run into its folder, in the field's units."""

    def draw(panels: Panels, wavelengths_nm: list[float] | None, unit: str) -> None:
        from hsi_ssl.reports.figures import draw_generated

        draw_generated(run / "figures" / "generated.png", wavelengths_nm, panels, unit)

    return draw


def common(command: F) -> F:
    """Add --project, --json, -v and -q; the command gets `project` (a path) and `terminal`."""

    @click.option("--project", type=FILE, help="Settings file [default: ./hsi-ssl.toml].")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more: every epoch of a training.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, verbose: bool, quiet: bool, **kwargs: Any) -> Any:
        verbosity, silent = int(verbose) - int(quiet), is_further_process()
        with (
            Terminal(as_json=as_json, verbosity=verbosity, silent=silent) as terminal,
            others_heard(terminal),
        ):
            return command(*args, terminal=terminal, **kwargs)

    return wrapped  # type: ignore[return-value]


def read_project(path: Path | None) -> Project:
    """Read the settings file asked for, or ./hsi-ssl.toml if it is there, or take the defaults."""
    from hsi_ssl.settings import load_project

    if path is None and DEFAULT_PROJECT.exists():
        path = DEFAULT_PROJECT
    return load_project(path)


def override(settings: S, **options: Any) -> S:
    """`settings` with the options that were given in the place of the file's values."""
    from hsi_ssl.checking import checked

    given = {k: v for k, v in options.items() if v is not None and v != ()}
    if not given:
        return settings
    own = settings.model_dump(exclude_unset=True)
    return checked(type(settings), {**own, **given}, where="options")
