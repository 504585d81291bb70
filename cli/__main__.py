"""`python -m hsi_ssl.cli`."""

from .main import main

main()
