#!/usr/bin/env bash
# napari-ome-zarr 0.11.0 shows an OME-Zarr image at the origin, whatever its translation.
# OME-Zarr places an image by `scale` and `translation`; the reader hands `scale` and units to napari and no
# `translate`. A picture whose first pixel's centre lies at half a pixel is drawn half a pixel off
# its points, and a crop lies at 0 in place of where it was cut out. Nothing warns.
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
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check napari-ome-zarr==0.11.0
cd "$folder"
venv/bin/python - <<'EOF'
import warnings
from importlib.metadata import version

import numpy as np
import zarr

warnings.simplefilter("ignore")
from napari.layers import Image
from napari_ome_zarr import napari_get_reader

print("napari-ome-zarr", version("napari-ome-zarr"), "with napari", version("napari"))
scale, translation = [250.0, 55.0, 55.0], [125.0, 27.5, 27.5]
placed = [
    {"type": "scale", "scale": scale},
    {"type": "translation", "translation": translation},
]
axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": placed}]}
group = zarr.create_group("a.zarr", attributes={"ome": {"version": "0.5", "multiscales": [image]}})
group.create_array("0", data=np.zeros((2, 8, 8), np.float32))

data, options, _ = napari_get_reader("a.zarr")("a.zarr")[0]
print("written: scale", scale, "translation", translation)
print("handed to napari:", {name: options.get(name) for name in ("scale", "translate", "affine")})
options.pop("metadata", None)
corner = Image(data, **options).data_to_world((0, 0, 0))
print("voxel 0 lies at", tuple(map(float, corner)), "in napari")
assert list(options["scale"]) == scale
assert tuple(corner) == (0.0, 0.0, 0.0)
EOF
