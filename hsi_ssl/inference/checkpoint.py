"""Run folders: weights as safetensors, everything else as JSON. Loading executes no code.

model.safetensors   weights of the best state
model.json          the card: all that is needed to rebuild and apply the model
metrics.csv         one line an epoch
discovered.json     groups that `discover` found in its free slots
figures/            what was drawn while training
last/               state of the last epoch, for --resume
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from hsi_ssl import __version__
from hsi_ssl.checksums import CHECKSUMS, changed, checksum, sealed
from hsi_ssl.datasets.scalings import SCALINGS
from hsi_ssl.errors import ModelError, OutputError
from hsi_ssl.files import written_beside
from hsi_ssl.hidden import is_hidden
from hsi_ssl.inference.cards import check_card
from hsi_ssl.inference.schema import converted, label_set_places
from hsi_ssl.json_text import parsed
from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.moving import fetched
from hsi_ssl.models.presets import PRESETS
from hsi_ssl.models.quantisers import QUANTISERS
from hsi_ssl.os_errors import os_errors
from hsi_ssl.registry import Registry
from hsi_ssl.watcher import SILENT, Watcher

SCHEMA, UNSEALED = 5, 3
"""Of cards today, and the last that had no checksums."""
WEIGHTS, CARD, METRICS = "model.safetensors", "model.json", "metrics.csv"
STATE = "last/state.safetensors"
CHECKSUM = "checksum"
"""In the state's file, of all else in it."""
LAST_METRICS = "last/metrics.csv"
DISCOVERED = "discovered.json"
KINDS = {"m1": "an extractor of features", "m2": "a classifier", "quantiser": "a quantiser"}
"""Of runs, in words."""
UNFINISHED = {"last", "figures", WEIGHTS, METRICS}
"""What a training that has not come to its end may have left."""
REPORTS = ("report", "report-validation", "report-train")
"""Where `evaluate` puts its reports by default; they are on one model and go with it."""


def check_run_folder(
    run: Path,
    *,
    resume: bool,
    overwrite: bool,
    parts: tuple[str, ...] = (),
    stands_on: Sequence[Path | None] = (),
    watcher: Watcher = SILENT,
) -> bool:
    """Refuse to train into a folder that holds something that would be lost.

    `parts`: folders inside it that have a state of their own; `stands_on`: other runs that the new
    one learns from.

    Returns
    -------
    Whether there is a state to go on from, and `resume` asks for it. Where a training was ended
    before it had saved any, `resume` begins it anew, which the watcher is told.

    Raises
    ------
    OutputError
        The folder holds a model or an unfinished run and neither flag allows going on; or the run
        that the new one learns from; or other files.
    ModelError
        `resume` is asked for, and the folder holds a finished model without a state.
    """
    if any(other is not None and other.resolve() == run.resolve() for other in stands_on):
        raise OutputError(f"{run} is the run to learn from, and would be lost; name another folder")
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run} is a file; name a folder for the run")
    if resume and has_state(run, parts):
        return True
    if overwrite:
        return False
    if (run / CARD).exists():
        if resume:
            raise ModelError(
                f"nothing to resume in {run}: it holds a trained model and no {STATE} of a later "
                "training; pass --overwrite to train anew"
            )
        raise OutputError(
            f"{run} holds a trained model; pass --overwrite to replace it, or -o another folder"
        )
    if has_state(run, parts):
        raise OutputError(
            f"{run} holds an unfinished run; --resume continues it, --overwrite starts anew"
        )
    there = _visible(run)
    if "last" in there and there <= UNFINISHED:
        if not resume:
            raise OutputError(
                f"{run} holds a run that was ended before it had saved anything; --resume begins "
                "it anew"
            )
    elif there:
        raise OutputError(f"{run} holds other files; name a new folder with -o")
    if resume:
        watcher.say(f"nothing is saved in {run} yet: training begins anew")
    return False


def has_state(run: Path, parts: Sequence[str] = ()) -> bool:
    """Whether a run folder, or a part of it, holds a state to resume from."""
    return any((run / part / STATE).exists() for part in ("", *parts))


def _visible(run: Path) -> set[str]:
    """What a folder holds, without hidden files: drafts of what a killed run was writing."""
    if not run.exists():
        return set()
    return {path.name for path in run.iterdir() if not is_hidden(path)}


