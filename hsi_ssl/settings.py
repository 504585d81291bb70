"""Settings of each stage: typed, checked on creation, read from TOML.

One pydantic model per stage; its fields are the keys of the table of that name in `hsi-ssl.toml`
and the options of that command. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    field_validator,
    model_validator,
)

from hsi_ssl.checking import Settings, checked, one_of
from hsi_ssl.datasets.scalings import SCALINGS
from hsi_ssl.errors import SettingsError
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.presets import PRESETS
from hsi_ssl.models.quantisers import QUANTISERS
from hsi_ssl.scenes.axes import in_words, order_of
from hsi_ssl.scenes.product import Overlap, Quality
from hsi_ssl.scenes.ranges import WavelengthRange, parsed_range, range_texts
from hsi_ssl.scenes.reading import Reading

SplitKind = Literal["pixels", "blocks", "polygons", "scenes"]
Likelihood = Literal["gaussian", "bernoulli", "continuous-bernoulli"]
Precision = Literal["auto", "float32", "bfloat16"]
Activation = Literal["relu", "softplus", "tanh", "silu", "gelu"]
Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=8)]
Share = Annotated[float, Field(gt=0, lt=1)]

if TYPE_CHECKING:
    ScalingName: TypeAlias = str
    ExtractorName: TypeAlias = str
    ModelName: TypeAlias = str
else:
    ScalingName, ExtractorName = one_of(SCALINGS), one_of(EXTRACTORS)
    ModelName = one_of(PRESETS, CLASSIFIERS)


LARGEST_STRENGTH = 10.0
"""Of a Potts prior: one neighbour then outweighs odds of 20,000 to 1."""


def prior_strength(value: Any) -> float | str:
    """A strength of the spatial prior, as a number or in words.

    Raises
    ------
    ValueError
        It is neither.
    """
    if value in ("learnt", "tuned"):
        return str(value)
    try:
        strength = float(value)
    except (TypeError, ValueError):
        strength = -1.0
    if not 0 <= strength <= LARGEST_STRENGTH:
        raise ValueError(f"a strength from 0 to {LARGEST_STRENGTH:g}, learnt or tuned")
    return strength


class ReadingSettings(Settings):
    """How scenes are read, in every table whose command reads scenes."""

    variable: str | None = None
    """Name of the data set inside a MATLAB or HDF5 file that holds several."""
    wavelengths: Path | None = None
    """CSV with one wavelength a band, when the file has none."""
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """What raw numbers are multiplied by to be in the unit wanted; None: as files say."""
    mask: tuple[Path, ...] = ()
    """Rasters that are not 0, or polygons, where to look; `auto`: proposed from the scene."""
    mask_out: tuple[Path, ...] = ()
    """Rasters or polygons that mark where not to look."""
    axes: str | None = None
    """What a cube's axes are, `bands,rows,cols` say; None: as evidence in its file tells."""
    overlap: Overlap = "both"
    """Of products: whose bands are used where two detectors see the same wavelengths."""
    quality: Quality = "lenient"
    """Of products: `strict` also leaves out pixels that they call doubtful, clouds say."""
    nodata: float | None = Field(None, allow_inf_nan=False)
    """A raw value that stands for nothing measured, beside those that files tell."""

    @field_validator("axes")
    @classmethod
    def _three_words(cls, axes: str | None) -> str | None:
        return None if axes is None else in_words(order_of(axes))

    @property
    def reading(self) -> Reading:
        """As the functions that read scenes take it."""
        return Reading(
            self.variable,
            self.wavelengths,
            self.scale,
            self.mask,
            self.mask_out,
            self.axes,
            self.overlap,
            self.quality,
            self.nodata,
        )


class ManyScenesSettings(ReadingSettings):
    """How a command takes many scenes, a task each."""

    workers: int = Field(1, ge=1, le=1024)
    """Processes of one thread each, a scene at a time; 1: this one, with all its threads."""
    scheduler: str | None = None
    """Address of a Dask cluster's scheduler, whose workers take the scenes."""

    @property
    def elsewhere(self) -> bool:
        """Whether scenes are opened by other processes than this one."""
        return self.workers > 1 or self.scheduler is not None


