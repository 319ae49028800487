"""The guard in front of the app: who is answered, and what an answer lets a browser load."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fociscope.app.guard import Guard

HERE = "127.0.0.1:8470"


async def _greets(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"welcome"})


GUARD = Guard(_greets, port=8470, most_bytes=1000)


def _scope(kind: str = "http", method: str = "GET", **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "method": method, "headers": named}


def _answer(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(GUARD(scope, None, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("host", [HERE, "localhost:8470", "LOCALHOST:8470"])
def test_this_machine_is_answered(host: str) -> None:
    assert _answer(_scope(host=host))[0]["status"] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8470", "127.0.0.1", "127.0.0.1:8471", "", f"{HERE}@evil"]
)
def test_any_other_host_is_refused(host: str) -> None:
    assert _answer(_scope(host=host))[0]["status"] == 403


def test_none_or_two_hosts_are_refused() -> None:
    twice = _scope(host=HERE)
    twice["headers"] *= 2

    assert GUARD.refusal(_scope()) is not None
    assert GUARD.refusal(twice) is not None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://{HERE}"])
@pytest.mark.parametrize(("kind", "method"), [("http", "GET"), ("http", "POST"), ("websocket", "")])
def test_a_foreign_page_is_refused(kind: str, method: str, origin: str) -> None:
    refusal = GUARD.refusal(_scope(kind, method, host=HERE, origin=origin, content_length="1"))
    assert refusal is not None
    assert refusal.status == 403


def test_a_socket_must_say_where_it_comes_from() -> None:
    assert _answer(_scope("websocket", host=HERE)) == [
        {
            "type": "websocket.close",
            "code": 1008,
            "reason": "This app answers only to its own page.",
        }
    ]
    assert GUARD.refusal(_scope("websocket", host=HERE, origin=f"http://{HERE}")) is None


@pytest.mark.parametrize(
    ("length", "status"), [("1000", None), ("1001", 413), ("-1", 411), ("1e3", 411)]
)
def test_what_is_sent_is_capped(length: str, status: int | None) -> None:
    sent = {"host": HERE, "origin": f"http://{HERE}", "content_length": length}
    refusal = GUARD.refusal(_scope(method="POST", **sent))
    assert (None if refusal is None else refusal.status) == status


def test_a_length_must_be_said() -> None:
    refusal = GUARD.refusal(_scope(method="POST", host=HERE, origin=f"http://{HERE}"))
    assert refusal is not None
    assert refusal.status == 411


def test_answers_let_a_browser_load_nothing_from_elsewhere() -> None:
    headers = dict(_answer(_scope(host=HERE))[0]["headers"])
    policy = headers[b"content-security-policy"].decode()

    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy
    assert "*" not in policy
