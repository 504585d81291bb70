"""Supervised classifiers on the labelled pixels of a dataset, each on two sets of features.

All labels of the dataset are learnt from, training and validation part alike; what is tuned is
tuned by cross-validation among them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from hsi_ssl.comparing.fitting import UNLABELLED_PIXELS, fit_baseline
from hsi_ssl.datasets.store import Dataset, Part

Array = npt.NDArray[Any]

WIDTH, DROPOUT = 256, 0.3
STEPS = 1000
BATCH = 128
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 1e-4
NAMES = (
    "svm", "forest", "extra-trees", "logistic", "lda", "gaussian-process", "label-spreading",
    "self-training",
)  # fmt: skip
MOST_PIXELS = 32_768
"""Pixels that the spread of the bands is measured on."""


def baselines(
    dataset: Dataset, seed: int, left_out: Container[str] = ()
) -> Iterator[tuple[str, Array]]:
    """Names, and class indices `(n,)` predicted for the test pixels; of those not `left_out`."""
    rows, test = dataset.rows(Part.TRAIN, Part.VALIDATION), dataset.rows(Part.TEST)
    y = dataset.label[rows].astype(np.int64)
    seen = dataset.rows(Part.TRAIN, Part.VALIDATION, Part.POOL)
    if len(seen) > MOST_PIXELS:
        seen = np.sort(np.random.default_rng(seed).choice(seen, MOST_PIXELS, replace=False))
    raw = dataset.spectra(seen).astype(np.float64)
    centre, spread = raw.mean(0), raw.std(0) + 1e-9
    del raw
    noise = np.array(dataset.meta["scaling"]["noise"])
    for features, x, x_test, noise_sd in (
        (
            "bands",
            ((dataset.spectra(rows) - centre) / spread).astype(np.float32),
            ((dataset.spectra(test) - centre) / spread).astype(np.float32),
            (noise / spread).astype(np.float32),
        ),
        (
            "components",
            dataset.scaled(rows),
            dataset.scaled(test),
            np.full(dataset.scaler.width, dataset.scaler.noise_sd, np.float32),
        ),
    ):
        pool = x_pool(dataset, features, centre, spread)
        for name in NAMES:
            if f"{name} on {features}" in left_out:
                continue
            predictor = fit_baseline(name, x, y, seed, pool=pool, threads=1)
            yield f"{name} on {features}", predictor.predict(x_test)
        for layers in (1, 2):
            if f"network of {layers} on {features}" in left_out:
                continue
            found = network(x, y, x_test, noise_sd, layers=layers, seed=seed)
            yield f"network of {layers} on {features}", found


def x_pool(dataset: Dataset, features: str, centre: Array, spread: Array) -> Array:
    """Features of pixels without label, evenly spaced, for those that learn from them."""
    rows = dataset.unlabelled_rows
    rows = rows[:: max(1, -(-len(rows) // UNLABELLED_PIXELS))]
    if features == "components":
        return dataset.scaled(rows)
    found: Array = ((dataset.spectra(rows) - centre) / spread).astype(np.float32)
    return found


def network(x: Array, y: Array, x_test: Array, noise_sd: Array, *, layers: int, seed: int) -> Array:
    """Classes of `x_test` by a network with dropout, noise of the measured size in its input."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    width = x.shape[1]
    for _ in range(layers):
        parts += [nn.Linear(width, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = WIDTH
    model = nn.Sequential(*parts, nn.Linear(width, int(y.max()) + 1))
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS)
    inputs, noise = torch.from_numpy(x), torch.from_numpy(noise_sd)
    target = torch.from_numpy(y)
    weights = 1 / torch.bincount(target).clamp(min=1).double()[target]
    for _ in range(STEPS):
        some = torch.multinomial(weights, BATCH, replacement=True)
        noisy = inputs[some] + noise * torch.randn(len(some), inputs.shape[1])
        cost = F.cross_entropy(model(noisy), target[some])
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        schedule.step()
    model.eval()
    with torch.inference_mode():
        found: Array = model(torch.from_numpy(x_test)).argmax(-1).numpy()
    return found
