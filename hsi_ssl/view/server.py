"""The page's server: on this machine only, and only for who knows the address.

It listens on 127.0.0.1. Every address begins with a random token, and what comes without it is
refused, so that other users of the machine and other pages in the browser see nothing. The Host
header must be this machine's, so that a foreign name that is made to point here (DNS rebinding)
gives nobody the page. Nothing is taken but GET and HEAD without a body. The page may load nothing
from anywhere else, nor run code of its own.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.errors import HsiSslError, SettingsError
from hsi_ssl.view.answers import MOST_ASKED, Answers
from hsi_ssl.view.shown import Shown

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn import Config

HERE = "127.0.0.1"
OUR_NAMES = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
METHODS = ("GET", "HEAD")
NUMBER = "[0-9]{1,18}"
"""In an address: fits into 64 bits. Python's own digits are of any script, and of any number."""
NUMBERS = re.compile(f"({NUMBER}(,{NUMBER}){{0,{MOST_ASKED - 1}}})?")
STATIC = Path(__file__).parent / "static"
TILES_KEPT = 3600
"""Seconds for which the browser may keep a tile."""
LAST_ANSWERS = 1
"""Seconds for which answers under way are waited for at the end."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Lets through what names this machine, knows the token and brings nothing along.

    Adds `HEADERS` to all answers.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, with_headers)
        else:
            status, sentence = refusal
            # Closed, so that no more comes of what it may have brought along.
            headers = {"connection": "close", "allow": ", ".join(METHODS)}
            answer = PlainTextResponse(f"{status}: {sentence}", status, headers)
            await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence for what is not let through."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        given = scope["path"].lstrip("/").partition("/")[0].encode()
        if not OUR_NAMES.fullmatch(host) or not secrets.compare_digest(given, self.token.encode()):
            return 403, "the address lacks its token"
        if scope["method"] not in METHODS:
            return 405, "this page can only be looked at"
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0"):
            return 413, "nothing here takes a body"
        return None


def application(shown: Shown, token: str) -> Starlette:
    """The page and its answers under `/<token>/`."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount

    def no_page(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code)

    def not_there(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"not there: {error}"}, 404)

    def unreadable(request: Request, error: Exception) -> Response:
        sentence = f"a file that is shown cannot be read any more ({error}); open it again"
        return JSONResponse({"error": sentence}, 503)

    def refused(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    return Starlette(
        routes=[Mount(f"/{token}", routes=_routes(Answers(shown)))],
        middleware=[
            Middleware(Guard, token=token),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=1),
        ],
        exception_handlers={
            HTTPException: no_page,
            IndexError: not_there,
            KeyError: not_there,
            OSError: unreadable,
            HsiSslError: refused,
        },
    )


def _routes(answers: Answers) -> list[Any]:
    """The page, its files, and what it asks."""
    from starlette.convertors import Convertor, register_url_convertor
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    class Number(Convertor[int]):
        regex = NUMBER

        def convert(self, value: str) -> int:
            return int(value)

        def to_string(self, value: int) -> str:
            return str(value)

    register_url_convertor("number", Number())

    # No coroutines: each runs in a thread of its own, so a slow disk holds up nobody else.
    def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    def overview(request: Request) -> Response:
        return JSONResponse(answers.overview)

    def scene(request: Request) -> Response:
        return JSONResponse(answers.scene(request.path_params["scene"]))

    def tile(request: Request) -> Response:
        place = request.path_params
        text = request.query_params.get("n", "")
        if not NUMBERS.fullmatch(text):
            raise IndexError(f"n has up to {MOST_ASKED} numbers with commas between")
        asked = [int(number) for number in text.split(",") if number]
        content = answers.tile(
            place["scene"], place["layer"], place["zoom"], place["x"], place["y"], asked
        )
        return Response(
            content,
            media_type="application/octet-stream",
            headers={"cache-control": f"private, max-age={TILES_KEPT}"},
        )

    def pixel(request: Request) -> Response:
        place = request.path_params
        return JSONResponse(answers.pixel(place["scene"], place["row"], place["col"]))

    def class_range(request: Request) -> Response:
        return JSONResponse(answers.class_range(request.path_params["code"]))

    return [
        Route("/", page),
        Route("/view.json", overview),
        Route("/scenes/{scene:number}", scene),
        Route("/scenes/{scene:number}/{layer}/{zoom:number}/{x:number}/{y:number}", tile),
        Route("/scenes/{scene:number}/pixel/{row:number}/{col:number}", pixel),
        Route("/classes/{code:number}", class_range),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def serve(shown: Shown, *, port: int = 0, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve the page until interrupted (Ctrl-C); `ready` is told its address.

    Parameters
    ----------
    port
        0: any that is free.

    Raises
    ------
    SettingsError
        The port is in use or not allowed.
    """
    import uvicorn

    token = secrets.token_urlsafe(16)
    with _listening(port) as listener:
        server = uvicorn.Server(configuration(shown, token))
        ready(f"http://{HERE}:{listener.getsockname()[1]}/{token}/")
        with contextlib.suppress(KeyboardInterrupt):  # passed on when all is closed
            server.run(sockets=[listener])


def configuration(shown: Shown, token: str) -> Config:
    """How the page is served; no other process or page can make the terminal say anything."""
    import uvicorn

    from hsi_ssl.view.connections import Connection

    return uvicorn.Config(
        application(shown, token),
        http=Connection,
        ws="none",
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=LAST_ANSWERS,
    )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A socket that takes requests from this machine."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.closing(listener):
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HERE, port))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise SettingsError(
                f"port {port} cannot be used ({why}): name another with --port, or leave it out "
                "to get one that is free"
            ) from error
        yield listener
