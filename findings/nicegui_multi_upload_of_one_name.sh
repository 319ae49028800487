#!/usr/bin/env bash
# NiceGUI 3.18.0: of two files of one name that are uploaded together, only the last one arrives.
# `ui.upload(multiple=True, on_multi_upload=...)` sends all files in one request. The Quasar that it ships
# names each part after its file, and NiceGUI reads `form.values()` of Starlette's multidict, which
# has one value for each name. Two files `image.tif` of two folders (one for each camera) end as one, and
# the answer is {"upload": "success"}. Shown without a browser, by the request that Quasar would send.
set -euo pipefail

python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nicegui==3.18.0
cd "$folder"
venv/bin/python - <<'EOF'
import os
import re
import socket
import sys
import threading
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

import nicegui
from nicegui import ui

quasar = (Path(nicegui.__file__).parent / "static" / "quasar.umd.js").read_text(encoding="utf-8")
default = re.search(r"fieldName: \{\s*type: \[Function, String\],\s*default: \(\) => \(file\) => file\.name\s*\}", quasar)
arrived = []
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
site = f"http://127.0.0.1:{port}"


@ui.page("/")
def page():
    def keep(event):
        arrived.extend(file.name for file in event.files)

    ui.label(ui.upload(multiple=True, on_multi_upload=keep).props["url"])


def send(url, names):
    """Post files as Quasar does, each part named after its file; return what the handler got."""
    arrived.clear()
    parts = [
        f'--mark\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: image/tiff\r\n\r\ncontent {number}\r\n"
        for number, name in enumerate(names)
    ]
    body = "".join([*parts, "--mark--\r\n"]).encode()
    kind = {"Content-Type": "multipart/form-data; boundary=mark"}
    with urllib.request.urlopen(urllib.request.Request(url, body, kind)) as answer:
        print("sent", names, "answer", answer.status, answer.read().decode(), "arrived", arrived)
    return list(arrived)


def visit():
    for _ in range(100):
        try:
            with urllib.request.urlopen(site) as answer:
                html = answer.read().decode()
            break
        except OSError:
            time.sleep(0.2)
    url = site + re.search(r"/_nicegui/client/[\w-]+/upload/\d+", html)[0]
    print("nicegui", version("nicegui"), "starlette", version("starlette"))
    print("Quasar's default name of a part:", default and " ".join(default[0].split()))
    both = send(url, ["a.tif", "b.tif"]) == ["a.tif", "b.tif"]
    last = send(url, ["image.tif", "image.tif"]) == ["image.tif"]
    sys.stdout.flush()
    os._exit(0 if default and both and last else 1)


def guarded():
    try:
        visit()
    finally:
        os._exit(1)


threading.Thread(target=guarded, daemon=True).start()
ui.run(host="127.0.0.1", port=port, show=False, reload=False)
EOF
