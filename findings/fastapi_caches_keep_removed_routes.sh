#!/usr/bin/env bash
# FastAPI 0.165.0: caches keep the function of a route that was removed, and all that it holds, for up to
# 4096 routes. `dependencies/models.py` sorts functions by three `lru_cache`s whose keys hold them. NiceGUI
# 3.18.0 registers a route for each `ui.upload` of each page load, whose function holds the element, and so the
# page: every page that was ever loaded stays in memory, though the route is removed with its visit.
set -euo pipefail

python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nicegui==3.18.0 fastapi==0.165.0
cd "$folder"
venv/bin/python - <<'EOF'
import asyncio
import gc
import os
import socket
import sys
import threading
import time
import urllib.request
import weakref
from importlib.metadata import version

from fastapi.dependencies import models
from nicegui import Client, app, core, ui

LOADS = 20
uploads = []
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
site = f"http://127.0.0.1:{port}"


@ui.page("/")
def page():
    uploads.append(weakref.ref(ui.upload()))


def load():
    with urllib.request.urlopen(site) as answer:
        answer.read()


def there():
    gc.collect()
    return sum(one() is not None for one in uploads)


def routes():
    return sum("/upload/" in getattr(route, "path", "") for route in app.routes)


async def leave():
    """End all visits, as NiceGUI does some time after a page was closed."""
    for client in list(Client.instances.values()):
        client.delete()


def visit():
    for _ in range(100):
        try:
            load()
            break
        except OSError:
            time.sleep(0.2)
    for _ in range(LOADS - 1):
        load()
    asyncio.run_coroutine_threadsafe(leave(), core.loop).result()
    time.sleep(1)
    kept, left = there(), routes()
    caches = [one for one in vars(models).values() if hasattr(one, "cache_clear")]
    for one in caches:
        one.cache_clear()
    freed = there()
    print("nicegui", version("nicegui"), "fastapi", version("fastapi"))
    print(f"{LOADS} pages loaded and left; routes of uploads: {left}; uploads in memory: {kept};")
    print(f"after clearing {len(caches)} caches of fastapi.dependencies.models: {freed}")
    sys.stdout.flush()
    os._exit(0 if kept >= LOADS - 1 and left == 0 and freed <= 1 else 1)


def guarded():
    try:
        visit()
    finally:
        os._exit(1)


threading.Thread(target=guarded, daemon=True).start()
ui.run(host="127.0.0.1", port=port, show=False, reload=False)
EOF
