"""Stage `train-m2`: a dataset and, for M1+M2, an M1 run in; a run folder with a classifier out.

First the supervised part alone, q(y|x) on the labelled pixels; then the whole model, with the
unlabelled ones. On the validation pixels the better of the two classifiers is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from hsi_ssl.datasets.store import Part, open_dataset
from hsi_ssl.errors import SettingsError
from hsi_ssl.inference.checkpoint import STATE, begin_run, check_run_folder, model_name, save_run
from hsi_ssl.inference.classifier import Classifier, card_of_label_set, of_label_set
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.presets import PRESETS
from hsi_ssl.training.classifier_stage import train_classifier
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.experts import in_words, weights_of_label_sets
from hsi_ssl.training.inputs import log_q_of_experts
from hsi_ssl.training.loop import Fit, fit, weights_of
from hsi_ssl.training.m2_architecture import (
    architecture_of,
    check_settings,
    class_priors,
    fresh_model,
)
from hsi_ssl.training.m2_architecture import in_words as model_in_words
from hsi_ssl.training.m2_choice import choose_rules, keep_the_better, q_of_labels
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_finish import finish, generated, run_tensors
from hsi_ssl.training.m2_teaching import teaching
from hsi_ssl.training.processes import ALONE, Processes
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.stage import (
    Draw,
    draw_nothing,
    draw_spectra,
    facts_of,
    identity,
    m1_below,
)
from hsi_ssl.training.supervised_task import SupervisedTask, supervised_settings
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

SUPERVISED = "last/supervised"
"""Folder within the run's of the supervised part: its log and its state to resume from."""


