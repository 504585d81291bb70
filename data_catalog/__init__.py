"""One TOML per known data set."""
