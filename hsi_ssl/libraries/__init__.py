"""Spectral libraries: spectra of known materials, and what measured spectra look like most."""
