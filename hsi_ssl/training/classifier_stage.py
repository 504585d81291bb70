"""Stage `train-m2` for a classifier that is no declared model: same command, same run folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.privileged import beside
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.inference.checkpoint import STATE, begin_run, check_run_folder, model_name, save_run
from hsi_ssl.inference.device import choose_device
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.classifiers.base import ClassifierModel
from hsi_ssl.models.method import architecture_of
from hsi_ssl.training.classifier_finish import finished
from hsi_ssl.training.classifier_settings import check_settings, left_aside
from hsi_ssl.training.classifier_task import ClassifierTask
from hsi_ssl.training.loop import Fit, Progress, fit
from hsi_ssl.training.m2_architecture import UNITS
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_finish import generated
from hsi_ssl.training.stage import (
    Draw,
    draw_nothing,
    draw_spectra,
    identity,
    m1_below,
    network_scaler,
)
from hsi_ssl.training.teacher import (
    Teacher,
    dataset_of_both,
    teacher_of,
)
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


def train_classifier(
    settings: M2Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
) -> dict[str, Any]:
    """Train the classifier that `settings.model` names, on spectra or on an extractor's features.

    Of an extractor it sees the features alone. Returns the card written. Validation pixels choose
    the best state and the temperature; test pixels are not touched, unless the dataset is
    transductive, when their spectra count as unlabelled.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError, SettingsError
        Before anything is written.
    """
    with claimed(settings.output):
        others = settings.m1, settings.teacher
        resume = check_run_folder(
            settings.output, resume=resume, overwrite=overwrite, stands_on=others, watcher=watcher
        )
        device = choose_device(settings.device)
        dataset = open_dataset(settings.dataset, settings.label_set)
        m1 = m1_below(settings, dataset, device, watcher)
        data = M2Data(
            dataset, settings.model_copy(update={"side_input": False, "stream": False}), m1, device
        )
        teacher = None
        if settings.teacher is not None:
            teacher = teacher_of(settings.teacher, dataset, settings.device, watcher)
        training = ClassifierTraining(data, settings, watcher, draw, teacher)
        training.announce()
        found = (
            training.solved() if training.model.closed_form else training.by_steps(resume=resume)
        )
        card, tensors = finished(data, settings, training.model, teacher, found, watcher)
        return save_run(settings.output, tensors, card)


@dataclass(frozen=True)
class ClassifierTraining:
    """The parts of one training, in their order; `settings` as they were asked for."""

    data: M2Data
    settings: M2Settings
    watcher: Watcher
    draw: Draw
    teacher: Teacher | None = None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a card keeps of the dataset."""
        return dataset_card(self.data.dataset)

    @cached_property
    def model(self) -> ClassifierModel:
        """The classifier with random weights, by the settings' seed, on the device.

        Raises
        ------
        SettingsError, ModelError
            There is none of that name, or it has no such option.
        """
        settings, data = self.settings, self.data
        kind = CLASSIFIERS.find(settings.model)
        architecture, _ = architecture_of(kind, self._asked, settings.options)
        generator = torch.Generator().manual_seed(settings.seed)
        made = kind(architecture, generator).to(data.device)
        with torch.no_grad():
            made.start(data.seen.mean)
        return made

    @property
    def _asked(self) -> dict[str, Any]:
        """What settings and data say of any classifier's architecture."""
        asked = {name: getattr(self.settings, name) for name in ("latent", "hidden", "activation")}
        asked["latent"] = self.settings.latent or UNITS
        counts = tuple(len(label_set) for label_set in self.data.label_sets)
        if self.both is not None:
            asked["width_both"] = network_scaler(self.both, self.settings.whitening).width
        return {**asked, "width": self.data.width, "counts": counts}

    def announce(self) -> None:
        """Refuse what cannot be; say what is trained on what, and what of the settings counts."""
        data, settings = self.data, self.settings
        check_settings(settings, CLASSIFIERS.find(settings.model), len(data.label_sets))
        model = self.model
        if not len(data.validation) and not model.closed_form:
            self.watcher.warn(
                "no validation pixels: training runs all its epochs and keeps the last state"
            )
        idle = left_aside(settings, type(model))
        if idle:
            self.watcher.say(f"{model.title} has no use for {', '.join(idle)}: left aside")
        named = model_name({"model": settings.model, "m1": data.m1 and data.m1.card})
        classes = " x ".join(map(str, model.counts))
        self.watcher.say(
            f"{named} on {data.width} "
            f"{'scaled bands' if data.m1 is None else 'features'}, {classes} classes, "
            f"{len(data.labelled):,} labelled and {data.unlabelled:,} unlabelled pixels, "
            f"{data.device}"
        )

    def by_steps(self, *, resume: bool) -> Fit:
        """Train by the loop."""
        data, settings, task = self.data, self.settings, self._task()
        if not resume:
            begin_run(settings.output, self.watcher)

        def on_snapshot(snapshots: dict[int, Tensor]) -> None:
            panels = generated(data, {e: shown for e, shown in snapshots.items() if len(shown)})
            if panels:
                with torch.no_grad():
                    measured = data.pipeline.scaled(task.measured).cpu().numpy()
                panels.append(("measured", measured))
                draw_spectra(self.draw, data.scaler, self.facts, panels, self.watcher)

        return fit(
            task,
            settings,
            settings.output,
            identity=identity(
                data.dataset,
                settings,
                m1_weights=data.m1 and data.m1.card["weights_sha256"],
                teacher_weights=self.teacher and self.teacher.to_card()["weights_sha256"],
            ),
            resume=resume and (settings.output / STATE).exists(),
            watcher=self.watcher,
            on_snapshot=on_snapshot,
        )

    def _task(self) -> ClassifierTask:
        """The model with its pixels, and what its teacher says of them."""
        data, teacher = self.data, self.teacher
        rows = data.rows, data.validation_rows
        if self.both is not None:
            both = self.both
            scaler = network_scaler(both, self.settings.whitening)
            seen = [torch.from_numpy(both.scaled(some, scaler)).to(data.device) for some in rows]
            return ClassifierTask(self.model, data, both=(seen[0], seen[1]))
        if teacher is None:
            return ClassifierTask(self.model, data)
        self.watcher.say(f"asking {teacher.to_card()['model']} in {teacher.run}")
        said = [teacher.log_q(some).to(data.device) for some in rows]
        return ClassifierTask(self.model, data, (said[0], said[1]))

    @cached_property
    def both(self) -> Dataset | None:
        """The dataset of two sensors, where the model learns from it.

        Raises
        ------
        DatasetError
            It is not there, or is of other pixels.
        """
        if not CLASSIFIERS.find(self.settings.model).privileged:
            return None
        return dataset_of_both(self.data.dataset, beside(self.settings.dataset))

    def solved(self) -> Fit:
        """Fit a closed form."""
        data, settings, started = self.data, self.settings, time.monotonic()
        begin_run(settings.output, self.watcher)
        generator = torch.Generator().manual_seed(settings.seed)
        labelled = data.labelled
        with torch.no_grad():
            self.model.solve(labelled.inputs.mean, labelled.y, data.seen.mean, generator)
        seconds = time.monotonic() - started
        progress = Progress(stopped="solved", spectra=data.pixels, seconds=seconds)
        return Fit(progress, {}, "float32")
