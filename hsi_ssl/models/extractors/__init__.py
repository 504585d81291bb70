"""Feature extractors by name, one file each: the choices of `train-m1 --extractor`.

To add one: a class as `base.FeatureExtractor` describes it, and a line in `EXTRACTORS`; in another
package, an entry point in the group `hsi_ssl.extractors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.models.extractors.base import FeatureExtractor

EXTRACTORS: Registry[type[FeatureExtractor]] = Registry(
    "hsi_ssl.extractors",
    "extractor",
    {
        "vae": "hsi_ssl.models.m1:M1",
        "pca": "hsi_ssl.models.extractors.pca:PCA",
        "ae": "hsi_ssl.models.extractors.autoencoder:Autoencoder",
    },
)
"""What the setting `extractor` of `[m1]` names."""
