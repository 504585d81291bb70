"""`hsi-ssl start`: from a folder with scenes and labels to the open page, in three answers."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .asking import agreed, asks, chosen
from .output import Terminal
from .steps import run_step
from .stopping import advise

if TYPE_CHECKING:
    from hsi_ssl.describing.offering import LabelOffer, Offer, SceneOffer
    from hsi_ssl.settings import Project

QUESTIONS = 3
"""At most so many."""


@click.command("start", short_help="From a folder of scenes and labels to the map, asking little.")
@click.argument("folder", type=options.FILE, required=False)
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed.")
@click.option("--quick", is_flag=True, help="Train little, for a first look.")
@click.option("--no-view", is_flag=True, help="Do not open the map at the end.")
@click.option("--no-browser", is_flag=True, help="Of the page at the end, only tell the address.")
@options.common
def command(
    folder: Path | None,
    yes: bool,
    quick: bool,
    no_view: bool,
    no_browser: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Look what is in FOLDER [.], ask, write hsi-ssl.toml here, and go the whole way.

    At most three questions, each with a proposal. Every command that is run is shown; what they
    make lies in this folder. FOLDER is left as it is, but for a table of codes and colours beside
    labels that have names. Where hsi-ssl.toml is here already, or a start was stopped, it goes on
    with what is still to be done.

    \b
    hsi-ssl start
    hsi-ssl start flights/may --quick
    hsi-ssl start flights/may --yes --no-view
    """
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import written_beside

    if project is not None:
        raise SettingsError(
            f"start writes, or goes on with, {options.DEFAULT_PROJECT}; leave out --project"
        )
    if not yes and not asks(terminal):
        raise SettingsError(
            "start asks questions, and nobody can answer here: --yes takes what is proposed"
        )
    started = time.monotonic()
    advise("`hsi-ssl start` goes on with what is still to be done", fixed=True)
    if options.DEFAULT_PROJECT.exists():
        if folder is not None:
            raise SettingsError(
                f"{options.DEFAULT_PROJECT} is here already: `hsi-ssl start` without {folder} goes "
                f"on with what it says; for {folder}, start where there is none"
            )
        options.read_project(None)
        question = f"{options.DEFAULT_PROJECT} is here already. Go on with what it says?"
        if not yes and not agreed(question):
            raise SettingsError(
                f"{options.DEFAULT_PROJECT} is here already; start in another folder, or take it "
                "away"
            )
        terminal.say(f"goes on with what {options.DEFAULT_PROJECT} says")
    else:
        text = _recipe(folder or Path(), terminal, asking=not yes, quick=quick)
        with written_beside(options.DEFAULT_PROJECT) as beside:
            beside.write_text(text, encoding="utf-8")
        terminal.say(f"\nwrote {options.DEFAULT_PROJECT}:\n")
        terminal.say("\n".join(f"    {line}".rstrip() for line in text.splitlines()))
    settings = options.read_project(None)
    for step in _steps(settings):
        run_step(step, terminal)
    _finish(settings, terminal, started, view=not no_view, browser=not no_browser)


def _recipe(folder: Path, terminal: Terminal, *, asking: bool, quick: bool) -> str:
    """The settings, after what lies in a folder and what is answered.

    Raises
    ------
    SettingsError
        There is no scene, or there are no labels.
    """
    from hsi_ssl.describing.offering import offered
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.recipes import text_of_start

    offer = offered(folder, terminal)
    if offer.missing is not None:
        raise SettingsError(offer.missing)
    _tell(offer, terminal)
    asked = 0
    scenes = _alike(offer.scenes)
    if asking and len(offer.scenes) > 1:
        asked += 1
        scenes = _scenes(offer.scenes, scenes)
    elif len(scenes) < len(offer.scenes):
        terminal.say(f"{len(scenes)} scenes have the same bands, and are taken")
    labels = offer.labels[0]
    if asking and len(offer.labels) > 1:
        asked += 1
        number = chosen("Which labels?", [one.in_words for one in offer.labels])
        labels = offer.labels[number]
    else:
        terminal.say(f"labels: {labels.in_words}")
    field = _field(labels, terminal, asking=asking)
    asked += asking and len(labels.fields) > 1
    if asking and not quick and asked < QUESTIONS:
        answers = ["the usual training", "a quick first look, which takes less time"]
        quick = chosen("How much training?", answers) == 1
    paths = [_from_here(scene.path) for scene in scenes]
    path = None if labels.path is None else _from_here(Path(labels.path))
    return text_of_start(paths, path, field, quick=quick)


