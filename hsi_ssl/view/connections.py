"""Connections to the page: a bounded number, each with a bounded time in which to ask.

uvicorn keeps a connection that asks nothing for as long as the other side likes, and where a
request turns out to be none after its answer has begun, it tells a traceback.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 200
"""Connections at once. A browser opens six; a process may have some thousand files open."""
PATIENCE = 10.0
"""Seconds from the beginning of a connection, or of a further request on it, to the end of the
request's headers."""


class Connection(H11Protocol):
    """One connection, closed if there are too many or if it takes too long to ask."""

    _ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or close it at once."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the first part of another one begins its time."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        super().connection_lost(exc)
        self._cancel()

    def send_400_response(self, msg: str) -> None:
        """Say that a request is none, as long as nothing else has been answered to it."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # so that no other answer follows
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _wait(self) -> None:
        """Give the request that is being heard its time, if there is one."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()
        elif self._ends is None and not self.transport.is_closing():
            self._ends = self.loop.call_later(PATIENCE, self.transport.abort)

    def _cancel(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
