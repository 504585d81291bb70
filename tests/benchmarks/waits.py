"""How often a training waits for its device, and what it sends there; no GPU is needed.

    python tests/benchmarks/waits.py

Short trainings on a device made of Python (`tests/helpers/second_device.py`), which counts by line
who asks for a number of it. Times would say nothing and are not told.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from second_device import counted, other
from small_datasets import three_minerals
from small_runs import one_thread, small_m2_settings

from hsi_ssl.inference.checkpoint import save_state
from hsi_ssl.settings import M1Settings
from hsi_ssl.training import loop
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

EPOCHS, TOLD = 5, 6


def main() -> None:
    """Print a table, and the lines that wait most often."""
    with tempfile.TemporaryDirectory() as name, one_thread(), other() as seen:
        of_steps, of_states = list[int](), list[int]()
        loop._Loop._steps = counted(seen, loop._Loop._steps, of_steps)  # type: ignore[method-assign]
        loop.save_state = counted(seen, save_state, of_states)  # type: ignore[attr-defined]
        folder = Path(name)
        data = three_minerals(folder / "d.h5")
        m1 = M1Settings(
            dataset=data.path, output=folder / "m1", latent=6, hidden=(32,), batch=64,
            epochs=EPOCHS, device="other",
        )  # fmt: skip
        m2 = small_m2_settings(data, folder / "m2", epochs=EPOCHS, supervised_epochs=EPOCHS)
        m2 = m2.model_copy(update={"device": "other"})
        for title, train in (("M1", partial(train_m1, m1)), ("M2", partial(train_m2, m2))):
            for told in (of_steps, of_states, seen.waits, seen.uploads):
                told.clear()
            train()
            print(
                f"| {title} | {seen.waits.total()} | {sum(of_steps)} of {len(of_steps)} epochs | "
                f"{sum(of_states)} of {len(of_states)} states | {seen.uploads.total()} |"
            )
            for line, count in seen.waits.most_common(TOLD):
                print(f"    {count:5} {line}")


if __name__ == "__main__":
    main()
