"""The server around the pages: what `dse dashboard` runs. Adds headers that browsers obey.

A page may load nothing from another machine, be framed by no other page, and send nothing
elsewhere: a name in a study that got through as markup would find nobody to talk to.

Each page is told where its server is (`BASE`). Streamlit's part in the browser else looks for it
below the page's own path first, and every link to a page but the first began with two errors (404)
in the browser's console, and a round trip that found nothing.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from dashboard.startup import lifespan

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

POLICY = {
    "default-src": "'self'",
    # Streamlit compiles expressions; Graphviz is WebAssembly.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' ws://localhost:* ws://127.0.0.1:* data: blob:",
    "worker-src": "'self' blob:",
    "frame-src": "'self' data: blob:",
    "frame-ancestors": "'self'",  # the preview of a report is a frame of its own page
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{key} {value}" for key, value in POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
HOSTS = ("localhost", "127.0.0.1")
BASE = b"<script>window.__streamlit = {BACKEND_BASE_URL: location.origin}</script>"
"""Read by Streamlit's script when it is loaded."""
OF_A_FILE = {b"accept-encoding", b"if-none-match", b"if-modified-since"}
"""What a browser asks of a page that need not be sent, or may be packed: `BASE` is put into it."""


class SecurityHeaders:
    """Middleware that adds `HEADERS` to every answer, and answers under our own names only."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the app does, with more headers (ASGI: `scope` says what the request is).

        Headers go out with the message `http.response.start`, so `send` is wrapped: ours take the
        place of the app's of the same names. A request under a foreign host name gets 403 and never
        reaches the app. A websocket is opened for our own page alone: browsers let any page ask
        for one, another server's on this machine too, but say whose page asks (`Origin`).
        """

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                theirs = [
                    (name, value)
                    for name, value in message.get("headers", [])
                    if name.decode("latin-1").lower() not in HEADERS
                ]
                message = {**message, "headers": [*theirs, *ours]}
            await send(message)

        if scope["type"] == "http" and _host(scope) not in HOSTS:
            # Another name for this machine: a page elsewhere has it resolve to here.
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"this host is not served here"})
            return
        if scope["type"] == "websocket" and not _is_own(scope):
            await receive()  # `websocket.connect`; closing before accepting it answers 403
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif "text/html" in _header(scope, b"accept"):
            asked = [(name, value) for name, value in scope["headers"] if name not in OF_A_FILE]
            await self.app({**scope, "headers": asked}, receive, _with_base(send_more))
        else:
            await self.app(scope, receive, send_more)


def _with_base(send: Send) -> Send:
    """Send a page with `BASE` at the head of it; what is no page, as it is."""
    held: list[Message] = []

    async def send_page(message: Message) -> None:
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message["headers"] if name == b"content-type"]
            if not any(value.startswith(b"text/html") for value in kinds):
                await send(message)
            else:
                held.append(message)
            return
        if not held:
            await send(message)
            return
        held.append(message)
        if message.get("more_body"):
            return
        start, parts = held[0], held[1:]
        page = b"".join(part.get("body", b"") for part in parts)
        page = page.replace(b"<head>", b"<head>" + BASE, 1)
        own = [pair for pair in start["headers"] if pair[0] not in (b"content-length", b"etag")]
        size = (b"content-length", str(len(page)).encode())
        await send({**start, "headers": [*own, size]})
        await send({"type": "http.response.body", "body": page})
        held.clear()

    return send_page


def _host(scope: Message) -> str:
    """Name by which a request calls this machine, without the port."""
    return _header(scope, b"host").rsplit(":", 1)[0]


def _is_own(scope: Message) -> bool:
    """Whether a websocket's request comes from a page of this very server, or from no browser."""
    origin, host = _header(scope, b"origin"), _header(scope, b"host")
    return _host(scope) in HOSTS and origin in ("", f"http://{host}", f"https://{host}")


def _header(scope: Message, wanted: bytes) -> str:
    found = [value for name, value in scope.get("headers", []) if name == wanted]
    return str(found[0].decode("latin-1").lower()) if found else ""


# The tables' own CSV would keep a name that a spreadsheet takes for a formula; ours does not.
config.set_option("client.disableDataExport", True)
app = st.App("app.py", lifespan=lifespan, middleware=[Middleware(SecurityHeaders)])
