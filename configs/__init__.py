"""One TOML per recipe; `hsi-ssl init RECIPE` copies one."""
