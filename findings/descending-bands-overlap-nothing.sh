#!/usr/bin/env bash
# spectral==0.25
# Spectral Python's BandResampler takes bands that run from long wavelengths to short ones, as those
# of PRISMA's files do, and finds that they overlap none of the wanted bands: each is NaN. The same
# bands turned round give all of them. No exception, no warning; the log says at level INFO "No
# overlap for target band". With wanted bands in descending order and no widths given it is the
# same, since widths are then taken from differences of centres, which are negative.
# Source: https://www.spectralpython.net/class_func_ref.html#bandresampler ("centers1: center
# wavelengths of the bands for the source sensor", of which no order is asked for); ASI, PRISMA
# Products Specification Document (bands descend).
# Guess before the run: the order of bands does not matter, or is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 spectral==0.25
venv/bin/python - <<'PYTHON'
import logging
import sys

import numpy as np
from spectral import BandResampler

logging.disable(logging.CRITICAL)
nm, wanted = np.arange(400.0, 1000.0, 10.0), np.array([455.0, 555.0, 655.0, 855.0])
own, theirs = np.full(len(nm), 10.0), np.full(len(wanted), 30.0)
values = 0.5 + 0.3 * np.sin(nm / 80)
up = BandResampler(nm, wanted, own, theirs)(values)
down = BandResampler(nm[::-1], wanted, own, theirs)(values[::-1])
print(f"ascending bands give  {np.round(up, 3)}")
print(f"descending bands give {np.round(down, 3)}")
turned = BandResampler(nm, wanted[::-1])(values)
print(f"wanted in descending order, without widths: {np.round(turned, 3)}")
same = np.allclose(up, np.interp(wanted, nm, values), atol=0.01)
same = same and np.isnan(down).all() and np.isnan(turned).all()
sys.exit(0 if same else "another behaviour than described")
PYTHON
