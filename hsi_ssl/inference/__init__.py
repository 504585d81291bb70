"""Run folders, and trained models applied: raw spectra in, features, classes or spectra out."""