def train_m2(
    settings: M2Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Train M2 on spectra, or on the features of the M1 that `settings.m1` names (M1+M2).

    Or another classifier, where `settings.model` names one (`train_classifier`).
    Of several label sets one model for all of them, unless `settings.label_set` names one.

    Returns the card written. Validation pixels choose the best state, the experts' weights, between
    the supervised and the whole model, and the rule to predict by; test pixels are not touched,
    unless the dataset is transductive, when their spectra count as unlabelled. Of several
    `processes` each calls this; the first trains the supervised part, all the whole model.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError, SettingsError, ProcessError
        Before anything is written.
    """
    if settings.model not in PRESETS:
        if processes.size > 1:
            raise SettingsError(
                f"model {settings.model} is trained by one process: start it without torchrun, or "
                f"take one of {PRESETS.in_words()}"
            )
        return train_classifier(
            settings, resume=resume, overwrite=overwrite, watcher=watcher, draw=draw
        )
    if settings.options:
        raise SettingsError(
            f"model {settings.model} has no options of its own ({', '.join(settings.options)}); "
            "leave them out"
        )
    if settings.teacher is not None:
        raise SettingsError(
            f"model {settings.model} has no use for a teacher: leave --teacher out, or take "
            "--model student"
        )
    run, watcher = settings.output, processes.watcher(watcher)
    with processes.claimed(run):
        resume = processes.told(
            "resumes",
            lambda: check_run_folder(
                run,
                resume=resume,
                overwrite=overwrite,
                parts=(SUPERVISED,),
                stands_on=(settings.m1,),
                watcher=watcher,
            ),
        )
        device = processes.device(settings.device)
        dataset = open_dataset(settings.dataset, settings.label_set)
        m1 = m1_below(settings, dataset, device, watcher)
        processes.agree(facts_of(settings, dataset, m1))
        data = M2Data(dataset, settings, m1, device, processes)
        training = _Training(data, resume, watcher, draw)
        training.announce()
        if not processes.first:
            training.whole(training.task(training.fresh(), EStep()))
            return processes.told("card", dict)
        model, supervised = training.supervised()
        taught = teaching(data, model, watcher)
        before = weights_of(q_of_labels(model))
        if not settings.warm_start:
            weight = model.classifier.weight
            model = training.fresh()
            model.classifier.weight.copy_(weight)
        task = training.task(model, taught.e_step)
        found = training.whole(task)
        lacking = len(task.lacking) > 0
        metrics = keep_the_better(model, before, data.validation, watcher, lacking=lacking)
        card = training.card(task, found)
        card["label_sets"][0] |= taught.decided
        card["training"]["supervised_seconds"] = supervised.progress.seconds
        card["metrics"] = metrics
        tensors = training.finish(model.eval(), card)
        return processes.told("card", lambda: save_run(run, tensors, card))


@dataclass(frozen=True)
class _Training:
    """The parts of one training, in their order."""

    data: M2Data
    resume: bool
    watcher: Watcher
    draw: Draw

    @property
    def settings(self) -> M2Settings:
        return self.data.settings

    @cached_property
    def facts(self) -> dict[str, Any]:
        return dataset_card(self.data.dataset)

    @cached_property
    def known(self) -> dict[str, Any]:
        """What must be the same to resume."""
        data = self.data
        more = {"streamed": True} if data.streamed else {}
        return identity(
            data.dataset,
            self.settings,
            **more,
            m1_weights=data.m1 and data.m1.card["weights_sha256"],
        )

    @cached_property
    def architecture(self) -> DeclaredArchitecture:
        return architecture_of(self.settings, self.data)

    @cached_property
    def priors(self) -> list[Tensor]:
        return class_priors(self.settings, self.data)

    def announce(self) -> None:
        """Refuse what cannot be; say what is trained on what."""
        data, settings = self.data, self.settings
        if not len(data.validation):
            self.watcher.warn(
                "no validation pixels: training runs all its epochs and keeps the last state"
            )
        check_settings(settings, data)
        named = model_name({"model": settings.model, "m1": data.m1 and data.m1.card})
        if data.streamed:
            self.watcher.say(data.amount.in_words())
        if not settings.unlabelled and data.m1 is not None:
            self.watcher.say(
                "no unlabelled pixels from here on, but the features have been learnt from them: "
                "--no-m1 leaves these out, too"
            )
        for sentence in model_in_words(self.architecture, data, named):
            self.watcher.say(sentence)

    def fresh(self) -> DeclaredVAE:
        """An untrained model, always the same."""
        return fresh_model(self.architecture, self.priors, self.data)

    def supervised(self) -> tuple[DeclaredVAE, Fit]:
        """q(y|x) on the labelled pixels alone, and how much each expert counts.

        A run that starts anew first forgets the whole state of the one before, lest a later
        `resume` go on with that one where this has not come further than here.
        """
        data, settings, run = self.data, self.settings, self.settings.output
        model = self.fresh()
        if not self.resume:
            begin_run(run, self.watcher)
        self.watcher.say("supervised part, labelled pixels alone:")
        found = fit(
            SupervisedTask(model, data.labelled, data.validation, settings, data.there),
            supervised_settings(settings),
            run / SUPERVISED,
            identity=self.known,
            resume=self.resume and (run / SUPERVISED / STATE).exists(),
            watcher=self.watcher,
            on_snapshot=lambda snapshots: None,
        )
        if len(model.classifier) > 1 and len(data.validation):
            log_q = log_q_of_experts(model, data.validation.inputs)
            told = data.neighbour_information(model)
            weight = weights_of_label_sets(log_q, data.validation.y, told)
            model.classifier.weight.copy_(weight)
            several = len(data.label_sets) > 1
            for label_set, of_set in zip(data.label_sets, weight, strict=True):
                named = f"{label_set.name}: " if several else ""
                self.watcher.say(named + in_words(settings.experts, of_set))
        return model, found

    def task(self, model: DeclaredVAE, e_step: EStep) -> SemiSupervisedTask:
        """What the whole model is to learn."""
        data = self.data
        return SemiSupervisedTask(
            model, data, self.settings, e_step, data.processes, pixels=data.there
        )

    def whole(self, task: SemiSupervisedTask) -> Fit:
        """The whole model on all pixels."""
        data, run = self.data, self.settings.output
        measured = _class_means(data)

        def on_snapshot(snapshots: dict[int, Tensor]) -> None:
            panels = [*generated(data, snapshots), measured]
            draw_spectra(self.draw, data.scaler, self.facts, panels, self.watcher)

        return fit(
            task,
            self.settings,
            run,
            identity=self.known,
            resume=self.resume and (run / STATE).exists(),
            watcher=self.watcher,
            on_snapshot=on_snapshot,
            processes=data.processes,
        )

    def card(self, task: SemiSupervisedTask, found: Fit) -> dict[str, Any]:
        """What the run says of itself, without what validation pixels choose."""
        data, settings = self.data, self.settings
        return {
            "kind": "m2",
            "model": settings.model,
            "architecture": self.architecture.to_card(),
            **self.facts,
            "label_sets": [
                {
                    "classes": label_set.to_card(),
                    "spatial_strength": strength,
                    "expert_weights": weight.tolist(),
                }
                for label_set, strength, weight in zip(
                    data.label_sets,
                    task.e_step.strengths or [0.0] * len(data.label_sets),
                    task.module.classifier.weight,
                    strict=True,
                )
            ],
            **data.pipeline.to_card(),
            "settings": settings.model_dump(mode="json"),
            "objective": task.objective_in_words(),
            "training": found.to_card(data.device),
        }

    def finish(self, model: DeclaredVAE, card: dict[str, Any]) -> dict[str, Tensor]:
        """How each label set is predicted, for the card, and what the run keeps as tensors."""
        data = self.data
        names = [label_set.name for label_set in data.label_sets]
        choices = choose_rules(model, data.validation, self.settings, names, self.watcher)
        tensors = run_tensors(model, data.m1)
        for v, (own, choice) in enumerate(zip(card["label_sets"], choices, strict=True)):
            own |= {"rule": choice.rule, "temperature": choice.temperature}
            classifier = Classifier(
                card_of_label_set(card, v),
                of_label_set(model, v),
                data.m1,
                data.device,
                choice.rule,
            )
            tensors |= finish(classifier, data, v, own, choice, model.log_p_y(v), self.watcher)
        return tensors


def _class_means(data: M2Data) -> tuple[str, Any]:
    """A title, and the mean scaled spectrum of each class of the first label set."""
    rows = data.dataset.rows(Part.TRAIN)
    scaled, label = data.dataset.scaled(rows, data.scaler), data.indices(rows)[:, 0]
    means = np.stack([scaled[label == k].mean(0) for k in np.unique(label[label >= 0])])
    several = len(data.label_sets) > 1
    of = f" of {data.label_sets[0].name}" if several else ""
    return f"measured class means{of}", means
