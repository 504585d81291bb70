"""One training loop, checkpoints, the stages that train a model."""
