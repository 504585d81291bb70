"""What holds open files and is used in a `with`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closes:
    """Closed at the end of a `with`, whatever happened in it."""

    def close(self) -> None:
        """Release what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