def _tell(offer: Offer, terminal: Terminal) -> None:
    for scene in offer.scenes:
        terminal.say(f"scene {scene.in_words}")
    for one in offer.left_out:
        terminal.detail(f"left out: {one}")


def _alike(scenes: list[SceneOffer]) -> list[SceneOffer]:
    """Those with as many bands as the first that has labels, or the first."""
    first = next((scene for scene in scenes if scene.labels), scenes[0])
    return [scene for scene in scenes if scene.shape[2] == first.shape[2]]


def _scenes(every: list[SceneOffer], alike: list[SceneOffer]) -> list[SceneOffer]:
    """What is answered of several scenes: those alike, or one."""
    names = f"all {len(every)}" if len(alike) == len(every) else f"the {len(alike)} alike"
    several = [f"{names}: {', '.join(s.path.name for s in alike)}"] if len(alike) > 1 else []
    number = chosen("Which scenes?", [*several, *(scene.in_words for scene in every)])
    return alike if several and number == 0 else [every[number - len(several)]]


def _field(labels: LabelOffer, terminal: Terminal, *, asking: bool) -> str | None:
    """The field that names the class; None where labels have none."""
    if not labels.fields:
        return None
    names = list(labels.fields)
    if asking and len(names) > 1:
        question = "Which field names the class?"
        return names[chosen(question, [f"{n}: {labels.fields[n]}" for n in names])]
    terminal.say(f"the field {names[0]} names the class: {labels.fields[names[0]]}")
    return names[0]


def _from_here(path: Path) -> str:
    """A path as it is written down: from this folder where it lies within, else in full."""
    whole = os.path.abspath(path)
    here = os.path.relpath(whole)
    if here.startswith(os.pardir):
        return whole
    return here if os.sep in here or "." in here else f"./{here}"  # lest it be the catalog's


def _steps(settings: Project) -> list[list[str]]:
    """The commands that are still to be run."""
    from hsi_ssl.inference.checkpoint import CARD

    steps = [] if settings.prepare.output.exists() else [["prepare"]]
    runs = {"train-m1": settings.m2.m1 and settings.m1.output, "train-m2": settings.m2.output}
    for name, run in runs.items():
        if run is not None and not (run / CARD).exists():
            steps.append([name, "--resume"] if run.exists() and any(run.iterdir()) else [name])
    return [*steps, ["evaluate"], ["classify"]]


def _finish(
    settings: Project, terminal: Terminal, started: float, *, view: bool, browser: bool
) -> None:
    """Say what there is, and open the maps."""
    from hsi_ssl.durations import duration
    from hsi_ssl.scenes.names import name_of

    seconds = time.monotonic() - started
    there = sorted(Path().glob("*_classes.tif"))
    names = {f"{name_of(Path(scene))}_classes.tif" for scene in settings.classify.scenes}
    maps = [path.name for path in there if path.name in names] or [path.name for path in there]
    page = settings.m2.output / "report" / "index.html"
    found = {"maps": maps, "report": str(page), "seconds": seconds}
    terminal.result(
        found,
        "",
        f"done in {duration(seconds)}: {', '.join(maps)}",
        f"report: {page}",
        "next: `hsi-ssl suggest` tells which pixels to label, `hsi-ssl --help` what else there is",
    )
    if view and maps and asks(terminal):
        advise(f"the page is closed; `hsi-ssl view {shlex.join(maps)}` opens it again", fixed=True)
        run_step(["view", *maps, *([] if browser else ["--no-browser"])], terminal)