def save_run(run: Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> dict[str, Any]:
    """Write weights, card and log at once; the card names the others' checksums.

    The reports on a model that was here before, and what was discovered with it, go with it.

    Returns the card as written, with schema, versions, git commit and date.
    """
    former = [run / name for name in (DISCOVERED, *REPORTS)]
    if not (run / LAST_METRICS).exists():
        former.append(run / METRICS)
    with written_beside(
        run / CARD, also=[run / WEIGHTS, run / METRICS], without=former, overwrite=True
    ) as beside:
        weights = beside.with_name(WEIGHTS)
        _save_file(fetched(tensors), weights)
        whole = {
            "schema": SCHEMA,
            "hsi_ssl": __version__,
            "torch": torch.__version__,
            "git_commit": _git_commit(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            **card,
        }
        if (run / LAST_METRICS).exists():
            log = shutil.copyfile(run / LAST_METRICS, beside.with_name(METRICS))
            whole["metrics_sha256"] = hashlib.sha256(log.read_bytes()).hexdigest()
        _write_card(beside, whole)
    return whole


def save_card(run: Path, card: dict[str, Any]) -> None:
    """Write the card of a run folder, with checksums, in the place of an older one."""
    with written_beside(run / CARD, overwrite=True) as beside:
        _write_card(beside, card)


def _write_card(path: Path, card: dict[str, Any]) -> None:
    text = json.dumps(sealed(card), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_card(run: Path) -> dict[str, Any]:
    """The card of a run folder as it is in its file, of whatever schema version, unchanged.

    Raises
    ------
    ModelError
        It is missing, broken, of a version to come, of no kind of run, or was changed since it was
        written.
    """
    place = run / CARD
    try:
        text = place.read_text(encoding="utf-8")
        card = parsed(text)
        if not isinstance(card, dict):
            raise ValueError("it is no JSON object")
        if card.get("schema") not in range(1, SCHEMA + 1):
            raise ModelError(f"{run} was written by another version of hsi-ssl; train again")
        differing = changed(text) if card["schema"] > UNSEALED or CHECKSUMS in card else []
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{place} is broken ({error}); train again") from error
    if differing:
        raise ModelError(
            f"{place} is not as it was written: {', '.join(differing)} differ; bring back a copy "
            f"or train again, or, if you changed it and mean it, set {CHECKSUMS} in it to null"
        )
    if card.get("kind") not in list(KINDS):
        raise ModelError(f"{place} is of no kind of run; train again")
    return {key: value for key, value in card.items() if key != CHECKSUMS}


def amend_label_sets(run: Path, values: Sequence[dict[str, Any]]) -> None:
    """Write more of each label set into the card of a run folder, whatever its schema."""
    card = read_card(run)
    for place, more in zip(label_set_places(card), values, strict=True):
        place.update(more)
    save_card(run, card)


def forget_state(run: Path) -> None:
    """Remove what a former run left to resume from, so that nobody resumes that one."""
    for name in (STATE, LAST_METRICS):
        (run / name).unlink(missing_ok=True)


def begin_run(run: Path, watcher: Watcher = SILENT) -> None:
    """Make the folder of a run, or forget all that a former one there left to resume from.

    That, too, of its parts. From then on the folder is known as one of a training, and the watcher
    knows how to go on where it is stopped.

    Raises
    ------
    OutputError
        It cannot be written to.
    """
    place = (run / STATE).parent
    with os_errors(run):
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink()
    watcher.if_stopped(nothing_saved(run))


def nothing_saved(run: Path) -> str:
    """How to go on after a training was stopped in a folder that it has begun, no epoch saved."""
    if any(run.glob(f"last/*/{STATE}")):
        return f"what comes before is saved in {run}; --resume goes on from there"
    if (run / CARD).exists():  # which --resume would look at in vain
        return (
            f"nothing of this training is saved; {run} holds the model that it held before, and "
            "the same command begins again"
        )
    return f"nothing of this training is saved in {run} yet; --resume begins it anew"


def model_name(card: dict[str, Any]) -> str:
    """What a card's model is called: M1, PCA, M2, M1+M2, PCA+GM-DGM; a quantiser's method."""
    if card.get("kind") == "m1":
        return EXTRACTORS.find(card["extractor"]).title
    if card.get("kind") == "quantiser":
        return str(card["method"])
    known = card["model"]
    own = PRESETS[known].title if known in PRESETS else CLASSIFIERS.find(known).title
    return own if card["m1"] is None else f"{model_name(card['m1'])}+{own}"


def load_run(run: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the weights (on the CPU) of a run folder of that kind (m1, m2, quantiser).

    Raises
    ------
    ModelError
        The folder or a file of it is missing, broken, of another kind or schema version, or of a
        method that is not installed.
    """
    command = "hsi-ssl quantise" if kind == "quantiser" else f"hsi-ssl train-{kind}"
    if not (run / CARD).is_file():
        hint = " (training has not finished: --resume)" if (run / STATE).exists() else ""
        raise ModelError(f"no model in {run}{hint}; make one with `{command}`")
    card = read_card(run)
    if card["kind"] != kind:
        raise ModelError(
            f"{run} holds {KINDS[card['kind']]}, {KINDS[kind]} is needed; make one with "
            f"`{command}` or name its folder"
        )
    try:
        blob = (run / WEIGHTS).read_bytes()
        if hashlib.sha256(blob).hexdigest() != card.get("weights_sha256"):
            raise ModelError(f"{run}: {WEIGHTS} is not the one {CARD} was written for; train again")
        card, tensors = converted(card, load(blob))
        check_card(card, tensors)
    except FileNotFoundError as error:
        raise ModelError(f"{run} lacks {WEIGHTS}; train again with `{command}`") from error
    except ModelError:
        raise
    except (AttributeError, LookupError, OSError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{run} is broken ({error}); train again with `{command}`") from error
    _refuse_not_installed(run, card)
    return card, tensors


def refuse_changed(run: Path, card: dict[str, Any]) -> None:
    """Raise `ModelError` if the run has another model by now than the one of `card`."""
    try:
        now = json.loads((run / CARD).read_text(encoding="utf-8"))["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        now = None
    if now != card["weights_sha256"]:
        raise ModelError(f"{run} was trained anew in the meantime; run the same command again")


def _refuse_not_installed(run: Path, card: dict[str, Any]) -> None:
    """Refuse a run of a method that nothing installed here offers."""
    parts = [part for part in (card, card.get("m1")) if isinstance(part, dict)]
    used: list[tuple[Registry[Any], str]] = [
        *((EXTRACTORS, part["extractor"]) for part in parts if "extractor" in part),
        *((CLASSIFIERS, part["model"]) for part in parts if "model" in part),
        *((QUANTISERS, part["method"]) for part in parts if "method" in part),
        *((SCALINGS, part["scaling"]["kind"]) for part in parts if "scaling" in part),
    ]
    for registry, name in used:
        if not registry.knows(name) and name not in PRESETS:
            raise ModelError(
                f"{run} was made by {registry.what} {name!r}, which is not installed here: install "
                f"the package that offers it in {registry.group}, or train again"
            )


def save_state(run: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write the state to resume from, by one rename: a kill leaves the old or the new, whole."""
    contiguous = fetched(tensors)
    text = json.dumps(values)
    with written_beside(run / STATE, overwrite=True) as beside:
        _save_file(contiguous, beside, {"values": text, CHECKSUM: _checksum(contiguous, text)})


def load_state(run: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_state` wrote.

    Raises
    ------
    ModelError
        The file is broken, or not as it was written.
    """
    try:
        with safe_open(run / STATE, framework="pt") as file:
            known = file.metadata()
        tensors = load_file(run / STATE)
        if _checksum(tensors, known["values"]) != known[CHECKSUM]:
            raise ValueError("it is not as it was written")
        values = json.loads(known["values"])
        if not isinstance(values, dict) or not isinstance(values["progress"], dict):
            raise ValueError("it says no progress")
        return {name: t.to(device) for name, t in tensors.items()}, values
    except (SafetensorError, ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise ModelError(
            f"{run / STATE} is broken ({error}); start anew with --overwrite"
        ) from error


def _checksum(tensors: dict[str, Tensor], values: str) -> str:
    """Of a state's tensors and values, names and types among them."""
    each = {
        name: [str(t.dtype), list(t.shape), checksum(t.reshape(-1).view(torch.uint8).numpy())]
        for name, t in tensors.items()
    }
    text = json.dumps([each, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _save_file(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # it does not pass the system's error number on
        raise OutputError(f"cannot write {path}: {error}; is there space left?") from error


def _git_commit() -> str | None:
    """The commit of the source tree that this runs from, None where it is not a git checkout."""
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
