"""Stage `train-m1`: a dataset in, a run folder with M1, or another feature extractor, out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.inference.checkpoint import (
    STATE,
    begin_run,
    check_run_folder,
    has_state,
    save_run,
)
from hsi_ssl.inference.extractor import Extractor, check_bands, load_m1, load_weights
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.inference.precision import keep_freed_memory
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.extractors.base import FeatureExtractor, LatentUse
from hsi_ssl.models.method import architecture_of, differing
from hsi_ssl.training.inputs import Pixels
from hsi_ssl.training.loop import Fit, Progress, fit
from hsi_ssl.training.m1_data import BLOCK, JUDGED, M1Data, scaled_blocks
from hsi_ssl.training.processes import ALONE, Processes
from hsi_ssl.training.share import Share, share_of
from hsi_ssl.training.stage import (
    OF_LOOP,
    Draw,
    batch_size,
    draw_nothing,
    draw_spectra,
    facts_of,
    identity,
    network_scaler,
    sd_floor,
)
from hsi_ssl.training.task import PlainTask, StepCost
from hsi_ssl.training.transfer import other_sensor, transferred
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M1Settings

DRAWN_SPECTRA = 12
PHASES = tuple(f"last/phase-{number}" for number in range(1, 10))
"""Folders within the run's of what is trained before the whole: logs, states to resume from."""
NETWORKS = ("encoder", "decoder", "to_z", "to_x", "logvar", "unit")
"""Parts of extractors that tell features of spectra, and spectra of features."""
OF_STEPS = OF_LOOP | {"batch"}
"""Settings that a method without steps has no use for."""


