"""The guard at the door: who may speak to the app, how much they may send, what a page may load.

A page on some other site must not reach a server on this machine through the visitor's browser.
Requests must therefore name this machine as their host, which one that came by DNS rebinding does
not, and a web socket or a form must come from this app's own page. The answers tell the browser to
load nothing from elsewhere (Content Security Policy), so that no request leaves the machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

__all__ = ["Guard", "Refusal"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Methods that change nothing.
READING = ("GET", "HEAD", "OPTIONS")
#: Names of this machine that a browser may be pointed at.
NAMES = ("127.0.0.1", "localhost")


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    reason: str


class Guard:
    """An ASGI application around another one, which sees nothing that was refused."""

    def __init__(self, app: Application, *, port: int, most_bytes: int) -> None:
        """Guard `app`, which is served on `port`; a request may carry `most_bytes`."""
        self.app, self.most_bytes = app, most_bytes
        self._hosts = {f"{name}:{port}" for name in NAMES}
        if port == 80:  # the port that goes without saying
            self._hosts |= set(NAMES)
        self._origins = {f"http://{host}" for host in self._hosts}
        self._headers = _headers(self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if refusal is not None:
            await _refuse(scope, refusal, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self.app(scope, receive, sent)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a request is refused; None if it is not."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return Refusal(403, f"This app answers only at http://{min(self._hosts)}.")
        origins = _values(scope, b"origin")
        asks_to_act = scope["type"] == "websocket" or scope["method"] not in READING
        if (asks_to_act or origins) and not (len(origins) == 1 and origins[0] in self._origins):
            return Refusal(403, "This app answers only to its own page.")
        if scope["type"] == "http" and scope["method"] not in READING:
            return self._too_much(_values(scope, b"content-length"))
        return None

    def _too_much(self, lengths: list[str]) -> Refusal | None:
        if len(lengths) != 1 or not lengths[0].isdecimal():
            return Refusal(411, "Say how much is sent.")
        if int(lengths[0]) > self.most_bytes:
            return Refusal(413, f"At most {self.most_bytes / 2**20:.0f} MiB may be sent at a time.")
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _headers(hosts: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Return what keeps a browser from loading anything from elsewhere, or showing us elsewhere."""
    sockets = " ".join(f"ws://{host}" for host in sorted(hosts))
    # Vue compiles its templates in the browser, and NiceGUI writes its page's script inline.
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        f"connect-src 'self' data: {sockets}; worker-src 'self' blob:; frame-src 'none'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]


async def _refuse(scope: Scope, refusal: Refusal, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        return
    body = f"{refusal.reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
