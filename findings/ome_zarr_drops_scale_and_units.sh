#!/usr/bin/env bash
# ome-zarr 0.21.0: `write_image(coordinate_transformations=..., axes=[{"unit": ...}])` writes neither.
# The pixel size becomes 1 without a unit. The warning calls the argument deprecated, to be removed in
# a future version; it is ignored already. Units beside the names of axes are dropped without a
# word. Only `scale=` and `axes_units=` are written. Programs that heed the file then believe in
# pixels of 1, in no unit.
set -euo pipefail

# Needs Python 3.12 or newer: PYTHON, or one of those on the path, or of pyenv's.
candidates=("${PYTHON:-python3}" python3.13 python3.12)
if command -v pyenv >/dev/null; then
  for name in $(pyenv versions --bare); do candidates+=("$(pyenv prefix "$name")/bin/python"); done
fi
python=
for candidate in "${candidates[@]}"; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
: "${python:?no Python 3.12 or 3.13 found; name one with PYTHON}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ome-zarr==0.21.0
cd "$folder"
venv/bin/python - <<'EOF'
import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ome_zarr.writer import write_image

print("ome-zarr", version("ome-zarr"))
image = np.zeros((3, 64, 64), np.uint16)
axes = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
scale = [{"type": "scale", "scale": [0.5, 55.0, 55.0]}]


def written(name):
    said = json.loads(Path(name, "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    placed = said["datasets"][0]["coordinateTransformations"]
    steps = next(one["scale"] for one in placed if one["type"] == "scale")
    return steps, [axis.get("unit") for axis in said["axes"]]


with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    write_image(image, "old.zarr", axes=axes, coordinate_transformations=[scale], scale_factors=[])
said = [str(one.message).strip() for one in warned]
print("warnings:", said)
print("given: scale [0.5, 55.0, 55.0], units second, micrometer, micrometer")
print("written: scale, units", written("old.zarr"))
units = {"t": "second", "y": "micrometer", "x": "micrometer"}
write_image(
    image, "new.zarr", axes="tyx", scale={"t": 0.5, "y": 55.0, "x": 55.0}, axes_units=units,
    scale_factors=[],
)
print("by scale= and axes_units=:", written("new.zarr"))
assert written("old.zarr") == ([1.0, 1.0, 1.0], [None, None, None])
assert written("new.zarr") == ([0.5, 55.0, 55.0], ["second", "micrometer", "micrometer"])
assert any("deprecated" in text for text in said)
assert not any("ignored" in text or "unit" in text for text in said)
EOF
