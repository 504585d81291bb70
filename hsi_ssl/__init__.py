"""hsi-ssl: class maps of hyperspectral images from few labelled and many unlabelled pixels."""

__version__ = "0.1.0"
