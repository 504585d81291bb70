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
from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.inference.extractor import Extractor
from hsi_ssl.inference.pipeline import SIDE_GAIN, Pipeline, moving_units
from hsi_ssl.labels.label_set import LabelSet, codes_to_indices, indices_to_codes
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.spatial import information, learnt_strength
from hsi_ssl.training.experts import gains
from hsi_ssl.training.first_teacher import POWER, FirstTeacher, first_teacher
from hsi_ssl.training.inputs import (
    Inputs,
    Labelled,
    Pixels,
    evidence,
    log_q_each,
    log_q_of_experts,
)
from hsi_ssl.training.memory import Amount
from hsi_ssl.training.neighbour_evidence import NeighbourEvidence, neighbour_evidence
from hsi_ssl.training.processes import ALONE, Processes
from hsi_ssl.training.propagation import FeatureGraph
from hsi_ssl.training.scene_start import start_in_scenes
from hsi_ssl.training.slot_start import start_of_slots
from hsi_ssl.training.stage import network_scaler, standard_deviation
from hsi_ssl.training.streaming import StreamedInputs
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


BLOCK = 65_536
"""Raw spectra read at a time."""


@dataclass(frozen=True)
class M2Data:
    """The pixels of a dataset as M2 sees them: training pixels, then those without any label."""

    dataset: Dataset
    settings: M2Settings
    m1: Extractor | None
    device: torch.device
    processes: Processes = ALONE

    @cached_property
    def scaler(self) -> Scaler:
        """From raw spectra to what the first network sees; the first process's."""
        if self.m1 is not None:
            return self.m1.scaler
        if self.processes.size == 1:
            return network_scaler(self.dataset, self.settings.whitening)
        whitening = self.settings.whitening
        card = self.processes.told("scaler", network_scaler(self.dataset, whitening).to_card)
        return scaler_from_card(card)

    @cached_property
    def label_sets(self) -> tuple[LabelSet, ...]:
        """The classes with a slot of their own, of each label set.

        All of the dataset's; beside free slots those with training pixels, for free slots are
        there for the others.
        """
        if not self.settings.free_slots:
            return self.dataset.label_sets
        trained = self._columns(self.dataset.rows(Part.TRAIN))
        return tuple(
            label_set.occurring(label_set.codes[np.unique(column[column >= 0])])
            for label_set, column in zip(self.dataset.label_sets, trained, strict=True)
        )

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Training pixels, then those whose spectra may be learnt from without label."""
        return np.concatenate([self.dataset.rows(Part.TRAIN), self.unlabelled_rows])

    @property
    def unlabelled_rows(self) -> npt.NDArray[np.int64]:
        """Pixels without label that are learnt from."""
        return self.dataset.unlabelled_rows[: None if self.settings.unlabelled else 0]

    @cached_property
    def every(self) -> Pixels:
        """Inputs of `rows`, read again in every epoch where memory would hardly hold them."""
        if not self.streamed:
            return self.seen
        return StreamedInputs(self.rows, self._inputs, self.width, self.device)

    @cached_property
    def seen(self) -> Inputs:
        """Inputs of `rows` in memory."""
        return self._inputs(self.rows).to(self.device)

    @property
    def width(self) -> int:
        """Columns of inputs."""
        if self.m1 is None:
            return self.scaler.width
        return int(self.kept.sum()) + self.side_inputs

    @cached_property
    def streamed(self) -> bool:
        """Whether spectra are read again in every epoch.

        Raises
        ------
        SettingsError
            It is asked for, and something else that looks at all spectra at once.
        """
        settings = self.settings
        at_once = [
            said
            for said, wanted in (
                ("propagation", settings.propagation > 0),
                ("free_slots that start from groups", settings.free_slots and settings.slot_start),
            )
            if wanted
        ]
        if at_once and settings.stream:
            raise SettingsError(
                f"{' and '.join(at_once)} looks at all spectra at once, which stream does not keep "
                "in memory: leave one of them out"
            )
        return not at_once and self.amount.streamed(self.device, self.processes)

    @property
    def amount(self) -> Amount:
        """What inputs take: means, and the variances of M1's features."""
        variances = self.m1 is not None and self.m1.model.distributions
        numbers = self.pixels * self.width * (2 if variances else 1)
        return Amount(self.pixels, numbers, self.settings.stream)

    @cached_property
    def y(self) -> Tensor:
        """Classes `(N, V)` of `every`, -1 where not known."""
        labelled = self._y(self.dataset.rows(Part.TRAIN))
        pool = (0, 0, 0, self.unlabelled)
        return torch.nn.functional.pad(labelled, pool, value=-1)

    @cached_property
    def labelled(self) -> Labelled:
        """Training pixels, each with a label of one set or more."""
        rows = self.dataset.rows(Part.TRAIN)
        n = len(rows)
        if self.streamed:
            inputs = self._inputs(rows).to(self.device)
        else:
            inputs = self.seen.rows(slice(0, n))
        return Labelled(inputs, self.y[:n], self.settings)

    @property
    def unlabelled(self) -> int:
        """How many pixels have no label."""
        return len(self.unlabelled_rows)

    @cached_property
    def validation(self) -> Validation:
        """Validation pixels of classes with a slot of their own, of any label set."""
        rows = self.validation_rows
        return Validation(self._inputs(rows).to(self.device), self._y(rows))

    @property
    def validation_rows(self) -> npt.NDArray[np.int64]:
        """Of `validation`."""
        rows = self.dataset.rows(Part.VALIDATION)
        return rows[(self.indices(rows) >= 0).any(axis=1)]

    @property
    def pixels(self) -> int:
        """N, the labelled and the unlabelled ones."""
        return len(self.rows)

    @property
    def there(self) -> int:
        """N for the weight prior: unlabelled pixels count, whether or not they are learnt from."""
        return len(self.dataset.rows(Part.TRAIN)) + len(self.dataset.unlabelled_rows)

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which units of M1 move, `(J,)`."""
        if self.m1 is None:
            return np.zeros(0, dtype=bool)
        m1 = self.m1
        found = self.processes.told("units", lambda: moving_units(m1, self.dataset).tolist())
        kept = np.asarray(found, dtype=bool)
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
        found = self._whitened(self.settings.experts)
        if self.m1 is None or not self.side_inputs or self.scaler.noise_sd is None:
            return found
        is_feature = torch.arange(self.width) < self.width - self.scaler.width
        return torch.cat([found, is_feature[None].to(found)])

    def _whitened(self, powers: tuple[float, ...]) -> Tensor:
        """What brings spectra to powers of whitening, `(E, D)`, and leaves M1's features out.

        One row of ones where the noise of spectra is not known, or features are all there is.
        """
        noise = self.scaler.noise_sd
        if noise is None or (self.m1 is not None and not self.side_inputs):
            return torch.ones(1, self.width)
        of_columns = torch.zeros(self.width)
        of_columns[-self.scaler.width :] = torch.from_numpy(noise)
        return gains(powers, self._spread, of_columns) * (of_columns > 0)

    @cached_property
    def _spread(self) -> Tensor:
        """Standard deviation of each column of inputs, `(D,)`."""
        if not self.streamed:
            return self.seen.mean.std(0).cpu()
        pieces = (some.mean.cpu().numpy() for some in self.every.blocks(BLOCK))
        return torch.from_numpy(standard_deviation(pieces, self.width)).float()

    @cached_property
    def first_teacher(self) -> FirstTeacher:
        """What machines of the one label set, fitted to the labelled pixels, say of all."""
        (gain,) = self._whitened((POWER,)).to(self.device)
        classes, seed = len(self.label_sets[0]), self.settings.seed
        return first_teacher(self.every, self.y[:, 0], classes, gain, seed)

    def evidence_of_neighbours(self, strength: float) -> NeighbourEvidence:
        """What left-out labels say of neighbours that agree with a strength."""
        teacher = self.first_teacher
        unit = torch.from_numpy(self.dataset.unit[self.rows[teacher.rows.numpy()]])
        return neighbour_evidence(
            teacher,
            self.y[:, 0],
            self.neighbours,
            strength,
            unit,
            self.settings.seed,
        )

    @cached_property
    def neighbours(self) -> Tensor:
        """The 8 neighbours of each of `every` among them, or -1."""
        found = neighbours_among(self.dataset.neighbours, self.rows)
        return torch.from_numpy(found).to(self.device)

    def neighbour_information(self, model: DeclaredVAE) -> Tensor:
        """What neighbours tell of each other's classes, by each expert, in nats, `(V, E)`."""
        if not self.settings.spatial:
            return torch.zeros(len(self.label_sets), len(model.classifier), device=self.device)
        told = [
            [information(q.exp(), self.neighbours) for q in of_set]
            for of_set in log_q_of_experts(model, self.every)
        ]
        return torch.tensor(told, device=self.device)

    def strengths(self, model: DeclaredVAE, start: Tensor | None, watcher: Watcher) -> list[float]:
        """How much neighbours agree in each label set, by the model's q(y|x).

        Or by the first q(y) `start (N, K)` of free slots.
        """
        each = evidence(model, self.every, self.y) if start is None else [start.log()]
        found = [
            learnt_strength(of_set.exp(), self.neighbours, model.log_p_y(v))
            for v, of_set in enumerate(each)
        ]
        if not any(found):
            watcher.say("neighbours tell nothing of a pixel's class: no spatial prior")
        elif len(found) == 1:
            watcher.say(
                f"neighbours agree with strength {found[0]:.2f} (0: no more than any two pixels)"
            )
        else:
            of_each = zip(self.label_sets, found, strict=True)
            said = ", ".join(f"{label_set.name} {strength:.2f}" for label_set, strength in of_each)
            watcher.say(f"neighbours agree with strength (0: no more than any two pixels): {said}")
        return found

    def feature_graph(self) -> FeatureGraph:
        """`every`, with their nearest in feature space."""
        return FeatureGraph(self._modelled)

    @property
    def _modelled(self) -> Tensor:
        x = self.seen.mean
        return x[:, : x.shape[1] - self.side_inputs]

    def slot_start(self, graph: FeatureGraph | None, model: DeclaredVAE) -> Tensor:
        """First q(y) `(N, K + F)` of `every` over classes and free slots of the one label set.

        Groups on the `graph`, or, without it, in scenes; there the model's classifier, taught by
        labelled pixels, tells which class what is in no free slot is of.
        """
        (label_set,), known = self.label_sets, self.y[:, 0]
        classes, log_p_y = len(label_set), model.log_p_y(0)
        if graph is not None:
            return start_of_slots(graph, known, log_p_y, classes, self.settings.seed)
        found = start_in_scenes(
            self._modelled.cpu().double().numpy(),
            self.neighbours.cpu().numpy(),
            known.cpu().numpy(),
            log_p_y.cpu().double().numpy(),
            classes,
            self.settings.seed,
        )
        q = torch.from_numpy(found).to(known.device, log_p_y.dtype)
        log_q = model.among_labelled(log_q_each(model, self.every)[0], 0)
        of_classes = torch.softmax(log_q, dim=-1)
        mine = torch.nonzero(known < 0).flatten()
        q[mine, :classes] = q[mine, :classes].sum(1, keepdim=True) * of_classes[mine]
        return q

    def _columns(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Labels of rows, `(V, n)`."""
        return self.dataset.y[rows].T

    def indices(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Classes 0..K-1 of each of `label_sets`, -1 for others and without label, `(n, V)`."""
        found = [
            codes_to_indices(indices_to_codes(column, theirs), ours)
            for column, theirs, ours in zip(
                self._columns(rows), self.dataset.label_sets, self.label_sets, strict=True
            )
        ]
        return np.stack(found, axis=1).astype(np.int64)

    def _y(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.indices(rows)).to(self.device)

    @cached_property
    def pipeline(self) -> Pipeline:
        """From raw spectra to inputs."""
        return Pipeline(self.scaler, self.m1, self.kept, self.settings.side_input)

    @property
    def side_inputs(self) -> int:
        """Columns of the inputs that only q(y|x) reads: spectra beside M1's features."""
        return self.pipeline.side_inputs

    def _inputs(self, rows: npt.NDArray[np.int64]) -> Inputs:
        """Inputs of some pixels, on the CPU."""
        noise = torch.zeros(self.scaler.width)
        if self.scaler.noise_sd is not None:
            noise = torch.from_numpy(self.settings.perturbation * self.scaler.noise_sd).float()
        blocks = [rows[first : first + BLOCK] for first in range(0, max(1, len(rows)), BLOCK)]
        found = [self.pipeline.encode(self.dataset.spectra(some)) for some in blocks]
        mean = torch.cat([mean for mean, _ in found])
        logvars = [logvar for _, logvar in found if logvar is not None]
        if not logvars:
            if self.m1 is not None:  # features are taken as exact, spectra beside them are not
                beside = SIDE_GAIN * noise[: self.side_inputs]
                noise = torch.cat([torch.zeros(int(self.kept.sum())), beside])
            return Inputs(mean, noise_sd=noise if noise.any() else None)
        logvar = torch.cat(logvars)
        if self.side_inputs:  # with the variance of their noise; of none it is exp(-inf)
            of_noise = 2 * torch.log(SIDE_GAIN * noise)
            logvar = torch.cat([logvar, of_noise.expand(len(mean), -1)], 1)
        return Inputs(mean, logvar)
