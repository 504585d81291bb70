"""Networks, bounds and the models of the papers."""
