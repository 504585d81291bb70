"""A page on this machine: scenes, labels and maps over each other, and what a click tells."""
