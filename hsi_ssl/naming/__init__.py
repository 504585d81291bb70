"""Spectra that are to be named by a spectral library, wherever they come from."""
