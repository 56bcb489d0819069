"""The server around the pages: what `dse dashboard` runs. Adds headers that browsers obey.

A page may load nothing from another machine, be framed by no other page, and send nothing
elsewhere: a name in a study that got through as markup would find nobody to talk to.
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
        await self.app(scope, receive, send_more if scope["type"] == "http" else send)


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
