"""Groups of pixels that nobody has labelled: found in a run's free slots, measured and named."""
