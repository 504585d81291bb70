"""How the library speaks to a program: warnings are Python's, the rest goes to `logging`."""

from __future__ import annotations

import logging
import warnings

from hsi_ssl.errors import HsiSslWarning
from hsi_ssl.watcher import Watcher

LOG = logging.getLogger("hsi_ssl")


class Telling(Watcher):
    """Warns by `warnings.warn`; notes are logged as `INFO`, details as `DEBUG`, by `hsi_ssl`."""

    def say(self, sentence: str) -> None:
        """Log something worth knowing."""
        LOG.info(sentence)

    def detail(self, sentence: str) -> None:
        """Log something that only who asks for more wants to know."""
        LOG.debug(sentence)

    def warn(self, sentence: str) -> None:
        """Warn of something that the user should look at."""
        warnings.warn(sentence, HsiSslWarning, stacklevel=2)


TELLING = Telling()
