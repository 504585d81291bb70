"""The command line: one file a command, a thin skin over `hsi_ssl`."""
