"""The pixels of a dataset as M2 sees them: spectra or M1's features, labels, places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.neighbours import neighbours_among
from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError
from hsi_ssl.labels.label_set import LabelSet, codes_to_indices, indices_to_codes
from hsi_ssl.models.m2 import M2
from hsi_ssl.models.spatial import information, learnt_strength
from hsi_ssl.training.experts import gains
from hsi_ssl.training.extractor import Extractor
from hsi_ssl.training.inputs import (
    BESIDE_GAIN,
    Inputs,
    Labelled,
    Validation,
    each_log_q_of,
    log_q_of,
)
from hsi_ssl.training.m2_task import Grid
from hsi_ssl.training.propagation import FeatureGraph
from hsi_ssl.training.scene_start import start_in_scenes
from hsi_ssl.training.slot_start import start_of_slots
from hsi_ssl.training.stage import network_scaler
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

KEPT_SPREAD = 0.1
"""Units of M1 whose mean has a smaller standard deviation are dropped, as the authors did."""


@dataclass(frozen=True)
class M2Data:
    """The pixels of a dataset as M2 sees them."""

    dataset: Dataset
    settings: M2Settings
    m1: Extractor | None
    device: torch.device

    @cached_property
    def scaler(self) -> Scaler:
        """From raw spectra to what the first network sees."""
        if self.m1 is not None:
            return self.m1.scaler
        return network_scaler(self.dataset, self.settings.whitening)

    @cached_property
    def label_set(self) -> LabelSet:
        """The classes with a slot of their own.

        All of the dataset's; beside free slots those with training pixels, for free slots are
        there for the others.
        """
        dataset = self.dataset
        if not self.settings.free_slots:
            return dataset.label_set
        with_labels = np.unique(dataset.label[dataset.rows(Part.TRAIN)])
        return dataset.label_set.occurring(dataset.label_set.codes[with_labels])

    @cached_property
    def labelled(self) -> Labelled:
        """Training pixels."""
        rows = self.dataset.rows(Part.TRAIN)
        return Labelled(self._inputs(rows), self._y(rows), self.settings)

    @cached_property
    def unlabelled(self) -> Inputs:
        """Pixels whose spectra may be learnt from without label."""
        return self._inputs(self.dataset.unlabelled_rows)

    @cached_property
    def validation(self) -> Validation:
        """Validation pixels of classes with a slot of their own."""
        rows = self.dataset.rows(Part.VALIDATION)
        rows = rows[self.indices(rows) >= 0]
        return Validation(self._inputs(rows), self._y(rows))

    @property
    def pixels(self) -> int:
        """N, the labelled and the unlabelled ones."""
        return len(self.labelled) + len(self.unlabelled)

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which units of M1 move over the training pixels and the pool, `(J,)`."""
        if self.m1 is None:
            return np.zeros(0, dtype=bool)
        rows = self.dataset.rows(Part.TRAIN, Part.POOL)
        kept: npt.NDArray[np.bool_] = (
            self.m1.features(self.dataset.spectra(rows))[0].std(0) >= KEPT_SPREAD
        )
        if not kept.any():
            raise ModelError(
                f"no latent unit of {self.settings.m1} moves over the data: M1 has collapsed; "
                "train it again (gaussian likelihood, --scaling noise) or use --no-m1"
            )
        return kept

    @cached_property
    def gains(self) -> Tensor:
        """What q(y|x)'s experts multiply the columns of inputs by, `(E, D)`.

        With M1, each sees the spectra and a last one M1's features. One expert only, seeing them as
        they are, where the noise of spectra is not known or the features are all there is to see.
        """
        inputs, noise = self.labelled.inputs.mean, self.scaler.noise_sd
        if noise is None or (self.m1 is not None and not self.beside):
            return torch.ones(1, inputs.shape[1])
        spread = torch.cat([inputs, self.unlabelled.mean]).std(0).cpu()
        of_columns = torch.zeros(len(spread))
        of_columns[-self.scaler.width :] = torch.from_numpy(noise)
        found = gains(self.settings.experts, spread, of_columns)
        if self.m1 is None:
            return found
        is_feature = torch.arange(len(spread)) < len(spread) - self.scaler.width
        return torch.cat([found * ~is_feature, is_feature[None].to(found)])

    @cached_property
    def neighbours(self) -> Tensor:
        """Labelled and unlabelled pixels as places: the 8 neighbours of each among them, or -1."""
        dataset = self.dataset
        rows = np.concatenate([dataset.rows(Part.TRAIN), dataset.unlabelled_rows])
        return torch.from_numpy(neighbours_among(dataset.neighbours, rows)).to(self.device)

    def told_by_neighbours(self, model: M2) -> Tensor:
        """What neighbours tell of each other's class, by each expert, in nats, `(E,)`."""
        if not self.settings.spatial:
            return torch.zeros(len(model.classifier), device=self.device)
        each = each_log_q_of(
            model, self.labelled.inputs, self.unlabelled
        ).exp_()  # can be a gigabyte
        return torch.tensor([information(q, self.neighbours) for q in each], device=self.device)

    def grid(self, model: M2, start: Tensor | None, watcher: Watcher) -> Grid:
        """Where labelled and unlabelled pixels lie, and how much neighbours agree.

        By the model's q(y|x), or by the first q(y) `start (N, K)` of free slots.
        """
        q = log_q_of(model, self.labelled.inputs, self.unlabelled).exp() if start is None else start
        strength = learnt_strength(q, self.neighbours, model.log_p_y)
        watcher.say(
            f"neighbours agree with strength {strength:.2f} (0: no more than any two pixels)"
            if strength
            else "neighbours tell nothing of a pixel's class: no spatial prior"
        )
        return Grid(self.neighbours, strength)

    def feature_graph(self) -> FeatureGraph:
        """Labelled and unlabelled pixels, in this order, with their nearest in feature space."""
        x = torch.cat([self.labelled.inputs.mean, self.unlabelled.mean])
        return FeatureGraph(x[:, : x.shape[1] - self.beside])

    def slot_start(self, graph: FeatureGraph | None, model: M2) -> Tensor:
        """First q(y) `(N, K + F)` of labelled and unlabelled pixels, in this order.

        Groups on the `graph`, or, without it, in scenes; there the model's classifier, taught by
        labelled pixels, tells which class what is in no free slot is of.
        """
        nobody = torch.full((len(self.unlabelled),), -1, device=self.device)
        known = torch.cat([self.labelled.y, nobody])
        classes = len(self.label_set)
        if graph is not None:
            return start_of_slots(graph, known, model.log_p_y, classes, self.settings.seed)
        x = torch.cat([self.labelled.inputs.mean, self.unlabelled.mean])
        found = start_in_scenes(
            x[:, : x.shape[1] - self.beside].double().cpu().numpy(),
            self.neighbours.cpu().numpy(),
            known.cpu().numpy(),
            model.log_p_y.double().cpu().numpy(),
            classes,
            self.settings.seed,
        )
        q = torch.from_numpy(found).to(known.device, model.log_p_y.dtype)
        log_q = model.among_labelled(log_q_of(model, self.labelled.inputs, self.unlabelled))
        of_classes = torch.softmax(log_q[:, :classes], dim=-1)
        mine = torch.nonzero(known < 0).flatten()
        q[mine, :classes] = q[mine, :classes].sum(1, keepdim=True) * of_classes[mine]
        return q

    def _y(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.indices(rows).astype(np.int64)).to(self.device)

    def indices(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Classes 0..K-1 of `label_set`, -1 for others and for unlabelled pixels."""
        codes = indices_to_codes(self.dataset.label[rows], self.dataset.label_set)
        return codes_to_indices(codes, self.label_set)

    @property
    def beside(self) -> int:
        """Columns of the inputs that only q(y|x) reads: spectra beside M1's features."""
        return self.scaler.width if self.m1 is not None and self.settings.spectra_beside else 0

    def _inputs(self, rows: npt.NDArray[np.int64]) -> Inputs:
        noise = torch.zeros(self.scaler.width)
        if self.scaler.noise_sd is not None:
            noise = torch.from_numpy(self.settings.perturbation * self.scaler.noise_sd).float()
        if self.m1 is None:
            x = torch.from_numpy(self.dataset.scaled(rows, self.scaler))
            return Inputs(x, noise_sd=noise if noise.any() else None).to(self.device)
        raw = self.dataset.spectra(rows)
        mean, logvar = (torch.from_numpy(f[:, self.kept]) for f in self.m1.features(raw))
        if not self.beside:
            return Inputs(mean, logvar).to(self.device)
        x = BESIDE_GAIN * torch.from_numpy(self.scaler.transform(raw))
        noise = BESIDE_GAIN * noise
        return Inputs(
            torch.cat([mean, x], 1),
            torch.cat([logvar, 2 * noise.log().expand_as(x)], 1),  # of no noise -inf: sd 0
        ).to(self.device)
