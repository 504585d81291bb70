"""From scenes to a prepared dataset: sampling, splits, scaling, storing, label balance."""