class PrepareSettings(ManyScenesSettings):
    """`[prepare]`: from labelled cubes to a dataset."""

    sources: tuple[str, ...] = ()
    """Catalog names, folders or files."""
    output: Path = Path("runs/dataset.h5")
    labels: tuple[Path, ...] = ()
    """Label rasters or vector layers, or folders of them, when labels are not inside the cubes."""
    label_field: str | None = None
    """Of vector layers: the field that holds the class; None: the only one that may."""
    min_coverage: float = Field(0.5, ge=0, le=1)
    """Share of a pixel that a polygon or a raster's class must cover to label it; 0: its centre."""
    classes: Path | None = None
    """CSV that remembers the codes of class names; None: one beside the vector files. Of rasters:
    names and colours of their codes."""
    privileged: tuple[Path, ...] = ()
    """Cubes of a second sensor of the same pixels, one a scene in their order: for a teacher, who
    learns from both, in a dataset beside."""
    ignore_codes: tuple[int, ...] = ()
    """Codes of rasters, or class numbers of layers, that stand for no label: 255 or -1, say."""
    zero_is_a_class: bool = False
    """0 is a class in rasters; it is anyway where they declare another nodata value."""
    label_set: str | None = None
    """Of those that the sources have, by default the first; several with commas between them."""
    exclude: tuple[str, ...] = ()
    """Ranges of wavelengths whose bands are left out: text such as `1350-1450,1800-1950`, ends
    included, or pairs of numbers; in nm where there is no unit, below 100 in micrometres."""
    resample: bool = False
    """Bring scenes with other bands to those of the first one, by wavelength and width."""
    cap: int = Field(5000, ge=1)
    """Training pixels a class, at most."""
    per_class: int | None = Field(None, ge=1)
    """Few labels: pixels a class to learn from, validation pixels among them; overrides `cap`."""
    unlabelled: int = Field(100_000, ge=0)
    """Pixels in the unlabelled pool."""
    tile: int = Field(8, ge=1, le=64)
    """Side of the square tiles that the pool is drawn in; 1 for lone pixels."""
    split: SplitKind | None = None
    """None: scenes when there are five or more, else blocks."""
    validation: float = Field(0.2, ge=0, lt=1)
    """Share of validation pixels; 0: none, where every label is wanted for training."""
    test: Share = 0.2
    guard: int = Field(1, ge=0, le=16)
    """Width in pixels of the border between parts of a split by blocks or polygons."""
    block: int | None = Field(None, ge=2)
    """Side of the spatial blocks; None: the largest with which every class can be in every part."""
    train_labels: tuple[Path, ...] = ()
    test_labels: tuple[Path, ...] = ()
    transductive: bool = False
    """Let models see the spectra (not the labels) of test and validation pixels."""
    scaling: ScalingName | None = None
    """None: noise for cubes, max for pictures such as MNIST."""
    components: int = Field(30, ge=1)
    """Leading components kept by the scalings noise and mnf."""
    seed: int = Field(0, ge=0)

    @field_validator("exclude", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> tuple[str, ...]:
        return range_texts(value)

    @model_validator(mode="after")
    def _consistent(self) -> PrepareSettings:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must leave something for training: below 1")
        if bool(self.train_labels) != bool(self.test_labels):
            raise ValueError("train_labels and test_labels go together: give both or neither")
        if len(self.train_labels) != len(self.test_labels):
            raise ValueError("give as many train_labels as test_labels, one pair a scene")
        if self.train_labels and self.split is not None:
            raise ValueError("train_labels and test_labels are the split: leave out split")
        if len(self.label_sets) > 1 and (self.labels or self.train_labels):
            raise ValueError(
                "labels in a file of their own are of one label set: name one, or leave out labels"
            )
        if len(set(self.label_sets)) < len(self.label_sets) or "" in self.label_sets:
            raise ValueError("label_set names each label set once, with commas between them")
        return self

    @property
    def label_rules(self) -> LabelRules:
        """How labels are taken from rasters and from what is drawn."""
        return LabelRules(
            self.label_field,
            self.min_coverage,
            self.classes,
            self.ignore_codes,
            self.zero_is_a_class,
        )

    @property
    def excluded(self) -> tuple[WavelengthRange, ...]:
        """The ranges of wavelengths to leave out."""
        return tuple(map(parsed_range, self.exclude))

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Names of the label sets, none where the first is taken."""
        return () if self.label_set is None else tuple(s.strip() for s in self.label_set.split(","))


class TrainingSettings(Settings):
    """What the training loop reads, whatever the model."""

    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    patience: int = Field(ge=1)
    """Epochs without improvement on the validation pixels before training stops."""
    warm_up: int = Field(0, ge=0)
    """Epochs over which the KL divergence's weight rises from 0 to 1."""
    weight_prior: bool = True
    """N(0, 1) prior on the weights."""
    whitening: float = Field(0.5, ge=0, le=1)
    """How far networks see noise-scaled components at equal spread: 0 as they are, 1 wholly."""
    clip: float = Field(10.0, gt=0)
    """Largest norm of a step's gradient."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay a step of a running average of the weights, which is then what is validated and kept;
    0: the weights themselves."""
    decay: Literal["constant", "cosine"] = "constant"
    """The learning rate from epoch to epoch: as it is, or down to 0 over the epochs."""
    precision: Precision = "float32"
    """Of the hidden layers while training; auto: bfloat16 where the processor multiplies it."""
    stream: bool | None = None
    """Read spectra from the dataset in every epoch; None: where memory would hardly hold them."""
    seed: int = Field(0, ge=0)
    """Of all random numbers, which the CPU draws: the same ones on every device."""
    device: str = "auto"
    """auto: a CUDA GPU, else the CPU; or one by its name, any that torch has here."""


FROM_RANDOM_WEIGHTS: dict[str, Any] = {
    "hidden": (500, 500),
    "epochs": 200,
    "learning_rate": 1e-3,
    "decay": "constant",
    "warm_up": 5,
}
"""What the defaults of `[m1]` are where training does not begin at the best linear model."""


class M1Settings(TrainingSettings):
    """`[m1]`: the latent-feature model, or another extractor in its place."""

    dataset: Path = Path("runs/dataset.h5")
    output: Path = Path("runs/m1")
    extractor: ExtractorName = "vae"
    """M1, or another extractor of features by its name."""
    options: dict[str, bool | int | float | str] = Field({})
    """Options of the extractor's own, which its page in the documentation tells."""
    latent: int = Field(50, ge=1)
    hidden: Widths = (250, 250)
    activation: Activation = "relu"
    likelihood: Likelihood = "gaussian"
    sd_floor: float | None = Field(None, gt=0)
    """Smallest standard deviation of the Gaussian likelihood; None: the measured noise."""
    batch: int = Field(1000, ge=1)
    """Spectra a step, at most: of few spectra fewer, so that an epoch has some 30 steps."""
    epochs: int = Field(20, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    decay: Literal["constant", "cosine"] = "cosine"
    patience: int = Field(20, ge=1)

    @model_validator(mode="wrap")
    @classmethod
    def _from_random_weights(
        cls, values: dict[str, Any], handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        of_m1 = values.get("extractor", "vae") == "vae"
        if of_m1 and values.get("likelihood", "gaussian") == "gaussian":
            return handler(values)
        found = handler({**FROM_RANDOM_WEIGHTS, **values})
        found.model_fields_set.difference_update(FROM_RANDOM_WEIGHTS.keys() - values.keys())
        return found


RENAMED = {
    "pull": "stop_gradient, 1 less it",
    "rounds": "em_rounds",
    "spectra_beside": "side_input",
}
"""Settings of `[m2]` by the names that they once had."""


class M2Settings(TrainingSettings):
    """`[m2]`: the classifier, on spectra (M2) or on M1's features (M1+M2)."""

    dataset: Path = Path("runs/dataset.h5")
    label_set: str | None = None
    """Of a dataset with several: the one to learn; None: all of them in one model."""
    generation: tuple[str, ...] | None = None
    """What p of each variable depends on, one line a variable in the order in which they come, such
    as `mineralogy`, `lithology | mineralogy`, `z`, `x | mineralogy, lithology, z`; one label set is
    called `y`. None: as `model` says, each label set on those before it."""
    inference: tuple[str, ...] | None = None
    """The same of q given x: `mineralogy`, `lithology | mineralogy`, `z | mineralogy, lithology`.
    None: each label set on those before it, z on all. Labels that depend on z come after it."""
    samples: int = Field(1, ge=1)
    """Of z a pixel, in the bound."""
    output: Path = Path("runs/m2")
    m1: Path | None = Path("runs/m1")
    """Run folder of the M1 whose features to use; None: M2 on spectra."""
    model: ModelName = "m2"
    """A preset of declared models: m2; gm-dgm: each class is a Gaussian in the space of z, and x
    does not see y. Or another classifier by its name."""
    options: dict[str, bool | int | float | str] = Field({})
    """Options of that other classifier's own."""
    teacher: Path | None = None
    """Run folder whose q(y|x) the model `student` learns."""
    unlabelled: bool = True
    """Learn from pixels without label, too. Without them the same model on the labelled pixels
    alone, beside which they can be seen to be worth something, or nothing."""
    free_slots: int = Field(0, ge=0, le=200)
    """Values of y beyond the labelled classes, for what nobody has labelled."""
    free_weight: float = Field(0.5, gt=0)
    """Weight in p(y) of a free slot, the mean one of a labelled class being 1; 1/2 in the paper."""
    slot_start: bool = True
    """Start free slots from groups that no label speaks for: in scenes (`spatial`) in units of the
    scatter within labelled classes, else in the graph of nearest neighbours among M2's inputs. Or
    else at random, as in the paper."""
    side_input: bool = True
    """M1+M2: q(y|x) reads the scaled spectra beside M1's features, which keep less than they
    hold; in the paper the features alone."""
    components: int | None = Field(None, ge=0)
    """Of p(x|y), where it is a mixture of factor analysers for each class, fitted in closed form to
    pixels that are said to be of it: for m2 on spectra of one label set, without free slots or
    `propagation`. 0: p(x|y, z) is a network, as in the paper. None: 16 where it can be, and spectra
    have at most 100 columns once scaled."""
    latent: int | None = Field(None, ge=1)
    """Units of z. None: where p has components, one that tells which, and one a column of spectra,
    up to 32; else 50, but 3 where labels alone teach q(y|x) and x depends on them: more of them
    explain the spectra of any class as well as the class does, and Bayes' rule tells nothing."""
    hidden: Widths = (200,)
    """Hidden layers of the generative part where it is a network: its cost grows with the number of
    classes."""
    hidden_classifier: Widths | None = (256, 256)
    """Hidden layers of each of q(y|x)'s experts; None: as `hidden`."""
    experts: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (
        0.25, 0.75
    )  # fmt: skip
    """q(y|x) is a product of experts, one for each of these powers of `whitening`; validation and
    neighbouring pixels say how much each counts. Where the noise of spectra is not known, or M1's
    features are all that q(y|x) reads: one."""
    activation: Activation = "relu"
    likelihood: Likelihood = "gaussian"
    sd_floor: float | None = Field(None, gt=0)
    alpha: float = Field(1.0, ge=0)
    """Weight of the classification term in units of N, the number of training pixels; 0.1 in the
    paper."""
    stop_gradient: float = Field(1.0, ge=0, le=1)
    """Share of U's gradient that is stopped before q(y|x); 0 in the paper. On spectra log p(x|y, z)
    is hundreds of nats and, from a network, pulls q(y|x) towards whatever explains brightness and
    texture; with less than 1, `exact_classes` should then be all."""
    warm_start: bool = True
    """Start q(y|x) from the classifier that was trained on the labelled pixels alone."""
    supervised_epochs: int = Field(20, ge=1)
    """Of the supervised part, whose learning rate falls along a cosine."""
    first_teacher: bool = True
    """Let machines that are fitted in closed form to the labels tell q(y|x) first what unlabelled
    pixels are, and labels that they leave out how far neighbours may be believed. With one label
    set, no free slots, no `propagation`, and `stop_gradient` of 1 where p(x|y, z) is a network."""
    spatial: bool = True
    """Let neighbouring pixels of the pool tell q(y|x) their class, by a Potts prior whose strength
    is learnt."""
    em_rounds: int = Field(4, ge=1)
    """How often in a training the neighbours are asked."""
    perturbation: float = Field(1.0, ge=0)
    """Noise added to what q(y|x) learns from, in units of the measured noise of spectra."""
    class_prior: Literal["uniform", "empirical"] | tuple[float, ...] = "uniform"
    """p(y): uniform, as in the labelled pixels, or one number a class in the dataset's order."""
    balanced: bool = True
    """Draw labelled batches equally over classes instead of as they come."""
    propagation: float = Field(0.0, ge=0)
    """Exponent of what labels spread over the graph of nearest neighbours among M2's inputs say of
    an unlabelled pixel, which is then its p(y); 0: every pixel has the same p(y)."""
    steadiness: float = Field(0.0, ge=0)
    """Weight of the KL divergence between q(y|x) and q(y|x + r) on unlabelled pixels, r being the
    step of length `radius` that changes it most; no part of the bound."""
    radius: float = Field(1.0, gt=0)
    """In units of M2's input."""
    balance: float = Field(0.0, ge=0)
    """Weight of the KL divergence between the mean q(y|x) of an unlabelled batch and p(y); no part
    of the bound, and only right where the pool has the classes in those shares."""
    terms: dict[str, Annotated[float, Field(ge=0)]] = Field({})
    """Weights of terms of the objective that have no setting of their own, by their names."""
    batch_labelled: int = Field(200, ge=1)
    """At most: of fewer labelled pixels as many as there are, 64 at least."""
    batch_unlabelled: int = Field(500, ge=1)
    """At most: of a small pool fewer, so that an epoch has some 30 steps."""
    exact_classes: int | None = Field(1, ge=1)
    """How many classes, the most probable of each pixel, the unlabelled bound sums over; one drawn
    from the rest stands for them, without bias; as many as there are classes: all."""
    predict: Literal["auto", "classifier", "bayes"] = "auto"
    """q(y|x), or Bayes' rule with the generative part; auto: the better on validation pixels."""
    bayes_samples: int = Field(1, ge=1)
    novelty_samples: int = Field(8, ge=1)
    """Samples of z by which log p(x) of the validation pixels is estimated, for p-values."""
    epochs: int = Field(12, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    decay: Literal["constant", "cosine"] = "cosine"
    patience: int = Field(30, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        """Refuse names of earlier versions by the new ones."""
        old = [name for name in RENAMED if isinstance(values, dict) and name in values]
        if old:
            raise ValueError("; ".join(f"{name} is now called {RENAMED[name]}" for name in old))
        return values


class ClassifySettings(ManyScenesSettings):
    """`[classify]`: from scenes to maps."""

    scenes: tuple[str, ...] = ()
    """Scene files, or a catalog name."""
    model: Path = Path("runs/m2")
    output: Path | None = None
    """None: `<scene>_classes.tif` in the current folder."""
    format: Literal["geotiff", "envi"] | None = None
    """None: as the output is named, else geotiff."""
    area: Path | None = None
    """Polygons, or a raster that is not 0 there; the map is 0 outside."""
    stac: bool = False
    """Write a STAC Item beside each map."""
    confidence: bool = False
    probabilities: bool = False
    entropy: bool = False
    novelty: bool = False
    p_value: bool = False
    reject: float | None = Field(None, gt=0, lt=1)
    """Pixels whose p-value, with what surrounds them, is not above this get a code of their own."""
    novelty_by: Literal["classes", "likelihood"] = "classes"
    """By what labelled pixels look like, or by log p(x) of the generative part, of all pixels."""
    samples: int | None = Field(None, ge=1)
    """Of z, for the likelihood; None: as many as training took for the validation pixels."""
    spatial: float | Literal["learnt", "tuned"] = 0.0
    """Strength of the Potts prior on the map: 0 for none, up to 10; learnt: how much neighbours
    agree by q(y|x); tuned: the best on validation pixels."""
    resample: bool = False
    """Bring a scene with other bands to those of the model, by wavelength and width."""
    force: bool = False
    """Go on where a scene's numbers are not like those that the model learnt from."""
    window: int = Field(65_536, ge=256)
    """Pixels read and classified at a time."""
    shard: str | None = None
    """`i/n`: of n shares of the scenes the i-th, counted from 1."""
    device: str = "auto"

    @field_validator("spatial", mode="before")
    @classmethod
    def _strength(cls, value: Any) -> Any:
        return prior_strength(value)


class DiscoverSettings(ReadingSettings):
    """`[discover]`: groups that nobody has labelled, in a run's free slots."""

    scenes: tuple[str, ...] = ()
    """Catalog names, folders or files; or one dataset."""
    model: Path = Path("runs/m2")
    also: tuple[Path, ...] = ()
    """Runs of the same settings with other seeds, to tell what is stable."""
    library: Path | None = None
    """Spectral library: ENVI, ECOSTRESS database or CSV."""
    output: Path = Path("discovered")
    first_code: int | None = Field(None, ge=1)
    """Code of the first group; None: the one above the model's classes."""
    min_pixels: int = Field(50, ge=1)
    min_posterior: float = Field(0.5, ge=0, le=1)
    """Mean probability of the slot over the pixels in it."""
    min_compactness: float = Field(0.2, le=1)
    """How far a pixel's neighbours are of its slot: 0 as by chance, 1 always."""
    min_stability: float = Field(0.5, ge=0, le=1)
    """Mean overlap with the slot's partner in the other runs."""
    resample: bool = False
    """Bring scenes with other bands to the model's, by wavelength and width."""
    force: bool = False
    """Go on where a scene's numbers are not like those that the model learnt from."""
    window: int = Field(65_536, ge=1)
    """Pixels read and classified at a time."""
    device: str = "auto"


class QuantiseSettings(ReadingSettings):
    """`[quantise]`: spectra told by a few prototypes, on a map or not."""

    sources: tuple[str, ...] = ()
    """One dataset, or scenes: catalog names, folders or files."""
    model: Path | None = None
    """Run folder whose units to map scenes by, learning nothing; None: learn."""
    method: str = "som"
    """som: self-organising map; kohonen: prototypes that compete, without a map."""
    output: Path | None = None
    """Run folder; None: `runs/` and the method's name."""
    rows: int = Field(12, ge=1, le=64)
    cols: int = Field(12, ge=1, le=64)
    """Units of the map."""
    grid: Literal["hexagonal", "rectangular"] = "hexagonal"
    kernel: Literal["gaussian", "epanechnikov", "bubble"] = "gaussian"
    """How much a unit learns of what another won, by their distance on the map over a radius."""
    start: Literal["principal", "spectra"] = "principal"
    """First prototypes: over the plane of the spectra's two principal directions, or drawn ones."""
    radius_start: float | None = Field(None, gt=0)
    """In units of the map; None: half its longer side."""
    radius_end: float = Field(0.5, gt=0)
    units: int = Field(20, ge=1, le=4096)
    """Prototypes of `kohonen`."""
    takes: Literal["most", "all"] = "most"
    """Of `kohonen`: how much the winner takes."""
    learning_rate: float = Field(0.1, gt=0, lt=1)
    """Of `kohonen`; it falls to 0."""
    epochs: int = Field(20, ge=1)
    """How often all spectra are seen."""
    pixels: int = Field(200_000, ge=1)
    """Of scenes, how many spectra are drawn to learn from, at most."""
    scaling: ScalingName = "noise"
    """Of scenes; a dataset brings its own."""
    components: int = Field(30, ge=1)
    """That scaling by noise keeps, at most."""
    whitening: float = Field(0.5, ge=0, le=1)
    """How far distances see noise-scaled components at equal spread: 0 as they are, 1 wholly."""
    planes: tuple[str, ...] = ()
    """Ranges of wavelengths whose mean the page shows on the map; none: six groups of bands."""
    nearest: int = Field(10, ge=1)
    """Density about a prototype is told by its mean distance to so many spectra."""
    library: Path | None = None
    """Spectral library to name units by: ENVI, ECOSTRESS database or CSV."""
    window: int = Field(65_536, ge=256)
    """Pixels of a scene read and assigned at a time."""
    seed: int = Field(0, ge=0)
    device: str = "auto"

    @field_validator("planes", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> tuple[str, ...]:
        return range_texts(value)

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        if value == "lvq":
            raise ValueError("lvq learns from labels: `hsi-ssl train-m2 --model lvq`")
        if value not in QUANTISERS:
            known = ", ".join(name for name in QUANTISERS if name != "lvq")
            raise ValueError(f"no method {value}; there are {known}")
        return value

    @property
    def run(self) -> Path:
        """Where the run goes."""
        return self.output or Path("runs") / self.method

    @property
    def ranges(self) -> tuple[WavelengthRange, ...]:
        """Of wavelengths, for planes."""
        return tuple(map(parsed_range, self.planes))


class Project(Settings):
    """The whole of `hsi-ssl.toml`."""

    prepare: PrepareSettings = PrepareSettings()
    m1: M1Settings = M1Settings()
    m2: M2Settings = M2Settings()
    classify: ClassifySettings = ClassifySettings()
    discover: DiscoverSettings = DiscoverSettings()
    quantise: QuantiseSettings = QuantiseSettings()


def load_project(path: Path | None) -> Project:
    """Read `hsi-ssl.toml`; with None, the defaults.

    Raises
    ------
    SettingsError
        The file is missing or no TOML; a key is unknown or a value unfit (all of them are named).
    """
    if path is None:
        return Project()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no settings file {path}; `hsi-ssl init` writes one") from None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}; name a TOML file") from error
    except (ValueError, RecursionError) as error:  # numbers too long for Python, lists too deep
        raise SettingsError(f"{path} is no valid TOML: {error}") from error
    return checked(Project, table, where=str(path))
