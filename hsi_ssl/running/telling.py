"""What several tasks tell alike is told once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hsi_ssl.watcher import Watcher


class Once(Watcher):
    """Passes on what is told of one of many, unless it was `said` of another but for its names."""

    def __init__(
        self, watcher: Watcher, said: set[str], names: Sequence[str], *, steps: bool
    ) -> None:
        """`names` are to be left out, longer ones first; `steps`: whether progress is passed on."""
        self._watcher, self._said, self._names, self._steps = watcher, said, names, steps

    def progress(self, what: str, done: float, total: float) -> None:
        """Pass it on, where it is wanted."""
        if self._steps:
            self._watcher.progress(what, done, total)

    def say(self, sentence: str) -> None:
        """Say what is new."""
        if self._is_new(sentence):
            self._watcher.say(sentence)

    def detail(self, sentence: str) -> None:
        """Pass it on: who asks for details wants all."""
        self._watcher.detail(sentence)

    def warn(self, sentence: str) -> None:
        """Warn of what is new."""
        if self._is_new(sentence):
            self._watcher.warn(sentence)

    def _is_new(self, sentence: str) -> bool:
        for name in self._names:
            sentence = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", sentence)
        new = sentence not in self._said
        self._said.add(sentence)
        return new
