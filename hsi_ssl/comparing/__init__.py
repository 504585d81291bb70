"""Extractors of features times classifiers, on the same few labels: what is worth its while."""