class ExtractorTask(PlainTask):
    """An extractor with its spectra: those to learn from and those that validate.

    `measured (n, D)`: a few spectra, to show what has been learnt.
    """

    module: FeatureExtractor

    def __init__(
        self,
        module: FeatureExtractor,
        spectra: Pixels,
        validation: Pixels,
        batch: int,
        processes: Processes = ALONE,
    ) -> None:
        self.module, self.bound_name = module, module.bound_name
        self.processes = processes
        self.spectra, self.validation = spectra, validation
        self.batch = batch
        self.pixels = len(spectra)
        self.steps = math.ceil(self.pixels / batch)
        self.measured = spectra.some(DRAWN_SPECTRA).mean

    @property
    def score_name(self) -> str:
        """The bound, or minus the cost."""
        return self.bound_name

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Share]]:
        """All pixels in random order, in even batches."""
        every = torch.arange(self.pixels)
        for _, inputs, at in self.spectra.shuffled(every, self.batch, generator):
            share = share_of(self.processes, len(at))
            yield inputs.mean[at[share.at]], share

    def cost(
        self, batch: tuple[Tensor, Share], kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        """Mean of J(x), or of another extractor's cost, over the batch."""
        x, share = batch
        cost = share.mean(self.module.cost(x, share.numbers(generator), kl_weight))
        return StepCost(cost, -cost, share.of)

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Mean bound on log p(x), or minus the cost, of the validation pixels: the score."""
        bound = self.bound(self.validation, generator)
        return {"bound": bound, "score": bound if math.isfinite(bound) else -math.inf}

    @torch.no_grad()
    def bound(self, spectra: Pixels, generator: torch.Generator) -> float:
        """Mean of -J(x), or of minus another cost, over any spectra."""
        blocks = spectra.blocks(BLOCK)
        costs = [self.module.cost(some.mean, generator).sum() for some in blocks]
        return -float(sum(costs)) / len(spectra)

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Spectra that show what has been learnt."""
        return self.module.shown(self.measured, generator)


def train_m1(
    settings: M1Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    init_from: Path | None = None,
    frozen: bool = False,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Train a feature extractor on every pixel of a dataset that may be seen; returns its card.

    `init_from`: a run to start from, of another sensor perhaps (`transfer`); `frozen`: as it is.

    Training sees the training pixels and the unlabelled pool (in a transductive dataset the test
    pixels too); the validation pixels stop it. Of several `processes` each calls this.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError, SettingsError, ProcessError
        Before anything is written.
    """
    watcher, output = processes.watcher(watcher), settings.output
    with processes.claimed(output):
        resume = processes.told(
            "resumes",
            lambda: check_run_folder(
                output, resume=resume, overwrite=overwrite, parts=PHASES, watcher=watcher
            ),
        )
        device = processes.device(settings.device)
        dataset = open_dataset(settings.dataset)
        training = _Training(dataset, settings, device, init_from, watcher, draw, processes)
        processes.agree(facts_of(settings, dataset, training.source))
        if processes.size > 1:
            _refuse_several(settings, frozen=frozen)
        model = training.model
        if frozen:
            metrics, trained = training.as_it_is()
        elif model.closed_form:
            metrics, trained = training.solved()
        else:
            metrics, trained = training.by_steps(resume=resume)
        card = {
            "kind": "m1",
            "extractor": settings.extractor,
            "architecture": model.architecture.to_card(),
            **training.facts,
            "scaling": training.scaler.to_card(),
            "settings": settings.model_dump(mode="json"),
            "training": trained.to_card(device),
            "metrics": metrics,
            **training.origin,
        }
        return processes.told("card", lambda: save_run(output, model.state_dict(), card))


def _refuse_several(settings: M1Settings, *, frozen: bool) -> None:
    """Refuse several processes for what one does.

    Raises
    ------
    SettingsError
        There are no steps to share, or what one spectrum costs depends on others of its batch.
    """
    kind = EXTRACTORS.find(settings.extractor)
    if frozen or kind.closed_form:
        what = "keeping weights (--frozen)" if frozen else kind.title
        raise SettingsError(
            f"{what} has no steps that processes could share: start it without torchrun"
        )
    if kind.of_batches:
        raise SettingsError(
            f"{kind.title} looks at a batch as a whole, which processes share: start it without "
            "torchrun"
        )


@dataclass(frozen=True)
class _Training:
    """The parts of one training."""

    dataset: Dataset
    settings: M1Settings
    device: torch.device
    init_from: Path | None
    watcher: Watcher
    draw: Draw
    processes: Processes

    @cached_property
    def facts(self) -> dict[str, Any]:
        return dataset_card(self.dataset)

    @cached_property
    def scaler(self) -> Scaler:
        return scaler_from_card(self.processes.told("scaler", lambda: self._scaler().to_card()))

    def _scaler(self) -> Scaler:
        source = self.source
        if source is not None and other_sensor(source.card, self.dataset):
            return transferred(source, self.init_from, self.dataset, self.watcher)
        return network_scaler(self.dataset, self.settings.whitening)

    @property
    def origin(self) -> dict[str, Any]:
        """For the card: the run that it started from."""
        if self.source is None:
            return {}
        card = self.source.card
        known = {name: card[name] for name in ("weights_sha256", "wavelengths_nm", "dataset")}
        return {"init_from": {"path": str(self.init_from), **known}}

    @cached_property
    def source(self) -> Extractor | None:
        """The run to start from."""
        return None if self.init_from is None else load_m1(self.init_from, "cpu")

    @cached_property
    def data(self) -> M1Data:
        """The spectra to learn from."""
        return M1Data(
            self.dataset, self.settings, self.scaler, self.device, self.processes, self.watcher
        )

    @cached_property
    def spectra(self) -> tuple[Pixels, Pixels]:
        """Those to learn from and those that stop the training, all of which the model takes."""
        learnt, stopping = self.data.spectra
        self.model.check(self.data.extremes(learnt), self.scaler.kind)
        return learnt, stopping

    @cached_property
    def model(self) -> FeatureExtractor:
        """An extractor with random weights, or with those of another run.

        Raises
        ------
        ModelError
            The other run has other bands or another architecture; the method lacks an option.
        SettingsError
            There is no such extractor.
        """
        settings, scaler = self.settings, self.scaler
        kind = EXTRACTORS.find(settings.extractor)
        asked = {name: getattr(settings, name) for name in ("latent", "hidden", "activation")}
        floor = sd_floor(settings.sd_floor, scaler)
        asked |= {"likelihood": settings.likelihood, "sd_floor": floor, "width": scaler.width}
        if kind.closed_form and "latent" not in settings.model_fields_set:
            asked["latent"] = min(settings.latent, scaler.width)
        architecture, unused = architecture_of(kind, asked, settings.options)
        idle = {*unused, *(OF_STEPS if kind.closed_form else ())} & settings.model_fields_set
        if idle:
            self.watcher.say(f"{kind.title} has no use for {', '.join(sorted(idle))}: left aside")
        model = kind(architecture, torch.Generator().manual_seed(settings.seed))
        if self.init_from is not None:
            self._start_from(model, self.init_from)
        return model.to(self.device)

    def _start_from(self, model: FeatureExtractor, run: Path) -> None:
        if model.closed_form:
            raise ModelError(
                f"{model.title} is worked out anew from the spectra, whatever it starts from: "
                "leave out --init-from"
            )
        source = self.source
        assert source is not None
        if not other_sensor(source.card, self.dataset):
            check_bands(source.card, self.dataset, run)
        if source.model.architecture == model.architecture and type(source.model) is type(model):
            load_weights(model, source.model.state_dict())
            return
        if not of_one_shape(source.model, model):
            apart = differing(source.model.architecture, model.architecture)
            raise ModelError(
                f"{source.model.title} in {run} has another architecture than asked for, "
                f"{model.title}: they differ in {', '.join(apart) or 'kind'}; give those of "
                f"{run} (`hsi-ssl info {run}`)"
            )
        load_weights(model, {**model.state_dict(), **networks_of(source.model)})
        self.watcher.say(f"starts with the networks of {source.model.title} in {run}")

    def as_it_is(self) -> tuple[dict[str, Any], Fit]:
        """What the extractor that it starts from is worth here, without any training.

        Raises
        ------
        SettingsError
            It starts from none.
        """
        if self.init_from is None:
            raise SettingsError("--frozen keeps the weights of a run: name it with --init-from")
        model, (spectra, validation) = self.model, self.spectra
        self._announce(len(spectra))
        begin_run(self.settings.output, self.watcher)
        task = ExtractorTask(model, spectra, validation, len(spectra))
        generator = torch.Generator().manual_seed(self.settings.seed)
        bounds = {
            f"{model.bound_name}_{of}": task.bound(some, generator)
            for of, some in (("train", spectra), ("validation", validation))
        }
        kept = self._kept(self.data.judged(spectra))
        return {**bounds, **kept}, Fit(Progress(stopped="frozen"), {}, "float32")

    def solved(self) -> tuple[dict[str, Any], Fit]:
        """Fit a closed form, in one pass over blocks of spectra."""
        started, rows = time.monotonic(), self.data.rows
        self._announce(len(rows))
        begin_run(self.settings.output, self.watcher)
        keep_freed_memory()
        self.model.solve(scaled_blocks(self.dataset, rows, self.scaler, self.device))
        progress = Progress(stopped="solved", spectra=len(rows), seconds=time.monotonic() - started)
        judged = self.data.scaled(rows[:: max(1, math.ceil(len(rows) / JUDGED))])
        shown = judged[:: max(1, len(judged) // DRAWN_SPECTRA)][:DRAWN_SPECTRA]
        with torch.no_grad():
            again = self.model.shown(shown, torch.Generator()).cpu()
        self._draw({0: again}, shown)
        return self._kept(judged), Fit(progress, {}, "float32")

    def by_steps(self, *, resume: bool) -> tuple[dict[str, Any], Fit]:
        """Train by the loop; what is measured afterwards only the first process knows."""
        settings, model = self.settings, self.model
        spectra, validation = self.spectra
        size = batch_size(settings.batch, len(spectra))
        task = ExtractorTask(model, spectra, validation, size, self.processes)
        self._announce(len(spectra))
        if self.processes.first:
            self._begin(resume=resume)
        if self.init_from is None:
            if self.processes.first:
                task.begun = model.begin(some.mean for some in spectra.blocks(BLOCK))
            self._phases(task, resume=resume)
        found = fit(
            task,
            settings,
            settings.output,
            identity=self.identity,
            resume=resume and (settings.output / STATE).exists(),
            watcher=self.watcher,
            on_snapshot=lambda snapshots: self._draw(snapshots, task.measured),
            processes=self.processes,
        )
        if not self.processes.first:
            return {}, found
        judged = self.data.judged(spectra)
        model.settle(judged)
        generator = torch.Generator().manual_seed(settings.seed)
        name = model.bound_name
        return {
            f"{name}_train": task.bound(spectra, generator),
            f"{name}_validation": found.progress.best["bound"],
            **self._kept(judged),
        }, found

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What must be the same to resume."""
        more = {"streamed": True} if self.data.streamed else {}
        return identity(self.dataset, self.settings, init_from=str(self.init_from), **more)

    def _begin(self, *, resume: bool) -> None:
        """Go on from a state, or forget all that are there.

        Raises
        ------
        ModelError
            There are states of another extractor's phases alone.
        """
        run, phases = self.settings.output, 0 if self.init_from else len(self.model.phases())
        if not resume:
            begin_run(run, self.watcher)
        elif not has_state(run, PHASES[:phases]):
            raise ModelError(
                f"nothing to resume in {run} for {self.model.title}: what is unfinished there was "
                "begun by another extractor or without --init-from; start anew with --overwrite"
            )

    def _phases(self, task: ExtractorTask, *, resume: bool) -> None:
        """Train what comes before the whole, each in a folder of its own to resume from."""
        settings, run, phases = self.settings, self.settings.output, self.model.phases()
        parts = PHASES[: len(phases)]
        for part, phase in zip(parts, phases, strict=True):
            self.watcher.say(f"{phase.name}:")
            fit(
                ExtractorTask(
                    phase.module.to(self.device),
                    task.spectra,
                    task.validation,
                    task.batch,
                    self.processes,
                ),
                settings.model_copy(update={"epochs": phase.epochs}),
                run / part,
                identity=self.identity,
                resume=resume and (run / part / STATE).exists(),
                watcher=self.watcher,
                on_snapshot=lambda snapshots: None,
                processes=self.processes,
            )
        if phases:
            self.watcher.say("the whole:")

    def _announce(self, spectra: int) -> None:
        a = self.model.architecture
        widths = (a.width, *getattr(a, "hidden", ()), a.latent)
        likelihood = f", {a.likelihood}" if self.model.generates else ""
        self.watcher.say(
            f"{self.model.title} {'-'.join(map(str, widths))}{likelihood}, on {spectra:,} spectra "
            f"({len(self.dataset.unlabelled_rows):,} of them unlabelled), {self.device}"
        )

    def _draw(self, snapshots: dict[int, Tensor], measured: Tensor) -> None:
        drawn = [(f"epoch {epoch}", s.numpy()) for epoch, s in sorted(snapshots.items()) if len(s)]
        if self.model.closed_form:
            drawn = [("reconstructed", spectra) for _, spectra in drawn]
        panels = [*drawn, ("measured", measured.cpu().numpy())]
        draw_spectra(self.draw, self.scaler, self.facts, panels, self.watcher)

    def _kept(self, x: Tensor) -> dict[str, Any]:
        """What features keep of spectra `(n, D)`, for the card; said in words."""
        model = self.model
        use, explained, own = model.use(x), model.explained(x), model.measures(x)
        self.watcher.say(
            use.in_words()
            + ("" if explained is None else f"; they keep {explained:.2%} of the variance")
            + "".join(f"; {name.replace('_', ' ')} {value:.3g}" for name, value in own.items())
        )
        warn_of_collapse(model, use, self.watcher)
        return {
            "active_units": use.active,
            "kl_per_unit": use.kl,
            "variance_per_unit": use.variance,
            "collapsed": use.collapsed,
            "explained_variance": explained,
            **own,
        }


def networks_of(model: FeatureExtractor) -> dict[str, Tensor]:
    """Weights of the encoder and the decoder, by name: networks, and what they are added to."""
    found = model.state_dict().items()
    return {name: t for name, t in found if name.partition(".")[0] in NETWORKS}


def of_one_shape(one: FeatureExtractor, other: FeatureExtractor) -> bool:
    """Whether the networks of one extractor can stand in those of another."""

    def facts(model: FeatureExtractor) -> tuple[Any, ...]:
        a = model.architecture
        hidden, codes = getattr(a, "hidden", ()), getattr(a, "codes", "linear")
        means = getattr(a, "likelihood", "gaussian") == "gaussian"  # or logits are decoded
        shapes = {name: tensor.shape for name, tensor in networks_of(model).items()}
        return a.width, a.latent, hidden, hidden and a.activation, codes, means, shapes

    return one.decodes and other.decodes and facts(one) == facts(other)


def warn_of_collapse(model: FeatureExtractor, use: LatentUse, watcher: Watcher) -> None:
    """Warn where features say (nearly) nothing."""
    if use.collapsed:
        advice = "the gaussian likelihood, --scaling noise, or a longer warm-up"
        watcher.warn(
            f"{model.title} has collapsed: {use.in_words()}. Its features say (nearly) nothing of "
            f"the spectra. Try {advice if model.generates else 'a lower learning rate or penalty'}"
        )
