"""How long a training will take is told of what its epochs take, not of what comes before."""

from __future__ import annotations

import re
import time

import pytest
import torch
from hearing import Hears

from hsi_ssl.settings import M1Settings
from hsi_ssl.training import telling
from hsi_ssl.training.loop import Progress
from hsi_ssl.training.task import PlainTask
from hsi_ssl.training.telling import Telling

BEFORE, STEPS, EPOCHS = 0.5, 10, 50


class Steps(PlainTask):
    """Of so many steps an epoch."""

    module = torch.nn.Identity()
    score_name = "bound"
    steps = STEPS


def test_what_an_epoch_begins_with_is_not_counted_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "WORTH_TELLING", 0.0)
    heard, progress = Hears(), Progress()
    found = Telling(heard, Steps(), M1Settings(epochs=EPOCHS), progress)  # type: ignore[arg-type]
    time.sleep(BEFORE)
    started = time.monotonic()
    for step in range(STEPS):
        time.sleep(0.02)
        found.step(step + 1)
    wanted = (EPOCHS - 1) * (time.monotonic() - started)
    progress.epoch = 1
    found.epoch(STEPS, {"score": 0.0})
    (said,) = heard.said
    minutes = re.search(r"about (?:(\d+) min ?)?(?:([\d.]+) s)?", said)
    assert minutes is not None
    told = 60 * float(minutes[1] or 0) + float(minutes[2] or 0)
    assert wanted / 1.5 < told < 1.5 * wanted
