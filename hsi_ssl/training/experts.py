"""How q(y|x)'s experts see spectra, and how much each of them counts.

How far noise-scaled components should be brought to equal spread before a network sees them is
different from scene to scene. So each expert sees them at another power of whitening, and the
pixels, not we, say how much to listen to it: labelled ones held out from training by their classes,
unlabelled ones by how well what an expert finds at one pixel agrees with what it finds beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.training.inputs import Inputs, Labelled, log_q_of_experts
from hsi_ssl.training.loop import fit, weights_of
from hsi_ssl.training.supervised_task import SupervisedTask, supervised_settings
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import SILENT

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

FOLDS = 5
MOST_FOLDED = 1000
"""Labelled pixels above which one fold of five is held out, and no other: they are enough."""
INDEPENDENT = 0.15
"""How much a held-out pixel counts: it resembles its neighbours, and a lead of a few nats among a
hundred pixels is none. 0.05 to 0.3 are level."""
AGREEMENT = 2.0
"""How much a nat that neighbours tell of each other counts. Few labels of one patch cannot tell an
expert that knows the patch from one that knows the class: on Toulouse all are right there."""
TEMPERATURES = (0.15, 0.25, 0.35, 0.5, 0.7, 1.0)
"""Networks trained on few labels are too sure; each is judged at the exponent that suits it."""


def gains(powers: tuple[float, ...], spread: Tensor, noise_sd: Tensor) -> Tensor:
    """What each expert multiplies its input's columns by, `(E, D)`.

    `spread (D,)`: their standard deviations; `noise_sd (D,)`: of their noise, 0 in columns that are
    left as they are. With r = spread / noise_sd, an expert of power p sees a column at a spread in
    proportion to r^(1 - p): at 0 in units of the noise, at 1 all alike. The column of largest r
    stays as it is.
    """
    found = torch.ones(len(powers), len(spread))
    columns = (noise_sd > 0) & (spread > 0)
    if not columns.any():
        return found
    spread = spread[columns]
    ratio = spread / noise_sd[columns]
    top = ratio.argmax()
    for row, power in zip(found, powers, strict=True):
        row[columns] = spread[top] / spread * (ratio / ratio[top]) ** (1 - power)
    return found


def weights(log_q: Tensor, y: Tensor, information: Tensor) -> Tensor:
    """How much each expert counts, `(E,)`, by its log q_e(y|x) `(E, n, K)` on held-out pixels.

    In proportion to the likelihood of their classes `y (n,)`, tempered twice: by the exponent of
    q_e at which the expert is most right, and as few of the pixels are independent; times
    exp(AGREEMENT * `information (E,)`), what unlabelled pixels tell of each other
    (`spatial.information`).
    """
    right = y.expand(len(log_q), -1)[..., None]
    by_temperature = [
        torch.log_softmax(t * log_q, dim=-1).gather(-1, right).sum((1, 2)) for t in TEMPERATURES
    ]
    likelihood = torch.stack(by_temperature).amax(0)
    return torch.softmax(INDEPENDENT * likelihood + AGREEMENT * information, dim=0)


def weights_of_label_sets(log_q: list[Tensor], y: Tensor, information: Tensor) -> Tensor:
    """`weights` of each label set, `(V, E)`, by its pixels of `y (n, V)`, -1 where not known."""
    return torch.stack(
        [
            weights(of_set[:, column >= 0], column[column >= 0], tells)
            for of_set, column, tells in zip(log_q, y.T, information, strict=True)
        ]
    )


def held_out(
    model: DeclaredVAE,
    fresh: DeclaredVAE,
    labelled: Labelled,
    validation: Validation,
    settings: M2Settings,
    n: int,
) -> tuple[list[Tensor], Tensor]:
    """What experts say of labelled pixels that they have not learnt from.

    log q_e(y|x) `(E, m, K)` of each label set, and the classes `(m, V)`. Of the validation pixels,
    by `model`, whose classifier is trained; where there are none, of the training pixels, fold by
    fold, by the classifier of `fresh`, trained anew without that fold and half as long, which is
    enough to compare. `n`: pixels of the whole training, for the weight prior.
    """
    if len(validation):
        return log_q_of_experts(model, validation.inputs), validation.y
    untrained = weights_of(fresh)
    found, classes = [], []
    shorter = settings.model_copy(
        update={"supervised_epochs": max(1, settings.supervised_epochs // 2)}
    )
    kinds = torch.unique(labelled.y, dim=0, return_inverse=True)[1]
    for learnt, left_out in folds(kinds, settings.seed):
        fresh.load_state_dict(untrained)
        part = Labelled(labelled.inputs.rows(learnt), labelled.y[learnt], settings)
        task = SupervisedTask(fresh, part, validation, settings, n)
        with TemporaryDirectory() as folder:
            fit(
                task,
                supervised_settings(shorter),
                Path(folder),
                identity={},
                resume=False,
                watcher=SILENT,
                on_snapshot=lambda snapshots: None,
            )
        found.append(log_q_of_experts(fresh, labelled.inputs.rows(left_out)))
        classes.append(labelled.y[left_out])
    if not found:
        nobody = Inputs(labelled.inputs.mean[:0])
        return log_q_of_experts(fresh, nobody), labelled.y[:0]
    return [torch.cat(of_set, dim=1) for of_set in zip(*found, strict=True)], torch.cat(classes)


def folds(y: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows to learn from and rows left out, class by class in equal shares; of many pixels once.

    A class with one pixel is never left out; without any other class there are no folds.
    """
    generator = torch.Generator().manual_seed(seed)
    fold = torch.full((len(y),), -1)
    for k in torch.unique(y.cpu()):
        rows = torch.nonzero(y.cpu() == k).flatten()
        if len(rows) > 1:
            first = int(torch.randint(FOLDS, (1,), generator=generator))
            order = torch.randperm(len(rows), generator=generator)
            fold[rows[order]] = (torch.arange(len(rows)) + first) % FOLDS
    fold = fold.to(y.device)
    for number in range(FOLDS if len(y) <= MOST_FOLDED else 1):
        left_out = fold == number
        if left_out.any():
            yield torch.nonzero(~left_out).flatten(), torch.nonzero(left_out).flatten()


def in_words(powers: tuple[float, ...], weight: Tensor) -> str:
    """The weights of experts, of which one more than powers sees M1's features, for people."""
    names = [*(f"{p:g}" for p in powers), "M1's features"]
    shares = ", ".join(f"{n}: {w:.0%}" for n, w in zip(names, weight.tolist(), strict=False))
    return f"experts by power of whitening, as pixels weigh them: {shares}"
