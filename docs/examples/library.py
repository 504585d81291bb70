# %% [markdown]
# # Indian Pines, from arrays to a map
# HSI_SSL_DATA names a folder that holds the published maps, indian-pines-split.

# %%
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import f1_score

import hsi_ssl

FOLDER = Path(os.environ["HSI_SSL_DATA"], "indian-pines-split")
EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 20


def array(path: str | Path) -> np.ndarray:
    with hsi_ssl.open_scene(path) as scene:
        return scene.read()


# %% Spectra with their places; 695 pixels have a label, and those to test on are left out
cube = array("indian-pines")
train, test = (array(FOLDER / f"Indian{which}123_temp123.tif")[..., 0] for which in ("TR", "TE"))
positions = np.argwhere(test == 0)
labels = train[test == 0].astype(int)
labels[labels == 0] = -1
model = hsi_ssl.SemiSupervisedClassifier(epochs=EPOCHS, supervised_epochs=EPOCHS, random_state=0)
model.fit(cube[test == 0], labels, positions=positions)

# %% The whole scene; `model.save` and `hsi_ssl.load_run(...).classify` write it as a GeoTIFF
everywhere = np.argwhere(test >= 0)
codes = model.predict(cube.reshape(-1, 200), positions=everywhere).reshape(test.shape)
score = f1_score(test[test > 0], codes[test > 0], average="macro")
print(f"macro-F1 {score:.3f} on {np.count_nonzero(test):,} test pixels")
figure = Figure(layout="constrained")
figure.subplots().imshow(codes, "tab20", interpolation="nearest")
figure.savefig("indian_pines.png")
