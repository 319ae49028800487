"""Uploads leave nothing behind when their page is gone."""

from __future__ import annotations

import gc
import weakref

import pytest

pytest.importorskip("nicegui")

from fastapi import FastAPI

from fociscope.app.controls import _clear_caches_of_routes


def test_a_removed_route_is_not_kept_by_fastapis_caches() -> None:
    app = FastAPI()

    async def taken() -> dict[str, str]:
        return {}

    app.post("/upload")(taken)
    kept = weakref.ref(taken)
    app.router.routes.clear()
    app.openapi_schema = None
    del taken
    _clear_caches_of_routes()
    gc.collect()
    assert kept() is None
