"""Feature extractors by name, one file each: the choices of `train-m1 --extractor`.

To add one: a class as `base.FeatureExtractor` describes it, and a line in `EXTRACTORS`; in another
package, an entry point in the group `hsi_ssl.extractors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.models.extractors.base import FeatureExtractor

HOME = "hsi_ssl.models.extractors"
EXTRACTORS: Registry[type[FeatureExtractor]] = Registry(
    "hsi_ssl.extractors",
    "extractor",
    {
        "vae": "hsi_ssl.models.m1:M1",
        "pca": f"{HOME}.pca:PCA",
        "ae": f"{HOME}.autoencoder:Autoencoder",
        "sparse-l1": f"{HOME}.sparse_weights:SparseL1",
        "sparse-l2": f"{HOME}.sparse_weights:SparseL2",
        "sparse-codes": f"{HOME}.sparse_codes:SparseCodes",
        "sparse-entropy": f"{HOME}.sparse_entropy:SparseEntropy",
        "denoising": f"{HOME}.denoising:Denoising",
        "contractive": f"{HOME}.contractive:Contractive",
        "relational": f"{HOME}.relational:Relational",
        "stacked": f"{HOME}.stacked:Stacked",
        "masked": f"{HOME}.masked:Masked",
        "position": f"{HOME}.position:Position",
    },
)
"""What the setting `extractor` of `[m1]` names."""
